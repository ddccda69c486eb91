"""Validation of features, labels and class names: checked once on entry, trusted everywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.errors import InputError, ShapeError
from imblens.run._foreign import as_array
from imblens.run._rounding import Extent
from imblens.run._spool import row_by_row

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

_ILLEGIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def number_matrix(values: Any, name: str) -> NDArray[Any]:
    """Check a (N, D) matrix of finite numbers and return it in its own dtype, without a copy where possible.

    Raises:
        ShapeError: not two-dimensional, or without rows or columns.
        InputError: masked, not numeric, NaN or infinite.
    """
    array = as_array(values, name)
    if array.ndim != 2 or 0 in array.shape:
        raise ShapeError(
            f"{name} must be a matrix (instances, columns) with at least one of each, found shape {array.shape}.",
            hint="Pool or flatten feature maps to one row per instance.",
        )
    if array.dtype.kind not in "fiu":
        raise InputError(
            f"{name} must hold real numbers, found dtype {array.dtype}.",
            hint="Give the features of a network, or encode the columns as numbers first.",
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    _refuse_not_finite(array, name)
    return array  # a memory map stays one


def features_matrix(values: Any, name: str) -> Floats:
    """Check a (N, D) matrix of finite numbers and return it as float32, without a copy where possible.

    Raises:
        ShapeError: not two-dimensional, or without rows or columns.
        InputError: masked, not numeric, NaN or infinite, or not representable as float32.
    """
    array = number_matrix(values, name)
    if array.dtype == np.float32:
        return array
    extent = Extent(array.shape[1])
    for rows in row_blocks(*array.shape):
        extent.update(array[rows])
    if extent.largest.max() > np.finfo(np.float32).max:
        raise InputError(
            f"{name} holds values up to {extent.largest.max():.3g}, more than float32 can hold.",
            hint=f"Scale it, for example {name} / {name}.std().",
        )
    if extent.blurred.any():
        column = int(np.flatnonzero(extent.blurred)[0])
        raise InputError(
            f"{name} column {column} varies by {(extent.high - extent.low)[column]:.3g} around "
            f"{extent.largest[column]:.3g}: float32 would blur it.",
            hint=f"Subtract the column means ({name} - {name}.mean(axis=0)) and scale before auditing.",
        )
    if isinstance(array, np.memmap):
        return row_by_row(array, lambda rows: rows, np.float32, f"{name} as float32 need")
    return array.astype(np.float32)


def labels_vector(values: Any, name: str, classes: Sequence[str], n_instances: int) -> NDArray[Any]:
    """Check labels against classes: (N,) integers in [0, C) or (N, C) multi-hot; return int64 or uint8.

    Raises:
        ShapeError: the length is not `n_instances`, or the second axis not C.
        InputError: not integers, out of range, or a multi-hot entry other than 0 and 1.
    """
    array = one_column(as_array(values, name), name)
    if array.ndim not in (1, 2):
        raise ShapeError(f"{name} must have shape (N,) or (N, C), found {array.shape}.", hint="Give one label per row.")
    if len(array) != n_instances:
        raise ShapeError(
            f"{name} has {len(array)} rows, the features {n_instances}.",
            hint="Give one label per feature row.",
        )
    if array.ndim == 2:
        return _multi_hot(array, name, len(classes))
    whole = _whole_numbers(array, name)
    low, high = int(whole.min()), int(whole.max())
    if low < 0 or high >= len(classes):
        raise InputError(
            f"{name} holds {low if low < 0 else high}, but there are {len(classes)} classes (0 to {len(classes) - 1}).",
            hint="Number the classes from 0, and give one class name, logit column and head row for each.",
        )
    return whole


def one_column(labels: Any, name: str) -> NDArray[Any]:
    """Return labels as an array, those of shape (N, 1) as (N,): one class alone cannot be compared."""
    array = as_array(labels, name)
    return array.reshape(-1) if array.ndim == 2 and array.shape[1] == 1 else array


def class_names(values: Any, n_classes: int | None) -> tuple[str, ...]:
    """Check that class names are unique text, at least two, and `n_classes` where that is known."""
    if isinstance(values, (str, bytes)):
        raise InputError("classes must be a sequence of names, found one text.", hint="Give ['cat', 'dog', ...].")
    if isinstance(values, Set):
        raise InputError("classes is a set, which has no order.", hint="Give a list, in the order of the labels.")
    values = list(values) if isinstance(values, Iterable) and not hasattr(values, "dtype") else values
    if np.ndim(values) != 1:
        raise InputError(f"classes must be a sequence of names, found {values!r}.", hint="Give ['cat', 'dog', ...].")
    given = np.asarray(values).tolist()
    names = tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in given)
    if n_classes is not None and len(names) != n_classes:
        raise ShapeError(
            f"there are {len(names)} class names for {n_classes} classes.",
            hint="Give one name for every logit column and head row.",
        )
    if any(not name.strip() for name in names):
        raise InputError("a class name is blank.", hint="Give every class a name.")
    odd = next((name for name in names if legible(name) != name), None)
    if odd is not None:
        code = next(ord(a) for a, b in zip(odd, legible(odd), strict=True) if a != b)
        raise InputError(
            f"the class name {odd!r} holds the character U+{code:04X}, which no drawing can show.",
            hint="Rename the class.",
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"the class name {twice!r} appears twice.", hint="Class names must differ.")
    if len(names) < 2:
        raise InputError(
            f"there are {len(names)} classes; comparing classes needs at least two.",
            hint="Give labels of two classes or more.",
        )
    return names


def named_labels(parts: Sequence[tuple[str, Any]]) -> tuple[list[NDArray[np.int64]], tuple[str, ...]]:
    """Number labels of any kind (text, integers with gaps) by their sorted values.

    Negative integers are refused: -1 often stands for "unlabelled", and would become a class.

    Args:
        parts: (argument name, labels) of each split.

    Returns:
        The numbered labels of each split and the class names.
    """
    arrays = []
    for name, values in parts:
        array = as_array(values, name)
        if array.ndim != 1 or not len(array):
            raise ShapeError(
                f"{name} must have shape (N,), N > 0, found {array.shape}.", hint="Give one label per row."
            )
        if array.dtype.kind == "O":
            refuse_mixed_labels(array.tolist(), name)
            array = array.astype(str)
        arrays.append(array if array.dtype.kind in "US" else _whole_numbers(array, name))
    if len({a.dtype.kind in "US" for a in arrays}) > 1:
        raise InputError("train and test labels differ in kind (text and numbers).", hint="Give both in one kind.")
    values = np.unique(np.concatenate(arrays))
    if values.dtype.kind == "i" and values[0] < 0:
        raise InputError(
            f"labels hold {values[0]}, below 0.", hint="Number the classes from 0; drop instances without a label."
        )
    order = numeric_order(values.tolist()) if values.dtype.kind == "U" else np.arange(len(values))
    names = class_names(values[order], None)
    place = np.argsort(order)
    return [place[np.searchsorted(values, a)].astype(np.int64) for a in arrays], names


def numeric_order(sorted_names: Sequence[str]) -> NDArray[np.int64]:
    """Return the places of names in order: numeric where all are whole numbers, else as they are.

    >>> numeric_order(["10", "2", "9"]).tolist(), numeric_order(["a", "b"]).tolist()
    ([1, 2, 0], [0, 1])
    """
    if all(name.isascii() and name.isdecimal() for name in sorted_names):
        return np.array(
            sorted(range(len(sorted_names)), key=lambda k: (int(sorted_names[k]), sorted_names[k])), np.int64
        )
    return np.arange(len(sorted_names))


def alike_names(names: Sequence[str]) -> str | None:
    """State class names that differ only in case or blanks, which are often one class; None where there are none."""
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(" ".join(name.casefold().split()), name)
        if first != name:
            return f"The classes {first!r} and {name!r} differ only in case or blanks: are they one class?"
    return None


def refuse_mixed_labels(labels: Sequence[Any], name: str) -> None:
    """Refuse labels as objects that are not all text.

    Raises:
        InputError: names one of the rarer kind, such as the text among numbers, or the None among names.
    """
    other = [(row, value) for row, value in enumerate(labels) if not isinstance(value, str)]
    if not other:
        return
    rarer = other
    if 2 * len(other) > len(labels):
        rarer = [(row, value) for row, value in enumerate(labels) if isinstance(value, str)]
        rarer += [(row, value) for row, value in other if not isinstance(value, Integral)]
    row, odd = (rarer or other)[0]
    raise InputError(
        f"{name} holds {odd!r} in row {row}; labels must be all text or all integers.",
        hint="Drop or name those instances first.",
    )


def legible(text: str) -> str:
    """Replace what XML, and so a drawing, cannot hold (control characters, lone surrogates) by U+FFFD."""
    return _ILLEGIBLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _whole_numbers(array: NDArray[Any], name: str) -> Labels:
    if not len(array):
        raise ShapeError(f"{name} is empty.", hint="Give at least one instance.")
    if array.dtype.kind not in "iufb":
        raise InputError(f"{name} must be integers, found dtype {array.dtype}.", hint="Number the classes from 0.")
    if array.dtype.kind == "f":
        odd = ~np.isfinite(array) | (array != np.floor(array))
        if odd.any():
            raise InputError(
                f"{name} holds {array[odd][0]!s}, which is not a whole number.",
                hint="Number the classes from 0.",
            )
    if array.dtype.kind == "u" and array.max() > np.iinfo(np.int64).max:
        raise InputError(f"{name} holds {array.max()}, too large for a label.", hint="Number the classes from 0.")
    return array.astype(np.int64)


def _multi_hot(array: NDArray[Any], name: str, n_classes: int) -> NDArray[np.uint8]:
    if array.shape[1] != n_classes:
        raise ShapeError(
            f"{name} has {array.shape[1]} columns for {n_classes} classes.", hint="Give one column per class."
        )
    whole = array.dtype.kind in "iufb"
    if not whole or not np.isin(array, (0, 1)).all():
        raise InputError(f"{name} must hold only 0 and 1.", hint="A multi-hot row marks each class that applies.")
    return array.astype(np.uint8)


def _refuse_not_finite(array: NDArray[Any], name: str) -> None:
    if array.dtype.kind != "f":
        return
    step = max(1, 2**24 // array.shape[1])
    for start in range(0, len(array), step):
        block = array[start : start + step]
        # one pass without a mask: a sum is not finite when a term is not (or when it overflows, checked next)
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not np.isfinite(block.sum(dtype=np.float64))
        if suspicious:
            bad = ~np.isfinite(block)
            if bad.any():
                row, column = np.argwhere(bad)[0]
                raise InputError(
                    f"{name} holds NaN or infinite values (first in row {start + row}, column {column}).",
                    hint="Drop those instances, or capture again with a network whose output is finite.",
                )


def stated_balance(meta: Mapping[str, Any]) -> bool | None:
    """What `head_balanced` states; None where nothing is stated.

    Raises:
        InputError: it is neither true nor false.
    """
    stated = meta.get("head_balanced")
    if stated is None or isinstance(stated, bool):
        return stated
    raise InputError(f"head_balanced is {stated!r}.", hint="Give true or false, or leave it out.")
