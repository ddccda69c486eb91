"""Arrays of other libraries as NumPy arrays: tensors, sparse and masked arrays, series, lists."""

from __future__ import annotations

from decimal import Decimal
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.errors import EntryError, InputError, ShapeError


def as_array(values: Any, name: str) -> NDArray[Any]:
    """Convert `values` to a NumPy array of one dimension or more without a copy where possible; a memory map stays one.

    PyTorch tensors of any device and dtype, SciPy sparse arrays, np.matrix, masked arrays without masked entries, pandas
    and polars columns, CuPy arrays, and objects with `__array__` or `__dlpack__` are accepted. Object arrays of numbers
    become numbers, bytes become text (UTF-8).

    Raises:
        ShapeError: rows of different lengths.
        InputError: masked entries, or a value that is not an array.
        EntryError: an entry of a matrix that is not a number.
    """
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.getmaskarray(values).any():
            raise InputError(
                f"{name} is a masked array with masked entries.", hint=f"Pass {name.split(': ')[-1]}.filled(value)."
            )
        values = values.data
    if isinstance(values, (list, tuple)) and any(hasattr(value, "detach") for value in values):
        values = [_converted(value) for value in values]
    try:
        array = _converted(values)
    except ValueError as error:
        raise ShapeError(f"{name} has rows of different lengths.", hint="Every row needs the same columns.") from error
    except Exception as error:  # whatever another library raises
        raise InputError(
            f"{name} of type {type(values).__name__} cannot be converted to a NumPy array ({error}).",
            hint="Convert it to a NumPy array first.",
        ) from error
    if array.dtype.kind == "V" and "float" in array.dtype.name:  # bfloat16 and float8 of ml_dtypes
        array = array.astype(np.float32)
    if array.ndim == 0:
        raise InputError(
            f"{name} must be an array, found {described(values)}.", hint="Give one row or one entry per instance."
        )
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    return _without_objects(array, name) if array.dtype.kind == "O" and array.size else array


def described(value: Any) -> str:
    """Name a value of an unexpected type in a message."""
    if isinstance(value, (str, PurePath)):
        return f"the {'text' if isinstance(value, str) else 'path'} {str(value)!r}"
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _without_objects(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Numbers kept as Python objects as an array of numbers; other objects as they are."""
    kinds = {type(value) for value in array.ravel().tolist()}
    if all(issubclass(kind, Integral) and not issubclass(kind, bool) for kind in kinds):
        try:
            return array.astype(np.int64)
        except OverflowError:
            return array.astype(np.float64)
    if all(issubclass(kind, (Real, Decimal)) and not issubclass(kind, bool) for kind in kinds):
        return array.astype(np.float64)
    if array.ndim == 1 and kinds & {list, tuple, np.ndarray}:
        rows: list[Any] = array.tolist() if kinds <= {list, tuple, np.ndarray} else []
        if len(sizes := {len(row) if getattr(row, "ndim", 1) else 0 for row in rows}) == 1 and sizes != {0}:
            return as_array(rows, name)  # a column of lists, as pandas and Arrow have them
        raise ShapeError(f"{name} has rows of different lengths.", hint="Every row needs the same columns.")
    if array.ndim == 2 and array.shape[1] > 1:
        place = next(place for place, value in np.ndenumerate(array) if not _number(value))
        raise EntryError(
            f"{name} holds {array[place]!r} in row {place[0]}, column {place[1]}; every entry of the argument must be "
            f"a number (a string is not a number).",
            hint="Drop or fill such entries.",
        )
    return array


def _number(value: Any) -> bool:
    return isinstance(value, (Real, Decimal)) and not isinstance(value, bool)


def _converted(values: Any) -> NDArray[Any]:
    if hasattr(values, "detach"):  # a PyTorch tensor, without importing torch
        values = values.detach().cpu()
        values = values.to_dense() if str(values.layout) != "torch.strided" else values
        values = values.float() if values.dtype.is_floating_point and values.dtype.itemsize < 4 else values
        return np.asarray(values.resolve_conj().resolve_neg().numpy())
    if hasattr(values, "to_pylist") and hasattr(values, "to_numpy"):  # an Arrow column, text among them
        return np.asarray(values.to_numpy(zero_copy_only=False))
    for dense in ("toarray", "to_numpy", "get"):  # SciPy, pandas and polars, CuPy
        if hasattr(values, dense) and not isinstance(values, (np.ndarray, dict)):
            return np.asarray(getattr(values, dense)())
    if isinstance(values, np.matrix):
        return np.asarray(values)
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "__dlpack__") and not hasattr(values, "__array__"):
        return np.from_dlpack(values)
    return np.asarray(values)
