"""Joining the shards of one capture into the run that one capture would have written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from imblens.base.files import claim
from imblens.base.locks import exclusive
from imblens.base.progress import tracked
from imblens.base.remote import fetched, written
from imblens.base.wording import listed
from imblens.errors import ExistsError, InputError, MissingError, StorageError
from imblens.run._additions import TO_COMPLETE, lacking_note, lacks
from imblens.run._box_columns import alignment_of_all, completed, fitted, missing_by_boxes, types_of_all
from imblens.run._class_order import permutation_note
from imblens.run._left_out import leave_out
from imblens.run._part import Part, readable
from imblens.run._read import read_part
from imblens.run._run import Run
from imblens.run._split import Split
from imblens.run._write import seal, staged, write_part

PART_ROWS = 100_000
PART_BYTES = 2**28
BATCH_ROWS = 1_024  # of the columns of a shard, read at a time
BUFFER = 2**20  # bytes of a column of a shard, read at a time
SAME = ("data", "model", "seed", "loss", "layer", "head", "preprocessing")  # facts that all shards share


def shard_note(index: int, of: int) -> str:
    """What a run states that is one shard of a capture."""
    return f"this is shard {index} of {of} of a capture, not all of its data; `imblens merge` joins them."


@exclusive
def merge(parts: Sequence[str | Path], out: str | Path, *, force: bool = False) -> Run:
    """Join the shards of one capture, given in any order, into the run that one capture would have written.

    Concepts and shortcuts need all training images: `imblens.extraction.complete` adds them to the merged run. An image of a
    shard without boxes has missing values in the columns of maps in boxes, and more maps may be kept for display than by one
    capture.

    Shard i of n holds the instances i, i + n, i + 2 n, ... of every split; they come back to their places. Where instances
    without a label were left out, those places are unknown: shards then follow each other, as a note states. The shards
    are read, never changed. `out` holds them once more; an earlier run in it stays until the new one is complete.

    Args:
        parts: the folders that `imblens capture --shard i/n` wrote, all n.
        out: folder to write.
        force: overwrite a run in it.

    Raises:
        MissingError: a shard is missing, or a folder is not a run.
        InputError: a shard was given twice; a run is not a shard; shards differ in network, data, classes or settings.
        ExistsError: `out` holds something, or is one of the shards.
        StorageError: the disk is full.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for i in (0, 1):  # as two captures would
        ...     shard = {"index": i, "of": 2, "instances": {"train": 4}}
        ...     run = Run.from_arrays(train=(np.eye(4)[i::2], [0, 1]), classes=["a", "b"], meta={"shard": shard})
        ...     _ = run.save(folder / str(i))
        >>> merge([folder / "1", folder / "0"], folder / "run").train.features.argmax(axis=1).tolist()
        [0, 1, 2, 3]
    """
    folders = [fetched(part) for part in parts]
    with written(out, force=force) as place:
        merged = _merged(folders, place, force)
    return merged


def _merged(folders: Sequence[Path], out: Path, force: bool) -> Run:
    for folder in folders:
        if folder.resolve() == out.resolve():
            raise ExistsError(f"--out {out} is one of the shards.", hint="Choose another folder for --out.")
    shards = _in_order(folders)
    _check_same(shards)
    claim(out, force=force)
    needed = sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())
    free = shutil.disk_usage(out).free
    if needed > free:
        raise StorageError(
            f"the merged run needs {needed / 1e9:.1f} GB in {out}, {free / 1e9:.1f} GB are free; nothing was written.",
            hint="Choose another --out.",
        )
    first = shards[0]
    interleaved = all(_complete(shards, name) for name in first.splits)
    files: list[Path] = []
    splits: dict[str, Any] = {"test": None}
    with staged(out) as stage:
        for name in first.splits:
            parts = []
            types = types_of_all(shards, name)
            for number, part in enumerate(_written([shard.splits[name] for shard in shards], types, interleaved)):
                place = stage / name / f"part-{number:05d}"
                files += write_part(place, leave_out(part, first.head))
                parts.append(read_part(place, len(first.classes)))
            splits[name] = Split(tuple(parts), first.classes, name, first.head)
        meta = {key: value for key, value in first.meta.items() if key not in ("shard", "notes")}
        if (maps := alignment_of_all(shards)) is not None:
            meta["alignment"] = maps
        notes = _notes(shards, interleaved)
        permuted = permutation_note(splits["test"] or splits["train"])
        if permuted is not None and permuted not in notes:
            notes.append(permuted)
        run = Run(head=first.head, classes=first.classes, task=first.task, meta=meta, **splits)
        if missing := lacks(run):
            notes.append(lacking_note(missing))
        else:
            meta.pop(TO_COMPLETE, None)
        seal(stage, replace(run, meta={**meta, "notes": notes}), files)
        del splits, parts, run  # Windows renames no file that is mapped
    return Run.load(out)


def _in_order(folders: Sequence[Path]) -> list[Run]:
    """The runs by number of their shard, all there and each once."""
    found: dict[int, Path] = {}
    runs: dict[int, Run] = {}
    of = None
    if not folders:
        raise MissingError("merge got no shard.", hint="Give what `imblens capture --shard i/n` wrote.")
    for folder in folders:
        run = Run.load(folder)
        shard = run.meta.get("shard")
        if not isinstance(shard, Mapping) or not {"index", "of", "instances"} <= set(shard):
            raise InputError(
                f"{folder} is not a shard, but a whole run.", hint="Give what `imblens capture --shard i/n` wrote."
            )
        index, number = int(shard["index"]), int(shard["of"])
        if of is not None and number != of:
            raise InputError(
                f"{folder} is one of {number} shards, {found[min(found)]} one of {of}.",
                hint="Capture all with the same n in --shard i/n.",
            )
        if index in found:
            raise InputError(
                f"shard {index}/{number} was given twice: {found[index]} and {folder}.", hint="Give every shard once."
            )
        of, found[index], runs[index] = number, folder, run
    assert of is not None
    missing = [f"{index}/{of}" for index in range(of) if index not in found]
    if missing:
        raise MissingError(
            f"of {of} shards, {listed(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
            hint=f"Capture with --shard {missing[0]}, and give it to merge too.",
        )
    return [runs[index] for index in range(of)]


def _check_same(shards: Sequence[Run]) -> None:
    """Refuse shards of different captures; the message names the first difference."""
    first = shards[0]
    for index, shard in enumerate(shards[1:], 1):
        different = None
        if shard.classes != first.classes:
            different = "classes"
        elif shard.task != first.task or shard.dim != first.dim or set(shard.splits) != set(first.splits):
            different = "kind of labels, number of features or splits"
        elif not _same_head(first, shard):
            different = "network: the weights of the last layer are not equal"
        else:
            different = next((key for key in SAME if _text(first.meta.get(key)) != _text(shard.meta.get(key))), None)
            if different is None and first.meta["shard"]["instances"] != shard.meta["shard"]["instances"]:
                different = "number of instances that were divided"
            elif different is None and first.meta["shard"].get("network") != shard.meta["shard"].get("network"):
                different = "network: the weights are not equal"
            elif different is None and _precision(first) != _precision(shard):
                different = "precision"
            elif different is None and _to_complete(first) != _to_complete(shard):
                different = "--concepts or --maps"
            elif different is None and (in_one := _in_one(first, shard)):
                different = f"columns of the instances: only one of them has {listed(in_one)}"
        if different is not None:
            raise InputError(
                f"shard 0 ({first.path}) and shard {index} ({shard.path}) differ in {different}.",
                hint="Capture all shards of one network and data set with the same options.",
            )


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _precision(run: Run) -> Any:
    return run.meta.get("capture", {}).get("precision")


def _to_complete(run: Run) -> str:
    return _text({key: value for key, value in run.meta.get(TO_COMPLETE, {}).items() if key != "command"})


def _in_one(one: Run, other: Run) -> list[str]:
    """The columns of instances that only one of two shards has."""
    pairs = ((split.columns, other.splits[name].columns) for name, split in one.splits.items())
    return sorted(set().union(*(set(first) ^ set(second) for first, second in pairs)) - missing_by_boxes(one, other))


def _same_head(one: Run, other: Run) -> bool:
    if one.head is None or other.head is None:
        return one.head is other.head
    same = np.array_equal(one.head.weight, other.head.weight) and np.array_equal(one.head.bias, other.head.bias)
    return same and one.head.unit == other.head.unit


def _complete(shards: Sequence[Run], name: str) -> bool:
    """Whether every shard holds all instances of a split that fell to it."""
    total = int(shards[0].meta["shard"]["instances"].get(name, -1))
    return all(len(run.splits[name]) == len(range(index, total, len(shards))) for index, run in enumerate(shards))


def _written(splits: Sequence[Split], types: Mapping[str, Any], interleaved: bool) -> Iterator[Part]:
    """The parts of a merged split, in bounded memory."""
    if not interleaved:
        for split in tracked(splits, "merging"):
            yield from (fitted(part, types) for part in split.parts)
        return
    total, n = sum(map(len, splits)), len(splits)
    stored = splits[0].has_logits and any(part.logits is not None for split in splits for part in split.parts)
    width = 4 * (splits[0].dim + (splits[0].n_classes if stored else 0)) + _column_bytes(splits) // max(total, 1)
    step = max(1, min(PART_ROWS, PART_BYTES // width) // n) * n
    columns = [_Columns(split, types) for split in splits] if types else []
    for low in tracked(range(0, total, step), "merging"):
        high = min(low + step, total)
        pieces = [_rows(split, low // n, low // n + len(range(low + i, high, n))) for i, split in enumerate(splits)]
        yield _interleaved(pieces, columns, high - low, splits[0] if stored else None)


def _column_bytes(splits: Sequence[Split]) -> int:
    """Bytes of the columns of all instances before compression: thumbnails are many times as large as the features."""
    files = [pq.read_metadata(part.table_path) for split in splits for part in split.parts]
    return sum(file.row_group(group).total_byte_size for file in files for group in range(file.num_row_groups))


class _Columns:
    """The columns of the instances of a split, each read once, from the first instance to the last."""

    def __init__(self, split: Split, types: Mapping[str, Any]) -> None:
        self._batches = (batch for part in split.parts for batch in _batches(part, types))
        self._read: list[Any] = []

    def following(self, n_rows: int) -> pd.DataFrame:
        """Those of the next instances."""
        known = sum(map(len, self._read))
        while known < n_rows:
            self._read.append(next(self._batches))
            known += len(self._read[-1])
        table = pa.concat_tables(self._read, promote_options="permissive")  # a column may be empty in one part
        self._read = [table.slice(n_rows)] if known > n_rows else []
        return table.slice(0, n_rows).to_pandas()


def _batches(part: Part, types: Mapping[str, Any]) -> Iterator[Any]:
    """Columns of a part on disk, some rows at a time."""
    with (
        readable(part.table_path),
        pq.ParquetFile(part.table_path, page_checksum_verification=True, buffer_size=BUFFER) as table,
    ):
        names = set(table.schema_arrow.names)
        for batch in table.iter_batches(BATCH_ROWS, columns=[name for name in types if name in names]):
            yield completed(pa.Table.from_batches([batch]), types)


def _rows(split: Split, low: int, high: int) -> list[tuple[Part, slice]]:
    """The parts of a split that hold those rows, with the rows of each."""
    found, start = [], 0
    for part in split.parts:
        first, last = max(low - start, 0), min(high - start, len(part))
        if first < last:
            found.append((part, slice(first, last)))
        start += len(part)
    return found


def _interleaved(
    pieces: Sequence[list[tuple[Part, slice]]], columns: Sequence[_Columns], n_rows: int, with_logits: Split | None
) -> Part:
    n = len(pieces)
    known = [part for piece in pieces for part, _ in piece]
    features = np.empty((n_rows, known[0].features.shape[1]), np.float32)
    labels = np.empty((n_rows, *known[0].labels.shape[1:]), known[0].labels.dtype)
    logits: NDArray[Any] | None = None
    if with_logits is not None:
        logits = np.empty((n_rows, with_logits.n_classes), np.float32)
    for i, piece in enumerate(pieces):
        at = i
        for part, rows in piece:
            to = slice(at, at + n * (rows.stop - rows.start), n)
            features[to], labels[to] = part.features[rows], part.labels[rows]
            if logits is not None and with_logits is not None:
                logits[to] = with_logits.logits_in(part, rows)
            at = to.stop
    if not columns:
        return Part(features, labels, logits)
    shares = [range(i, n_rows, n) for i in range(n)]
    tables = [of_shard.following(len(share)) for of_shard, share in zip(columns, shares, strict=True) if len(share)]
    order = np.argsort(np.concatenate([np.array(share) for share in shares]))
    return Part(features, labels, logits, pd.concat(tables, ignore_index=True).iloc[order].reset_index(drop=True))


def _notes(shards: Sequence[Run], interleaved: bool) -> list[str]:
    """What all shards state once, and what some state with the number of the shard."""
    stated = [
        [note for note in run.meta.get("notes", ()) if note != shard_note(index, len(shards))]
        for index, run in enumerate(shards)
    ]
    common = [note for note in stated[0] if all(note in notes for notes in stated)]
    own = [
        f"shard {index}/{len(shards)}: {note}"
        for index, notes in enumerate(stated)
        for note in notes
        if note not in common
    ]
    order = [] if interleaved else ["instances are in the order of the shards, since some were left out."]
    return [*common, *own, *order]
