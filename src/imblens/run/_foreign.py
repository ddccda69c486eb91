"""Arrays of other libraries as NumPy arrays: tensors, sparse and masked arrays, series, lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.errors import InputError, ShapeError


def as_array(values: Any, name: str) -> NDArray[Any]:
    """Convert `values` to a NumPy array without a copy where possible; a memory map stays one.

    PyTorch tensors of any device and dtype, SciPy sparse arrays, np.matrix, masked arrays without masked entries, pandas
    and polars columns, CuPy arrays, and objects with `__array__` or `__dlpack__` are accepted. Object arrays of integers
    or of text become integers or text.

    Raises:
        ShapeError: rows of different lengths.
        InputError: masked entries, or a value that is no array.
    """
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.getmaskarray(values).any():
            raise InputError(f"{name} is a masked array with masked entries.", hint=f"Pass {name}.filled(value).")
        values = values.data
    if isinstance(values, (list, tuple)) and any(hasattr(value, "detach") for value in values):
        values = [as_array(value, name) for value in values]
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
    if array.dtype.kind == "O" and array.size:
        kinds = {type(value) for value in array.ravel().tolist()}
        if all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds):
            array = array.astype(np.int64)
        elif array.ndim == 1 and kinds & {list, tuple, np.ndarray}:
            raise ShapeError(f"{name} has rows of different lengths.", hint="Every row needs the same columns.")
    return array


def _converted(values: Any) -> NDArray[Any]:
    if hasattr(values, "detach"):  # a PyTorch tensor, without importing torch
        values = values.detach().cpu()
        values = values.to_dense() if str(values.layout) != "torch.strided" else values
        values = values.float() if values.dtype.is_floating_point and values.dtype.itemsize < 4 else values
        return np.asarray(values.resolve_conj().resolve_neg().numpy())
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
