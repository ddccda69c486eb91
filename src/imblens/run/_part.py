"""Consecutive instances of a split that were captured together."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from imblens.errors import InputError, ShapeError
from imblens.run._head import Head
from imblens.run.statistics import Batch

Floats = NDArray[np.float32]
UNKNOWN = "label_unknown"  # column of (N, C) 0 and 1: 1 for an uncertain label, which is 0 in `labels`
GROUP = "group"  # column of text: the patient, source image or site of an instance; null where unknown
BATCH_BYTES = 32 * 2**20  # features of one batch of a statistic
LOGIT_BYTES = 64 * 2**20  # logits of one batch


@dataclass(frozen=True)
class Part:
    """Instances that were captured together.

    Attributes:
        features: (n, D) float32, in memory or memory-mapped.
        labels: (n,) int64 or (n, C) uint8.
        logits: (n, C) float32 or None.
        table: further columns of the instances in memory (`id`, `thumbnail`, colour bands, ...), n rows; or None.
        table_path: the Parquet file of those columns, read when needed; or None.
    """

    features: Floats
    labels: NDArray[Any]
    logits: Floats | None = None
    table: pd.DataFrame | None = None
    table_path: Path | None = None

    def __post_init__(self) -> None:
        n = len(self.features)
        for name in ("labels", "logits", "table"):
            rows = getattr(self, name)
            if rows is not None and len(rows) != n:
                raise ShapeError(f"{name} has {len(rows)} rows, the features {n}.", hint="Give one row per instance.")

    def __len__(self) -> int:
        return len(self.features)

    def columns(self) -> tuple[str, ...]:
        """Names of the columns that `read` returns."""
        if self.table is not None:
            return tuple(self.table.columns)
        if self.table_path is None:
            return ()
        with readable(self.table_path):
            return tuple(name for name in pq.read_schema(self.table_path).names if name != "label")

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """Read those columns of the instances, n rows."""
        if self.table is not None:
            return self.table[list(columns)]
        assert self.table_path is not None
        with readable(self.table_path):
            table = pq.read_table(self.table_path, columns=list(columns), page_checksum_verification=True)
            return table.to_pandas()

    def cells(self, column: str, rows: Sequence[int]) -> list[Any]:
        """Values of a column in some rows, in their order; of a file, only the row groups that hold them are read."""
        if self.table is not None:
            return self.table[column].iloc[list(rows)].tolist()
        found: dict[int, Any] = {}
        with readable(self.table_path), pq.ParquetFile(self.table_path, page_checksum_verification=True) as file:
            start = 0
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).num_rows
                own = [row for row in rows if start <= row < start + size]
                if own:
                    values = file.read_row_group(group, [column])[column]
                    found |= {row: values[row - start].as_py() for row in own}
                start += size
        return [found[row] for row in rows]

    def matrix(self, column: str) -> NDArray[Any]:
        """Read a column of lists of one length, (n, length), without creating a Python object for every list."""
        if self.table is not None:
            values = pa.array(self.table[column])
        else:
            with readable(self.table_path):
                values = pq.read_table(self.table_path, columns=[column], page_checksum_verification=True)[column]
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        return np.asarray(values.flatten().to_numpy(zero_copy_only=False)).reshape(len(self), -1)

    def batches(self, start: int, n_classes: int, head: Head | None, *, logits: bool) -> Iterator[Batch]:
        """Iterate over the instances in batches of bounded memory.

        Args:
            start: position of the first instance in the split.
            n_classes: C.
            head: computes logits where none are stored.
            logits: whether batches need logits.
        """
        step = max(256, BATCH_BYTES // (4 * self.features.shape[1]))
        if logits:
            step = min(step, max(256, LOGIT_BYTES // (4 * n_classes)))
        for low in range(0, len(self), step):
            rows = slice(low, low + step)
            features = self.features[rows]
            outputs: NDArray[Any] | None = None
            if logits and self.logits is not None:
                outputs = self.logits[rows]
            elif logits and head is not None:
                outputs = head(features)
            yield Batch(start + low, features, self.labels[rows], outputs, n_classes)
            _release(self.features, rows)
            if logits and self.logits is not None:
                _release(self.logits, rows)


@contextmanager
def readable(file: Path | None) -> Iterator[None]:
    """Turn the exceptions of pyarrow about a damaged file into one that names it.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, MemoryError):
            raise
        raise InputError(f"{file} cannot be read: {error}.", hint="Copy the run again, or capture it again.") from error


def mapped_file(array: Any) -> Path | None:
    """The .npy file that an array is a map of, whole; None of any other array."""
    whole = isinstance(array, np.memmap) and bool(array.filename) and isinstance(array.base, mmap.mmap)
    return Path(array.filename) if whole else None


def _release(array: Floats, rows: slice) -> None:
    """Drop the pages of rows of a map that were read: they would count as memory of this process, those of many parts too."""
    if not isinstance(array, np.memmap) or array.mode != "r" or not array.nbytes:
        return
    whole: Any = array.base
    if isinstance(whole, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        row = array.nbytes // len(array)
        low = array.offset % mmap.ALLOCATIONGRANULARITY + rows.start * row
        low -= low % mmap.PAGESIZE
        whole.madvise(mmap.MADV_DONTNEED, low, min((rows.stop - rows.start) * row, len(whole) - low))
