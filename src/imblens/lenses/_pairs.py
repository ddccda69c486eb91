"""Tables with a row for each pair of classes: all pairs up to 200 classes, beyond that those that carry information."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks

ALL_PAIRS = 200  # classes up to which tables of pairs are complete
STRONGEST = 20  # beyond, of each class and measure, the other classes that are kept


def kept_pairs(
    measures: Sequence[NDArray[np.float64]], occurs: NDArray[np.bool_] | None = None, *, start: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the pairs of different classes that a table holds, in order.

    Args:
        measures: (n, C) each, for n consecutive classes of C; NaN where a pair has no value.
        occurs: (n, C) pairs that are kept in any case, or None.
        start: number of the first of the n classes.

    Returns:
        Class (from `start` on) and other class of each pair. All pairs up to 200 classes; beyond, those in `occurs` and, of
        each class, the 20 others with the largest value above 0 of each measure, the lower number first where values are
        equal.

    Example:
        >>> rows, columns = kept_pairs([np.eye(3)])
        >>> rows.tolist(), columns.tolist()
        ([0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1])
        >>> row = np.zeros((1, 300))
        >>> row[0, [7, 250]] = 0.5
        >>> kept_pairs([row], start=9)[1].tolist()
        [7, 250]
    """
    n, n_classes = measures[0].shape
    if n_classes <= ALL_PAIRS:
        first, second = np.nonzero(np.arange(n_classes) != np.arange(start, start + n)[:, None])
        return first + start, second
    found = []
    for block in row_blocks(n, 4 * n_classes):
        own = np.arange(n_classes) == np.arange(start + block.start, start + block.stop)[:, None]
        kept = np.zeros_like(own) if occurs is None else occurs[block].copy()
        for values in measures:
            kept |= _largest(np.where((values[block] > 0) & ~own, values[block], 0.0))
        first, second = np.nonzero(kept & ~own)
        found.append((first + start + block.start, second))
    first, second = (np.concatenate(values) for values in zip(*found, strict=True))
    return first, second


def _largest(strength: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n, C) the 20 largest values of each row that are above 0, of equal ones the first; without a sort of all."""
    last = strength.shape[1] - STRONGEST
    least = np.partition(strength, last, axis=1)[:, [last]]
    found = (strength >= least) & (strength > 0)
    for row in np.flatnonzero(found.sum(axis=1) > STRONGEST):  # more values equal the least than there are places
        equal = np.flatnonzero(strength[row] == least[row])
        found[row, equal[STRONGEST - int(found[row].sum()) :]] = False
    return found


def entries(matrix: Any, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[Any]:
    """Entries of a sparse matrix at rows `first` and columns `second`.

    Example:
        >>> from scipy.sparse import csr_array
        >>> entries(csr_array([[0, 5], [7, 0]]), np.array([1, 0]), np.array([0, 0]))
        array([7, 0])
    """
    if not len(first):
        return np.zeros(0, matrix.dtype)
    found = matrix[first, second]
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found).ravel()


def pairs_note(n_classes: int, also: str = "") -> tuple[str, ...]:
    """State what a table of pairs leaves out; nothing where it is complete.

    Example:
        >>> pairs_note(200)
        ()
    """
    if n_classes <= ALL_PAIRS:
        return ()
    return (
        f"With more than {ALL_PAIRS} classes, tables of pairs hold {also}the {STRONGEST} strongest others of each class; "
        "what is left out is smaller or 0.",
    )
