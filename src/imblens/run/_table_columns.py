"""Columns of a record batch as NumPy arrays: numbers, lists of numbers, labels of every kind, text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from imblens.errors import InputError, ShapeError

PREVIEW = 300  # characters of a text that are kept
DROP = "Fill or drop those rows first."


def plain(array: pa.Array, name: str, row: int, *, per_row: int = 1) -> pa.Array:
    """Return an array without nulls, dictionary or extension type.

    Args:
        array: a column of a batch.
        name: of the column.
        row: number of its first row in the table.
        per_row: values of one row.

    Raises:
        InputError: a null; the message names column and row.
    """
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    if len(array) and (array.null_count or pa.types.is_null(array.type)):
        first = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0]) // per_row
        raise InputError(f"the column {name!r} has no value in row {row + first}.", hint=DROP)
    return array


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is a list of any kind."""
    checks = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")
    return any(getattr(pa.types, check)(kind) for check in checks if hasattr(pa.types, check))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is text of any kind."""
    checks = ("is_string", "is_large_string", "is_string_view")
    return any(getattr(pa.types, check)(kind) for check in checks if hasattr(pa.types, check))


def numbers(array: pa.Array, name: str, row: int) -> NDArray[Any]:
    """Return a column of numbers as (n, 1), of lists of D numbers as (n, D), in their own dtype.

    Raises:
        ShapeError: lists of different lengths, or empty ones.
        InputError: nulls, NaN or infinite values, or other types.
    """
    array = plain(array, name, row)
    values = array
    if is_list(array.type):
        lengths = _lengths(array)
        odd = np.flatnonzero(lengths != lengths[:1])
        if odd.size or (lengths.size and not lengths[0]):
            at = int(odd[0]) if odd.size else 0
            raise ShapeError(
                f"the column {name!r} holds lists of different lengths: {lengths[0]} values in row {row}, "
                f"{lengths[at]} in row {row + at}."
                if odd.size
                else f"the column {name!r} holds empty lists.",
                hint="Pool or pad to one vector of the same length per row.",
            )
        values = plain(array.flatten(), name, row, per_row=max(1, int(lengths[0]) if lengths.size else 1))
    kind = values.type
    if pa.types.is_decimal(kind):
        values = values.cast(pa.float64())
    elif pa.types.is_boolean(kind):
        values = values.cast(pa.uint8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        what = "lists of lists" if is_list(kind) else f"{array.type}"
        hint = "Pool to one vector per row." if is_list(kind) else "Encode it as numbers, or leave the column out."
        raise InputError(f"the column {name!r} holds {what}, not numbers.", hint=hint)
    matrix: NDArray[Any] = values.to_numpy(zero_copy_only=False).reshape(len(array), -1)
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = matrix.dtype.kind == "f" and not np.isfinite(matrix.sum(dtype=np.float64))
    if suspicious:
        bad = np.argwhere(~np.isfinite(matrix))
        if bad.size:
            raise InputError(
                f"the column {name!r} holds NaN or infinite values (first in row {row + int(bad[0][0])}).", hint=DROP
            )
    return matrix


def labels(array: pa.Array, name: str, row: int) -> NDArray[Any] | list[list[Any]] | pa.Array:
    """Return a column of labels: (n,) integers or bool; lists as lists; text as an Arrow array.

    Raises:
        InputError: nulls, NaN, or a type that cannot be a label.
    """
    array = plain(array, name, row)
    kind = array.type
    if is_list(kind):
        lengths = _lengths(array)
        plain(array.flatten(), name, row, per_row=max(1, int(lengths.max()) if lengths.size else 1))
        if not (is_text(kind.value_type) or _is_number(kind.value_type) or pa.types.is_dictionary(kind.value_type)):
            raise InputError(f"the label column {name!r} holds {kind}.", hint="Give lists of 0 and 1, or of classes.")
        lists: list[list[Any]] = array.to_pylist()
        return lists
    if is_text(kind):
        return array
    if not _is_number(kind):
        raise InputError(f"the label column {name!r} holds {kind}.", hint="Labels are text, integers, or lists.")
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    if values.dtype.kind == "f":
        odd = np.flatnonzero(~np.isfinite(values) | (values != np.floor(values)))
        if odd.size:
            raise InputError(
                f"the label column {name!r} holds {values[odd[0]]!s} in row {row + int(odd[0])}, not a whole number.",
                hint="Labels are text or integers. imblens audits classifiers, not regression.",
            )
        return values.astype(np.int64)
    return values


def texts(array: pa.Array, name: str, row: int, *, most: int | None = None) -> pa.Array:
    """Return a column as text, at most `most` characters of each.

    Raises:
        InputError: nulls, or a type without a text form.
    """
    array = plain(array, name, row)
    try:
        array = array.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"the column {name!r} holds {array.type}, not text.", hint="Name another column.") from error
    return array if most is None else pc.utf8_slice_codeunits(array, 0, most)


def multi_hot(lists: Sequence[Sequence[Any]]) -> NDArray[np.uint8] | None:
    """Return lists of 0 and 1 of one length as (n, C); None where they are something else."""
    lengths = {len(values) for values in lists}
    if len(lengths) != 1 or min(lengths) < 2:
        return None
    array = np.asarray(lists)
    if array.dtype.kind not in "iufb" or not np.isin(array, (0, 1)).all():
        return None
    return array.astype(np.uint8)


def _lengths(array: pa.Array) -> NDArray[np.int64]:
    if pa.types.is_fixed_size_list(array.type):
        return np.full(len(array), array.type.list_size, np.int64)
    return array.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def list_column(values: NDArray[Any]) -> pd.Series[Any]:
    """A column of lists of one length, kept as one block of numbers."""
    array = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    return pd.Series(pd.arrays.ArrowExtensionArray(array))
