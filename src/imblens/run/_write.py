"""Writing a run as a folder of memory-mapped arrays and Parquet tables.

RUN/run.json                 data, model, loss, seed, versions; size and SHA-256 of every file; written last
RUN/head.safetensors         weight (C, D), bias (C,)
RUN/train/part-00000/        features.npy, logits.npy, instances.parquet; above 200 classes, no logits where the head gives them
RUN/test/part-00000/         and RUN/val, where there is one
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from imblens.base.files import claim, sha256, storage_error, temporary_folder, write_atomic, write_text
from imblens.base.locks import exclusive
from imblens.base.versions import versions
from imblens.errors import InputError
from imblens.run._head import Head
from imblens.run._left_out import leave_out
from imblens.run._part import Part, readable
from imblens.run._split import Split

SCHEMA = 1
MANIFEST = {"schema", "task", "classes", "splits", "files"}  # keys of run.json that are not meta
EXPECTED_META = ("data", "model", "loss", "seed")  # always in run.json; null where unknown
ROW_GROUP = 10_000  # instances of a row group of instances.parquet
SPLITS = ("train", "val", "test", "synthetic")
PART_FILES = ("features.npy", "logits.npy", "instances.parquet")


class Stored(Protocol):
    """What is written of a `Run`."""

    @property
    def splits(self) -> Mapping[str, Split]:
        """The splits by name."""

    @property
    def head(self) -> Head | None:
        """The last linear layer."""

    @property
    def classes(self) -> tuple[str, ...]:
        """C names."""

    @property
    def task(self) -> str:
        """ "multiclass" or "multilabel"."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """Plain JSON values."""


@exclusive
def write_run(run: Stored, path: Path, *, force: bool = False) -> Path:
    """Write `run` as a folder. An earlier run in it stays until this one is complete."""
    _check_meta(run.meta)
    claim(path, force=force)
    files: list[Path] = []
    with staged(path) as stage:
        for name, split in run.splits.items():
            start = 0
            for number, part in enumerate(split.parts):
                files += write_part(stage / name / f"part-{number:05d}", leave_out(part, split.head), start=start)
                start += len(part)
        seal(stage, run, files)
    return path


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A folder inside `path` to write a run in; when `seal` completed it, its files replace those of an earlier run.

    After an error the earlier run is unchanged. A kill can lose it only while files are renamed, at the very end. Until
    then `path` holds both runs.
    """
    stage = temporary_folder(path)
    try:
        yield stage
        if (stage / "run.json").exists():
            _put_in_place(stage, path)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def seal(folder: Path, run: Stored, files: list[Path]) -> None:
    """Complete a folder whose parts were written: write the head, then `run.json`.

    Args:
        folder: of the parts, from `staged`.
        run: the run; its parts are not written again.
        files: the files of its parts.
    """
    if run.head is not None:
        from safetensors.numpy import save as dump

        tensors = {"weight": np.ascontiguousarray(run.head.weight), "bias": np.ascontiguousarray(run.head.bias)}
        blob = dump({**tensors, "unit": np.ones(1, np.float32)} if run.head.unit else tensors)
        head_file = folder / "head.safetensors"
        write_atomic(head_file, lambda file: file.write(blob))
        files = [*files, head_file]
    _write_manifest(folder, run, files)


def _put_in_place(stage: Path, path: Path) -> None:
    """Rename the files of an earlier run out of the way, those in `stage` to their places; after an error, all back."""
    moves = [(file, stage / "earlier" / file.relative_to(path)) for file in _files(path)]
    moves += [(file, path / file.relative_to(stage)) for file in reversed(_files(stage))]  # run.json last
    done: list[tuple[Path, Path]] = []
    try:
        for folder in dict.fromkeys(target.parent for _, target in moves):
            folder.mkdir(parents=True, exist_ok=True)  # all that needs space, before anything is moved
        for source, target in moves:
            done.append((source, target))
            source.replace(target)
    except BaseException as error:
        for source, target in reversed(done):
            if not source.exists():  # else it was never moved, and `target` is not ours
                target.replace(source)
        if isinstance(error, OSError):
            raise storage_error(path, error) from error
        raise
    finally:
        _remove_empty(path)


def _files(folder: Path) -> list[Path]:
    """The files of the run in a folder, `run.json` first."""
    parts = [part / name for split in SPLITS for part in sorted((folder / split).glob("part-*")) for name in PART_FILES]
    return [file for file in (folder / "run.json", folder / "head.safetensors", *parts) if file.is_file()]


def _remove_empty(path: Path) -> None:
    """Remove folders of parts and splits that hold nothing."""
    for split in SPLITS:
        for folder in (*(path / split).glob("part-*"), path / split):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def write_part(folder: Path, part: Part, *, start: int = 0) -> list[Path]:
    """Write one part and return its files; `start` is the place of its first instance in the split, which counts in ids."""
    files = [folder / "features.npy"]
    write_atomic(files[0], lambda file: np.save(file, np.ascontiguousarray(part.features), allow_pickle=False))
    if part.logits is not None:
        logits = part.logits
        files.append(folder / "logits.npy")
        write_atomic(files[1], lambda file: np.save(file, np.ascontiguousarray(logits), allow_pickle=False))
    else:
        (folder / "logits.npy").unlink(missing_ok=True)
    files.append(folder / "instances.parquet")
    write_atomic(files[-1], lambda file: _write_instances(file, part, start))
    return files


def _write_instances(file: BinaryIO, part: Part, start: int) -> None:
    """Write label, id and further columns in row groups; those of another file are copied group by group."""
    writer: Any = None
    low = 0
    try:
        for known in _column_blocks(part):
            table = _instances(part, start, low, known)
            writer = writer or pq.ParquetWriter(file, table.schema, write_page_checksum=True)
            writer.write_table(table, row_group_size=ROW_GROUP)
            low += len(table)
    finally:
        if writer is not None:
            writer.close()


def _column_blocks(part: Part) -> Iterator[dict[str, Any]]:
    """The columns of consecutive instances, as Arrow arrays by name; at least one block."""
    names = list(part.columns())
    if not names:
        yield {}
    elif part.table is not None:
        yield {name: pa.array(part.table[name]) for name in names}
    elif not len(part):
        with readable(part.table_path):
            stored = pq.read_table(part.table_path, columns=names)
        yield {name: column.combine_chunks() for name, column in zip(names, stored.columns, strict=True)}
    else:
        with readable(part.table_path), pq.ParquetFile(part.table_path, page_checksum_verification=True) as table:
            for batch in table.iter_batches(ROW_GROUP, columns=names):
                yield dict(zip(batch.schema.names, batch.columns, strict=True))


def _instances(part: Part, start: int, low: int, known: dict[str, Any]) -> Any:
    size = len(next(iter(known.values()))) if known else len(part)
    labels = part.labels[low : low + size]
    columns: dict[str, Any] = {}
    if "id" not in known:
        columns["id"] = pa.array([str(i) for i in range(start + low, start + low + size)], pa.string())
    if labels.ndim == 1:
        columns["label"] = pa.array(labels)
    else:
        columns["label"] = pa.FixedSizeListArray.from_arrays(pa.array(labels.ravel()), labels.shape[1])
    return pa.table({**columns, **known})


def _check_meta(meta: Mapping[str, Any]) -> None:
    for key, value in meta.items():
        try:
            json.dumps({key: value}, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"meta[{key!r}] cannot be stored as JSON ({error}).",
                hint="Give text, numbers, true, false, lists and mappings of these.",
            ) from error


def _write_manifest(path: Path, run: Stored, files: list[Path]) -> None:
    """Write `run.json`, without which a folder is not a run."""
    manifest = {
        "schema": SCHEMA,
        "task": run.task,
        "classes": list(run.classes),
        "splits": {
            name: {"instances": len(split), "parts": len(split.parts), "features": split.dim}
            for name, split in run.splits.items()
        },
        **dict.fromkeys(EXPECTED_META),
        **{key: value for key, value in run.meta.items() if key not in MANIFEST},
        "versions": {**versions(), **dict(run.meta.get("versions", {}))},
        "files": {
            file.relative_to(path).as_posix(): {"bytes": file.stat().st_size, "sha256": sha256(file)}
            for file in sorted(files)
        },
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path / "run.json", text + "\n")
