"""What a run that was merged from shards lacks, and writing it into the run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from imblens.base.files import claim, storage_error, write_atomic
from imblens.base.locks import exclusive
from imblens.base.wording import listed
from imblens.run._part import Part, readable
from imblens.run._run import Run
from imblens.run._write import ROW_GROUP, seal, staged

INPUT_MEAN = "input_mean"  # column of training images, by which shortcuts can be tried after the merge
TO_COMPLETE = "to_complete"  # key of meta: what `complete` needs to know of a merged run
NOT_YET = {  # why the lens has nothing to show
    name: f"a capture in shards {what}; `imblens capture DATA --model ... --complete RUN` does, once they are merged."
    for name, what in (("shortcuts", "tries none"), ("concepts", "counts none"))
}


@dataclass(frozen=True)
class Additions:
    """What a run lacks.

    Attributes:
        split: which split has the new columns.
        rows: (k,) positions of the instances that have values, ascending.
        columns: (k,) or (k, m) for each column; the other instances get -1 in columns of integers, else NaN.
        meta: new values of keys of the run's meta.
    """

    split: str
    rows: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]
    meta: Mapping[str, Any] = field(default_factory=dict)


def lacks(run: Run) -> tuple[str, ...]:
    """The lenses whose columns a merged run lacks and `imblens.extraction.complete` adds.

    >>> lacks(Run.from_arrays(train=([[0.0], [1.0]], [0, 1])))
    ()
    """
    left = run.meta.get(TO_COMPLETE)
    if not isinstance(left, Mapping):
        return ()
    of_boxes = ("concepts",) if left.get("concepts") is not None else ()
    return (*(("shortcuts",) if INPUT_MEAN in run.train.columns else ()), *of_boxes)


def lacking_note(names: Sequence[str]) -> str:
    """What a merged run states that lacks these."""
    return f"{listed(names)} need all shards: `imblens capture DATA --model ... --complete RUN` adds them to this run."


@exclusive
def add(path: Path, found: Additions) -> Run:
    """Write what was lacking into a run folder; the old run stays until the new one is complete.

    Raises:
        StorageError: the disk is full, or another process writes the folder.
    """
    run = Run.load(path)
    claim(path, force=True)
    files: list[Path] = []
    with staged(path) as stage:
        for name, split in run.splits.items():
            start = 0
            for number, part in enumerate(split.parts):
                place = stage / name / f"part-{number:05d}"
                files += _rewritten(part, place, found if name == found.split else None, start)
                start += len(part)
        names = lacks(run)
        meta = {key: value for key, value in run.meta.items() if key != TO_COMPLETE} | dict(found.meta)
        meta["notes"] = [note for note in meta.get("notes", ()) if note != lacking_note(names)]
        if not meta["notes"]:
            del meta["notes"]
        seal(stage, _Stored(run, meta), files)
        del run, split, part  # Windows renames no file that is mapped
    return Run.load(path)


class _Stored:
    """A run on disk with other meta, as `seal` reads it."""

    def __init__(self, run: Run, meta: Mapping[str, Any]) -> None:
        self.splits, self.head, self.classes, self.task, self.meta = run.splits, run.head, run.classes, run.task, meta


def _rewritten(part: Part, place: Path, found: Additions | None, start: int) -> list[Path]:
    """The files of a part in another folder: arrays as they are, the table with the new columns."""
    assert part.table_path is not None
    files = []
    for name in ("features.npy", "logits.npy"):
        source = part.table_path.with_name(name)
        if source.exists():
            files.append(place / name)
            _linked(source, files[-1])
    files.append(place / "instances.parquet")
    write_atomic(files[-1], lambda file: _write_table(file, part, found, start))
    return files


def _linked(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the drive has no such links."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    except OSError as error:
        raise storage_error(target, error) from error


def _write_table(file: BinaryIO, part: Part, found: Additions | None, start: int) -> None:
    writer: Any = None
    try:
        for table in _tables(part, found, start):
            writer = writer or pq.ParquetWriter(file, table.schema, write_page_checksum=True)
            writer.write_table(table, row_group_size=ROW_GROUP)
    finally:
        if writer is not None:
            writer.close()


def _tables(part: Part, found: Additions | None, start: int) -> Iterator[Any]:
    """The table of a part in blocks of rows, with new columns and without the one that is not needed any more."""
    with readable(part.table_path), pq.ParquetFile(part.table_path, page_checksum_verification=True) as stored:
        names = [name for name in stored.schema_arrow.names if name != INPUT_MEAN]
        for batch in stored.iter_batches(ROW_GROUP, columns=names):
            table = pa.Table.from_batches([batch])
            for name, values in {} if found is None else _between(found, start, len(table)).items():
                flat = pa.array(values.ravel())
                table = table.append_column(
                    name, flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
                )
            start += len(table)
            yield table


def _between(found: Additions, start: int, n: int) -> dict[str, NDArray[Any]]:
    """The new columns of n instances from `start` on."""
    low, high = np.searchsorted(found.rows, [start, start + n])
    columns = {}
    for name, values in found.columns.items():
        fill = -1 if values.dtype.kind == "i" else np.nan
        columns[name] = np.full((n, *values.shape[1:]), fill, values.dtype)
        columns[name][found.rows[low:high] - start] = values[low:high]
    return columns
