"""Other conventions for labels and logits, recognised by one rule each and stated: one-hot, -1, probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.base.wording import counted
from imblens.errors import InputError

Array = NDArray[Any]
MANY = 20  # logits; below, all may lie in [0, 1] by chance


def labels_of_one_hot(labels: Mapping[str, Array]) -> dict[str, Array] | None:
    """Return (N,) labels where every row of every split has exactly one 1 and training has more rows than classes."""
    for name, array in labels.items():
        if array.ndim != 2 or array.shape[1] < 2 or array.dtype.kind not in "iufb":
            return None
        if not (np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all()):
            return None
        if name == "train" and len(array) <= array.shape[1]:
            return None
    return {name: array.argmax(axis=1) for name, array in labels.items()}


def labelled_rows(labels: Mapping[str, Array]) -> dict[str, NDArray[np.bool_]]:
    """(N,) which rows of a split have a label, for splits with -1; empty where -1 is in training too."""

    def unlabelled(array: Array) -> NDArray[np.bool_]:
        if array.ndim != 1 or array.dtype.kind not in "if":
            return np.zeros(len(array), np.bool_)
        return np.asarray(array == -1)

    if unlabelled(labels["train"]).any():
        return {}
    rows = {name: ~unlabelled(array) for name, array in labels.items()}
    for name, labelled in rows.items():
        if len(labelled) and not labelled.any():
            raise InputError(f"all {name}_labels are -1, unlabelled.", hint=f"Leave out the {name} split.")
    return {name: labelled for name, labelled in rows.items() if not labelled.all()}


def logits_of_probabilities(logits: Mapping[str, Array], *, multilabel: bool) -> dict[str, Array] | None:
    """Return log p, or log(p / (1 - p)) in multi-label data, where all logits given are probabilities; else None.

    Rule: every value is in [0, 1], not all are 0 or 1, and in single-label data every row sums to 1 (to 0.01).
    """
    if not logits or not all(_every(array, lambda block: (block >= 0) & (block <= 1)) for array in logits.values()):
        return None
    if only_0_and_1(logits):
        return None
    if multilabel and sum(array.size for array in logits.values()) < MANY:
        return None
    if not multilabel and not all(
        _every(array, lambda block: np.abs(block.sum(axis=1) - 1) <= 0.01) for array in logits.values()
    ):
        return None
    converted = {}
    for name, array in logits.items():
        converted[name] = np.empty(array.shape, np.float32)
        for rows in row_blocks(*array.shape):
            p = np.maximum(array[rows].astype(np.float64), 1e-30)
            below = np.maximum(1 - array[rows].astype(np.float64), 1e-30) if multilabel else 1.0
            converted[name][rows] = np.log(p / below)
    return converted


def only_0_and_1(logits: Mapping[str, Array]) -> bool:
    """Whether there are logits and all are 0 or 1, as predictions are."""
    return bool(logits) and all(_every(array, lambda block: (block == 0) | (block == 1)) for array in logits.values())


def _every(array: Array, holds: Callable[[Array], Array]) -> bool:
    """Whether a condition holds for all values, tested in blocks of rows up to the first that it does not hold for."""
    return all(holds(array[rows]).all() for rows in row_blocks(*array.shape))


def left_out_note(name: str, labelled: NDArray[np.bool_]) -> str:
    """State how many instances without a label were left out."""
    return f"{name}: {counted(int((~labelled).sum()), 'instance')} with label -1 (unlabelled) left out."


def classes_of_mapping(
    classes: Mapping[Any, Any], labels: Mapping[str, Array]
) -> tuple[tuple[str, ...], dict[str, Array]]:
    """Return class names and labels for a mapping of label values to names, such as `id2label`.

    Numeric keys (also as text, "0") are in numeric order, others in the order given. A mapping of names to numbers
    (`label2id`) is turned round.

    Raises:
        InputError: a label is not a key.

    Example:
        >>> names, labels = classes_of_mapping({7: "dog", 3: "cat"}, {"train": np.array([7, 3, 7])})
        >>> names, labels["train"].tolist()
        (('cat', 'dog'), ['dog', 'cat', 'dog'])
    """
    pairs = list(classes.items())
    if pairs and all(isinstance(k, str) and _is_number(v) and not isinstance(v, str) for k, v in pairs):
        pairs = [(v, k) for k, v in pairs]
    if all(_is_number(key) for key, _ in pairs):
        pairs = sorted((int(key), name) for key, name in pairs)
    names = tuple(str(name) for _, name in pairs)
    known = {str(key): str(name) for key, name in pairs}
    return names, {split: _renamed(array, known, set(names), split) for split, array in labels.items()}


def _renamed(array: Array, known: Mapping[str, str], names: set[str], split: str) -> Array:
    """Labels as class names; multi-hot labels as they are."""
    if array.ndim != 1:
        return array
    values, places = np.unique(array.astype(str) if array.dtype.kind == "O" else array, return_inverse=True)
    texts = [str(int(v)) if array.dtype.kind == "f" and float(v).is_integer() else str(v) for v in values.tolist()]
    for text in texts:
        if text not in known and text not in names:
            raise InputError(f"{split}_labels hold {text!r}, which classes does not name.", hint="Add it to classes.")
    return np.array([known.get(text, text) for text in texts])[places.reshape(-1)]


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.isdecimal()
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
