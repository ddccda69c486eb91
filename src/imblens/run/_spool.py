"""Matrices that are filled from the front: in memory while small, otherwise in a temporary file that is mapped."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.base.memory import refuse_full

IN_MEMORY = 2**26  # bytes of a matrix that is kept in memory


class Spool:
    """An (n, columns) matrix of known size, float32 unless stated, written block by block.

    A large one lies in a file without a name in the folder for temporary files (TMPDIR): it goes when the matrix goes,
    also after a kill.
    """

    def __init__(
        self, rows: int, columns: int, what: str = "the table needs", *, mapped: bool = True, dtype: Any = np.float32
    ) -> None:
        """Reserve the space.

        Args:
            rows, columns: of the matrix.
            what: subject and verb of the message.
            mapped: False keeps a large matrix in memory too.
            dtype: of its numbers.

        Raises:
            StorageError: the folder for temporary files has too little space.
        """
        self._shape = (rows, columns)
        self._filled = 0
        self._file: Any = None
        self._array: NDArray[Any] | None = None
        self._dtype = np.dtype(dtype)
        size = self._dtype.itemsize * rows * columns
        if size <= IN_MEMORY or not mapped:
            self._array = np.empty(self._shape, self._dtype)
            return
        refuse_full(size, what)
        self._file = tempfile.TemporaryFile(prefix="imblens-")  # noqa: SIM115

    def append(self, block: NDArray[Any]) -> None:
        """Add rows below those that were added before."""
        if self._array is not None:
            self._array[self._filled : self._filled + len(block)] = block
        else:
            np.ascontiguousarray(block, dtype=self._dtype).tofile(self._file)
        self._filled += len(block)

    def matrix(self) -> NDArray[Any]:
        """Return the matrix; a memory map where it is large."""
        assert self._filled == self._shape[0]
        if self._array is not None:
            return self._array
        self._file.flush()
        return np.memmap(self._file, self._dtype, "r", shape=self._shape)

    def close(self) -> None:
        """Close the file; a map of it stays."""
        if self._file is not None:
            self._file.close()


def row_by_row(
    matrix: NDArray[Any], change: Callable[[NDArray[Any]], NDArray[Any]], dtype: Any, what: str
) -> NDArray[Any]:
    """Change the rows of an (n, D) matrix block by block; the result is mapped where it is large.

    Example:
        >>> row_by_row(np.eye(2), lambda rows: rows - 1, np.float32, "rows need").tolist()
        [[0.0, -1.0], [-1.0, 0.0]]
    """
    n_rows, n_columns = matrix.shape
    changed = Spool(n_rows, n_columns, what, dtype=dtype)
    for rows in row_blocks(n_rows, n_columns):
        changed.append(change(matrix[rows]))
    found = changed.matrix()
    changed.close()
    return found
