"""Parquet of instances with their features, written in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.base.files import write_atomic
from imblens.base.progress import tracked

if TYPE_CHECKING:
    from imblens.run import Run


def write_blocks(path: Path, blocks: Iterator[Mapping[str, Any]], metadata: Mapping[str, str] | None = None) -> Path:
    """Write columns block by block, atomically; matrices become columns of lists. The schema is that of the first block."""

    def put(file: BinaryIO) -> None:
        writer = None
        for block in blocks:
            made = pa.table({name: _column(values) for name, values in block.items()})
            if writer is None:
                schema = made.schema.with_metadata(dict(metadata or {}))
                writer = pq.ParquetWriter(file, schema)
            writer.write_table(made.cast(writer.schema))
        if writer is not None:
            writer.close()

    write_atomic(path, put)
    return path


def features_of(run: Run, table: pd.DataFrame) -> NDArray[np.float32]:
    """(E, D) features of the rows of a table with columns split, row."""
    found = np.empty((len(table), run.dim), np.float32)
    split, row = table["split"].to_numpy(), table["row"].to_numpy()
    for name in dict.fromkeys(split.tolist()):
        at = np.flatnonzero(split == name)
        found[at] = run.splits[name].features[row[at]]
    return found


def blocks_of(table: pd.DataFrame, width: int) -> Iterator[pd.DataFrame]:
    """Blocks of rows, for columns of `width` numbers beside them."""
    for rows in tracked(list(row_blocks(len(table), width)), "writing instances"):
        yield table.iloc[rows]


def _column(values: Any) -> pa.Array:
    if isinstance(values, np.ndarray) and values.ndim == 2:
        flat = pa.array(np.ascontiguousarray(values).ravel())
        ends = pa.array(np.arange(len(values) + 1, dtype=np.int32) * values.shape[1])
        return pa.ListArray.from_arrays(ends, flat)
    return values if isinstance(values, pa.Array) else pa.array(values, from_pandas=True)
