"""Logits that are computed for the rows that are asked for, since those of all instances may not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.run._head import Head

AT_ONCE = 2**24  # numbers of a matrix up to which it is one block


class LogitRows:
    """(N, C) logits that `rows_of` computes for positions (n,); a slice or positions as index give an array (n, C).

    Example:
        >>> logits = LogitRows((4, 2), lambda rows: np.stack([rows, -rows], axis=1).astype(np.float32))
        >>> logits[1:3].tolist(), len(logits), logits.shape
        ([[1.0, -1.0], [2.0, -2.0]], 4, (4, 2))
    """

    def __init__(self, shape: tuple[int, int], rows_of: Callable[[NDArray[np.int64]], NDArray[np.float32]]) -> None:
        """Keep how rows are computed."""
        self.shape, self.ndim = shape, 2
        self._rows_of = rows_of

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        """Compute rows."""
        return self._rows_of(np.arange(len(self))[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Compute all rows."""
        return np.asarray(self[:], dtype=dtype)


def logits_of_head(head: Head, features: NDArray[Any]) -> NDArray[np.float32] | LogitRows:
    """(n, C) logits of (n, D) features to be indexed by rows; large ones are computed when they are asked for."""
    shape = len(features), len(head.bias)
    if shape[0] * shape[1] <= AT_ONCE:
        return head(features)
    return LogitRows(shape, lambda rows: head(features[rows]))


def in_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Slices of rows: one of all while the matrix is small, else blocks of some million numbers.

    >>> list(in_blocks(3, 2)), len(list(in_blocks(10_000, 10_000)))
    ([slice(0, 3, None)], 97)
    """
    if n_rows * n_columns <= AT_ONCE:
        yield slice(0, n_rows)
    else:
        yield from row_blocks(n_rows, n_columns)


def predicted_classes(logits: NDArray[Any] | LogitRows) -> NDArray[np.int64]:
    """(n,) class of the largest of (n, C) logits.

    >>> predicted_classes(np.array([[0.5, 2.0], [1.0, 0.0]])).tolist()
    [1, 0]
    """
    found = [logits[rows].argmax(axis=1) for rows in in_blocks(*logits.shape)]
    return np.concatenate(found).astype(np.int64)
