"""Parquet in the layout of Hugging Face `datasets`: `image` and `label`, or multi-hot `labels` and `boxes`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as types
from numpy.typing import NDArray

from imblens.base.memory import refuse_too_large
from imblens.data._assemble import SPLITS, assemble, number_labels, one_label_each, unique_ids
from imblens.data._entries import (
    BoxNotes,
    Named,
    boxes_without_label,
    patients_array,
    settle_uncertain,
    with_boxes,
)
from imblens.data._images import Boxes, ImageSet, ImageSplit
from imblens.data._sources import EncodedSource
from imblens.data.layouts._columns import PATIENT, ColumnNames, ReadOptions, find_column, read_splits, split_column
from imblens.data.layouts._parquet_values import (
    CORNERS,
    box_tables,
    check_boxes,
    class_names_of,
    encoded_images,
    label_array,
    label_values,
)
from imblens.errors import InputError, MissingError

_NAME = re.compile(rf"({'|'.join(sorted(SPLITS, key=len, reverse=True))})(?:[-_.].*)?\.parquet", re.IGNORECASE)
_IMAGE = ("image", "img", "images", "jpg", "png", "image_bytes", "bytes")
_LABEL = ("label", "labels", "target", "targets", "class", "fine_label", "class_label", "category", "classes", "y")
_TILE_NAME = re.compile(r"(.+)_r\d+c\d+")  # source image, row and column of a tile
_NIH_NAME = re.compile(r"(\d{8})_\d{3}\.png")  # patient and follow-up
_BATCH = 512  # rows decoded at once: a dictionary page can repeat one large value without end
_TEXT_LIMIT = 16 * 2**20  # bytes of one text in the metadata
_TOO_LARGE = "Store the images as class folders, which are read image by image."
_FEWEST_BYTES = 8  # per row and file: no image is smaller, so more rows than that are a bomb


@dataclass(frozen=True)
class _Split:
    encoded: pa.ChunkedArray
    labels: NDArray[Any] | list[Any]
    ids: NDArray[np.object_]
    boxes: tuple[Boxes, ...] | None
    names: tuple[str, ...] | None
    patients: NDArray[np.object_] | None
    unread: str | None
    where: list[str | None] | None = None  # the split of each row, from a column
    notes: tuple[str, ...] = ()

    def rows_of(self, split: str) -> NDArray[np.int64]:
        """Return the rows that a column assigns to a split; those without a value are train."""
        assert self.where is not None
        return np.array([i for i, name in enumerate(self.where) if (name or "train") == split], dtype=np.int64)

    def taken(self, rows: NDArray[np.int64]) -> _Split:
        """Return some of the rows."""
        labels = [self.labels[i] for i in rows.tolist()]
        return replace(
            self,
            encoded=self.encoded.take(rows),
            labels=labels,
            ids=self.ids[rows],
            boxes=None if self.boxes is None else tuple(self.boxes[i] for i in rows.tolist()),
            patients=None if self.patients is None else self.patients[rows],
            where=None,
        )


def split_files(root: Path) -> dict[str, list[Path]]:
    """Return the Parquet files of each split in a folder or its `data` folder, shards in order."""
    found: dict[str, list[Path]] = {}
    for folder in (root, root / "data"):
        for path in sorted(folder.glob("*.parquet")) if folder.is_dir() else []:
            match = _NAME.fullmatch(path.name)
            if match and path.is_file():
                found.setdefault(SPLITS[match[1].lower()], []).append(path)
        if found:
            return found
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        shards = sorted(folder.glob("*.parquet")) if folder.is_dir() else []
        if shards and folder.name.lower() in SPLITS:
            found.setdefault(SPLITS[folder.name.lower()], []).extend(shards)
    return found


def holds_images(path: Path, columns: ColumnNames) -> bool:
    """Return whether a Parquet file has a column of images; True for one that cannot be read, which is an error later."""
    try:
        return find_column(_open(path).schema_arrow.names, _IMAGE, columns.image, str(path)) is not None
    except InputError:
        return True


def has_splits(path: Path, columns: ColumnNames) -> bool:
    """Return whether a Parquet file has a column that gives the split of each row."""
    return split_column(_open(path).schema_arrow.names, columns.split, str(path))[0] is not None


def read_parquet(root: Path, files: dict[str, list[Path]], options: ReadOptions) -> ImageSet:
    """Read splits from Parquet files with encoded images.

    Columns: `image` (struct with `bytes`, or binary); `label` (number or text) or `labels` (multi-hot lists, in which -1
    or null is uncertain, or lists of class numbers where the schema names the classes); optional `boxes` (or a column
    that ends in `_boxes`): lists of structs with label, x0, y0, x1, y1 in pixels; optional `image_id` and
    `patient_id` (NIH's image names contain the patient). Class names come from the schema's `huggingface`
    or `label_names` metadata. A single file may hold the splits in a column. `options.columns` states other names.

    Raises:
        MissingError: no train files, or no such columns; the message lists those present.
        InputError: damaged files, more rows than the file can hold, rows without image or label.
    """
    if "train" not in files:
        listed = ", ".join(p.name for paths in files.values() for p in paths)
        raise MissingError(
            f"{root} holds {listed} but no train*.parquet.", hint="Name the training file train.parquet."
        )
    read: dict[str, _Split] = {}
    columns = options.columns
    for split in ("train", "test", "val"):
        if split in files:
            by_column = set(files) == {"train"} or columns.split is not None
            read[split] = _read_split(split, files[split], columns, by_column=by_column)
    remarks = [note for part in read.values() for note in part.notes]
    if len(read) == 1 and read["train"].where is not None:
        whole = read["train"]
        parts = {split: whole.rows_of(split) for split in ("train", "test", "val")}
        if not len(parts["train"]):
            raise MissingError(f"{root}: no row is of the split train.", hint="Add the training images.")
        read = {split: whole.taken(rows) for split, rows in parts.items() if len(rows)}
    names = read["train"].names
    for split, part in read.items():
        if part.names != names:
            raise InputError(
                f"{root}: the class names of {split} differ from those of train.", hint="Write all with one schema."
            )
    raw = {split: label_array(part.labels, names, f"{root}: {split}") for split, part in read.items()}
    unknown = {split: array < 0 for split, array in raw.items() if array.ndim == 2}
    known = {split: np.where(unknown[split], 0, array) if split in unknown else array for split, array in raw.items()}
    labels, classes = number_labels(known, names, str(root))
    labels, single = one_label_each(labels)
    splits, notes, changes = {}, [*remarks, *single], BoxNotes()
    source_facts = {"path": str(root), "layout": "parquet"}
    if columns.group is not None:
        source_facts["group"] = columns.group
    if all(part.patients is None for part in read.values()):
        for pattern, what, names_of in (
            (_NIH_NAME, "patient", "NIH ChestX-ray14"),
            (_TILE_NAME, "source image", "SOURCE_rROWcCOLUMN (tiles of one image)"),
        ):
            named = {split: _named_groups(part.ids, pattern) for split, part in read.items()}
            if all(groups is not None for groups in named.values()):
                read = {split: replace(part, patients=named[split]) for split, part in read.items()}
                source_facts["group"] = what
                notes.append(f"{what.capitalize()}s are taken from the image names, which follow {names_of}.")
                break
    unread = sorted({part.unread for part in read.values() if part.unread is not None})
    if unread:
        notes.append(f"Boxes are those of the column boxes; not read: {', '.join(unread)}.")
    for split, part in read.items():
        check_boxes(part.boxes, len(classes), f"{root}: {split}")
        source = EncodedSource(part.encoded, f"{root.name}/{split}")
        images = ImageSplit(
            labels[split],
            part.ids,
            source,
            np.arange(len(part.ids)),
            unknown=None if labels[split].ndim == 1 else unknown.get(split),
            patients=part.patients,
        )
        if part.boxes is not None:
            images = with_boxes(images, part.boxes, [None] * len(images), changes)
        splits[split], line = settle_uncertain(images, options.uncertain, split)
        notes += line
    notes += boxes_without_label(splits)
    return assemble(
        root.resolve().name, splits, classes, seed=options.seed, source=source_facts, notes=[*changes.lines(), *notes]
    )


def read_box_table(path: Path) -> dict[str, list[Named]]:
    """Read the boxes of a Parquet file that has `image_id` and `boxes` (or `*_boxes`), by image.

    Raises:
        InputError, MissingError: it has no such columns, or does not name the classes.
    """
    file = _open(path)
    schema = file.schema_arrow
    boxes = _box_column(schema)
    if boxes is None or "image_id" not in schema.names:
        raise MissingError(
            f"{path} has no columns image_id and boxes; its columns: {', '.join(schema.names) or 'none'}.",
            hint="Boxes are lists of structs with label, x0, y0, x1, y1.",
        )
    names = class_names_of(schema, "labels", boxes)
    if names is None:
        raise InputError(f"{path} does not name the classes of its boxes.", hint="Write label_names into the schema.")
    found: dict[str, list[Named]] = {}
    for batch in _batches(path, file, ["image_id", boxes]):
        tables = box_tables(batch.column(boxes), path)
        check_boxes(tuple(tables), len(names), str(path))
        for name, table in zip(batch.column("image_id").to_pylist(), tables, strict=True):
            found[str(name)] = [(names[int(label)], *corners) for label, *corners in table.tolist()]
    return found


def _read_split(split: str, paths: Sequence[Path], stated: ColumnNames, *, by_column: bool) -> _Split:
    images: list[pa.Array] = []
    labels: list[Any] = []
    own_ids: list[str | None] = []
    patients: list[Any] = []
    splits: list[str] = []
    split_name, held_out = "", None
    boxes: list[Boxes] | None = None
    names: tuple[str, ...] | None = None
    unread = None
    total = 0
    for k, path in enumerate(paths):
        file = _open(path)
        columns = _columns(path, file.schema_arrow, stated)
        there = file.schema_arrow.names
        at, held_out = split_column(there, stated.split, str(path)) if by_column else (None, None)
        if at is not None and there[at] not in columns.values():
            columns["split"] = split_name = there[at]
        found = class_names_of(file.schema_arrow, columns["label"], columns.get("boxes"))
        if k and found != names:
            raise InputError(f"the class names of {path} differ from those of {paths[0]}.", hint="Use one schema.")
        names = found
        unread = next((n for n in file.schema_arrow.names if n.endswith("_boxes") and n != columns.get("boxes")), None)
        start = len(labels)
        for batch in _batches(path, file, list(columns.values())):
            first = len(labels) - start
            encoded, paths_inside = encoded_images(batch.column(columns["image"]), path, first)
            total += encoded.nbytes
            refuse_too_large(total, f"{path}: the encoded images take", hint=_TOO_LARGE)
            images.append(encoded)
            labels += label_values(batch.column(columns["label"]), path, first)
            own_ids += batch.column(columns["id"]).to_pylist() if "id" in columns else paths_inside
            patients += batch.column(columns["patient"]).to_pylist() if "patient" in columns else [None] * len(encoded)
            if "split" in columns:
                splits += ["" if v is None else str(v) for v in batch.column(columns["split"]).to_pylist()]
            if "boxes" in columns:
                boxes = [] if boxes is None else boxes
                boxes += box_tables(batch.column(columns["boxes"]), path)
        if len(labels) - start != file.metadata.num_rows:
            raise InputError(
                f"{path} states {file.metadata.num_rows} rows, but has {len(labels) - start}.",
                hint="Write the file again.",
            )
    if not labels:
        raise InputError(f"{paths[0]} holds no rows.", hint=f"Leave out {split}, or fill it.")
    if boxes is not None and len(boxes) != len(labels):
        raise InputError(f"some files of {split} have boxes, others not.", hint="Write all with one schema.")
    ids = unique_ids(own_ids, split, len(labels))
    chunks = pa.chunked_array(images, type=pa.large_binary())
    whom = patients_array([None if p is None else str(p) for p in patients])
    where, notes = None, list[str]()
    if splits:
        where, notes = read_splits(
            splits, split_name, test=held_out, stated=stated.split is not None, at=lambda i: f"{paths[0]} row {i}"
        )
    made = None if boxes is None else tuple(boxes)
    return _Split(chunks, labels, ids, made, names, whom, unread, where if where and any(where) else None, tuple(notes))


def _named_groups(ids: NDArray[np.object_], pattern: re.Pattern[str]) -> NDArray[np.object_] | None:
    """Return (N,) groups from the images' names; None unless all images have such names."""
    found = [pattern.fullmatch(name) for name in ids.tolist()]
    return patients_array([match[1] for match in found if match]) if all(found) else None


def _open(path: Path) -> Any:
    try:
        file = pq.ParquetFile(
            path,
            thrift_string_size_limit=_TEXT_LIMIT,
            thrift_container_size_limit=10**6,
            page_checksum_verification=True,
        )
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error
    size, meta = path.stat().st_size, file.metadata
    unpacked = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    if meta.num_rows > 10**6 and meta.num_rows * _FEWEST_BYTES > size:
        raise InputError(
            f"{path} claims {meta.num_rows:,} images in {size / 1e6:.1f} MB.",
            hint="No image is that small: do not read the file unless you made it.",
        )
    refuse_too_large(unpacked, f"{path} unpacks to", hint=_TOO_LARGE)
    return file


def _batches(path: Path, file: Any, columns: list[str]) -> Iterator[Any]:
    try:
        for batch in file.iter_batches(batch_size=_BATCH, columns=columns, use_threads=False):
            batch.validate(full=True)  # text that is not UTF-8
            yield batch
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return InputError(f"{path} cannot be read as Parquet: {first}", hint="Copy or write it again.")


def _columns(path: Path, schema: pa.Schema, stated: ColumnNames) -> dict[str, str]:
    there = schema.names
    found = {}
    for what, known, given in (("image", _IMAGE, stated.image), ("label", _LABEL, stated.label)):
        place = find_column(there, known, given, str(path))
        if place is None:
            raise MissingError(
                f"{path} has no column {known[0]!r}; its columns: {', '.join(there) or 'none'}.",
                hint="It needs `image` (encoded bytes) and `label` (or multi-hot `labels`); --image-column and "
                "--label-column state other names.",
            )
        found[what] = there[place]
    if "image_id" in there and types.is_string(schema.field("image_id").type):
        found["id"] = "image_id"
    boxes = _box_column(schema)
    if boxes is not None:
        found["boxes"] = boxes
    group = find_column(there, PATIENT, stated.group, str(path))
    if group is not None:
        found["patient"] = there[group]
    return found


def _box_column(schema: pa.Schema) -> str | None:
    names = ["boxes", *(name for name in schema.names if name.endswith("_boxes"))]
    return next((name for name in names if name in schema.names and _is_box_list(schema.field(name).type)), None)


def _is_box_list(kind: pa.DataType) -> bool:
    if not (types.is_list(kind) or types.is_large_list(kind)) or not types.is_struct(kind.value_type):
        return False
    inside = {kind.value_type.field(i).name for i in range(kind.value_type.num_fields)}
    return inside.issuperset({"label", *CORNERS})
