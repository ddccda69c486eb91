"""What the columns and the schema of a Parquet file hold: encoded images, labels, boxes, class names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types
from numpy.typing import NDArray

from imblens.data._images import Boxes
from imblens.errors import InputError, ShapeError

CORNERS = ("x0", "y0", "x1", "y1")


def encoded_images(column: pa.Array, path: Path, first: int) -> tuple[pa.Array, list[str | None]]:
    """Return the encoded bytes and the paths beside them."""
    paths: list[str | None] = [None] * len(column)
    if types.is_struct(column.type):
        inside = {column.type.field(i).name for i in range(column.type.num_fields)}
        if "path" in inside:
            paths = pc.struct_field(column, "path").to_pylist()
        column = pc.struct_field(column, "bytes") if "bytes" in inside else column
    if not (types.is_binary(column.type) or types.is_large_binary(column.type)):
        raise InputError(
            f"{path}: the image column holds {column.type}, not encoded bytes.",
            hint="Store PNG or JPEG bytes, as `datasets` does when it writes Parquet.",
        )
    if column.null_count:
        row = int(np.flatnonzero(np.asarray(column.is_null()))[0])
        raise InputError(
            f"{path} row {first + row} has no image (only a path, or nothing).",
            hint="Embed the encoded bytes in the column, or leave the row out.",
        )
    return column.cast(pa.large_binary()), paths


def label_values(column: pa.Array, path: Path, first: int) -> list[Any]:
    values: list[Any] = column.to_pylist()
    row = next((i for i, v in enumerate(values) if v is None), None)
    if row is not None:
        raise InputError(f"{path} row {first + row} has no label.", hint="Label it, or leave the row out.")
    return [[-1 if item is None else item for item in v] if isinstance(v, list) else v for v in values]


def box_tables(column: pa.Array, path: Path) -> list[Boxes]:
    """Return per row (n, 5) float32 of class and corners."""
    lengths = np.asarray(pc.list_value_length(column).fill_null(0))
    flat = pc.list_flatten(column)
    fields = [pc.struct_field(flat, name) for name in ("label", *CORNERS)]
    if any(f.null_count for f in fields):
        raise InputError(f"{path}: a box lacks its class or a corner.", hint="Give label, x0, y0, x1, y1.")
    try:
        table = np.stack([np.asarray(f).astype(np.float32) for f in fields], axis=1)  # (boxes, 5)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: boxes must hold numbers.", hint="The label of a box is a class number.") from error
    return np.split(table, np.cumsum(lengths)[:-1])


def check_boxes(boxes: tuple[Boxes, ...] | None, n_classes: int, where: str) -> None:
    if boxes is None:
        return
    for i, box in enumerate(boxes):
        label, x0, y0, x1, y1 = box.T
        known = (label >= 0) & (label < n_classes) & (label == np.floor(label))
        good = known & np.isfinite(box).all(axis=1) & (x1 > x0) & (y1 > y0)
        if not good.all():
            odd = box[~good][0].tolist()
            raise InputError(
                f"{where} row {i} has the box {odd} (class, x0, y0, x1, y1).",
                hint=f"x1 and y1 must lie beyond x0 and y0, and the class be 0 to {n_classes - 1}.",
            )


def label_array(labels: NDArray[Any] | list[Any], names: tuple[str, ...] | None, where: str) -> NDArray[Any]:
    """Return (N,) numbers or text, or (N, C) multi-hot."""
    if not isinstance(labels[0], list):
        array = np.asarray(labels)
        if array.dtype.kind == "b":
            array = np.where(array, "true", "false")
        return array.astype(object) if array.dtype.kind == "U" else array
    widths = {len(row) for row in labels}
    ternary = all(v in (0, 1, -1) for row in labels for v in row)
    if len(widths) == 1 and ternary and widths != {0} and (names is None or widths == {len(names)}):
        return np.array(labels, dtype=np.int8)
    if any(not isinstance(v, int) for row in labels for v in row):
        raise InputError(
            f"{where}: the lists of labels must hold whole numbers.", hint="Give multi-hot rows of 0 and 1."
        )
    if names is None:
        raise ShapeError(
            f"{where}: lists of labels have lengths {sorted(widths)[:5]} and no class names are given.",
            hint="Give multi-hot rows of one length, or name the classes in the schema.",
        )
    hot = np.zeros((len(labels), len(names)), dtype=np.uint8)
    for i, row in enumerate(labels):
        if any(not 0 <= v < len(names) for v in row) or len(set(row)) != len(row):
            raise InputError(
                f"{where} row {i} has labels {row}; there are {len(names)} classes.",
                hint="Give multi-hot rows with one 0 or 1 per class, or the numbers of the classes that apply.",
            )
        hot[i, row] = 1
    return hot


def class_names_of(schema: pa.Schema, label: str, boxes: str | None) -> tuple[str, ...] | None:
    """Return the class names that the schema's metadata holds, or None. Broken metadata counts as none."""
    meta = schema.metadata or {}
    features = _dig(_json(meta.get(b"huggingface")), "info", "features")
    return (
        _texts(_dig(_inner(_dig(features, label)), "names"))
        or _texts(_json(meta.get(b"label_names")))
        or _texts(_dig(_inner(_dig(features, boxes)), "label", "names"))
    )


def _json(text: bytes | None) -> Any:
    try:
        return json.loads(text or b"null")
    except (ValueError, RecursionError):
        return None


def _dig(value: Any, *keys: str | None) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _inner(feature: Any) -> Any:
    """Return what a list feature holds, in either of the ways that `datasets` has written it."""
    if isinstance(feature, list) and len(feature) == 1:
        return feature[0]
    inner = _dig(feature, "feature")
    return feature if inner is None else inner


def _texts(names: Any) -> tuple[str, ...] | None:
    if isinstance(names, dict):  # {"0": "cat", "1": "dog"}
        names = list(names.values())
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        return None
    return tuple(names)
