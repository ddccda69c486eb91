"""Splits and a head from the arrays that a user passes: each is checked here once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.wording import listed
from imblens.errors import InputError, ShapeError
from imblens.run._conventions import (
    classes_of_mapping,
    labelled_rows,
    labels_of_one_hot,
    left_out_note,
    logits_of_probabilities,
    only_0_and_1,
)
from imblens.run._foreign import as_array, described
from imblens.run._group_columns import checked_groups, group_tables
from imblens.run._head import Head, centred_head
from imblens.run._part import Part
from imblens.run._rounding import stored_features
from imblens.run._split import Split
from imblens.run._validation import (
    alike_names,
    class_names,
    features_matrix,
    labels_vector,
    named_labels,
    number_matrix,
    one_column,
)

Arrays = Sequence[Any]
Classes = Sequence[str] | Mapping[Any, Any]


@dataclass(frozen=True)
class Checked:
    """What `Run.from_arrays` makes of the arrays that it is given.

    Attributes:
        splits: by name.
        head: of the features as they are stored, or None.
        notes: a sentence for every conversion.
        centre: (D,) what was subtracted from the features, or None.
    """

    splits: dict[str, Split]
    head: Head | None
    notes: list[str]
    centre: NDArray[np.float64] | None


def splits_of(
    arrays: Mapping[str, Arrays],
    *,
    head: Any | None,
    classes: Classes | None,
    task: str | None = None,
    read: bool = False,
    centre: NDArray[np.float64] | None = None,
    groups: Any = None,
) -> Checked:
    """Check arrays and convert them; see `Run.from_arrays`.

    Args:
        arrays: (features, labels) or (features, labels, logits) of every split, "train" among them.
        head: weight and bias, or a layer.
        classes: C names, or a mapping of label values to names, or None.
        task: "multilabel" keeps labels (N, C) with one 1 in every row; None takes them as single labels.
        read: whether features and logits are finite float32 matrices, checked where they were read from a table.
        centre: (D,) what was subtracted from the features before.
        groups: a group per instance by split, or None.
    """
    notes: list[str] = []
    given = {name: _triple(values, name) for name, values in arrays.items()}
    raw = {name: values[0] if read else number_matrix(values[0], f"{name}_features") for name, values in given.items()}
    whose: dict[str, NDArray[Any]] = checked_groups(groups, {name: len(matrix) for name, matrix in raw.items()})
    dim = raw["train"].shape[1]
    for name, matrix in raw.items():
        if matrix.shape[1] != dim:
            raise ShapeError(
                f"{name}_features has {matrix.shape[1]} columns, train_features {dim}.",
                hint="Capture all splits with the same network.",
            )
    logits = {
        name: values[2] if read else features_matrix(values[2], f"{name}_logits")
        for name, values in given.items()
        if values[2] is not None
    }
    layer = None if head is None else _weight_and_bias(head)
    if _one_logit(logits, layer, dim):
        logits, layer = two_columns(logits, layer)
        notes.append("One logit z was taken as two classes with logits (0, z).")
    labels: dict[str, NDArray[Any]] = {name: values[1] for name, values in given.items()}
    n_classes = _count_classes(labels, logits, layer, dim)
    labels = _of_task(labels, task, notes)
    for name, labelled in labelled_rows(labels).items():
        notes.append(left_out_note(name, labelled))
        kinds: tuple[dict[str, NDArray[Any]], ...] = (raw, labels, logits, whose)
        for arrays_of in kinds:
            if name in arrays_of and len(arrays_of[name]) == len(labelled):
                arrays_of[name] = arrays_of[name][labelled]
    labels, names = _numbered(labels, classes, n_classes, notes)
    for name in given:
        labels[name] = labels_vector(labels[name], f"{name}_labels", names, len(raw[name]))
        expected = (len(raw[name]), len(names))
        if name in logits and logits[name].shape != expected:
            raise ShapeError(
                f"{name}_logits has shape {logits[name].shape}; {expected[0]} instances and {expected[1]} classes "
                f"need {expected}.",
                hint="Give one row per instance and one column per class.",
            )
    multilabel = {array.ndim == 2 for array in labels.values()}
    if len(multilabel) > 1:
        raise ShapeError("the splits' labels differ in kind.", hint="Give all as (N,) or all as (N, C).")
    converted = logits_of_probabilities(logits, multilabel=True in multilabel)
    if converted is not None:
        logits = converted
        notes.append("The logits given are probabilities; they were converted to logits by the logarithm.")
    elif only_0_and_1(logits):
        notes.append("The logits given hold only 0 and 1, as predictions do: measures of confidence have no meaning.")
    alike = alike_names(names)
    notes += [] if alike is None else [alike]
    features, storing = stored_features(raw)
    if storing is not None:
        notes += storing.notes()
        centre = storing.centre if storing.centre.any() else None
    last = None if layer is None else Head.checked(*layer, dim=dim, n_classes=len(names))
    if last is not None and layer is not None and centre is not None:
        last = centred_head(last, layer[0], layer[1], centre)
    tables = group_tables(whose)
    splits = {
        name: Split((Part(features[name], labels[name], logits.get(name), tables.get(name)),), names, name, last)
        for name in given
    }
    _two_classes(splits["train"])
    return Checked(splits, last, notes, centre)


def _of_task(labels: dict[str, NDArray[Any]], task: str | None, notes: list[str]) -> dict[str, NDArray[Any]]:
    """Labels as single labels where they are one-hot, unless the task is stated otherwise."""
    single = labels_of_one_hot(labels) if task != "multilabel" else None
    if single is not None:
        labels = single
        notes.append("Labels are one-hot (exactly one 1 in every row) and were taken as single labels.")
    if task == "multiclass" and any(array.ndim == 2 for array in labels.values()):
        raise InputError("the labels are not single labels.", hint="Leave out task, or give labels of shape (N,).")
    if task == "multilabel" and any(array.ndim == 1 for array in labels.values()):
        raise InputError("the labels are single labels, (N,).", hint="Leave out task, or give rows of 0 and 1, (N, C).")
    return labels


def _numbered(
    labels: dict[str, NDArray[Any]], classes: Classes | None, n_classes: int | None, notes: list[str]
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Labels as numbers of the classes, whose names are given, or the sorted values of the labels."""
    if isinstance(classes, Mapping):
        classes, labels = classes_of_mapping(classes, labels)
        notes.append(f"Classes are in the order of the keys of classes: {listed(classes)}.")
    if classes is None and n_classes is None:
        numbered, names = named_labels([(f"{name}_labels", values) for name, values in labels.items()])
        if names != tuple(map(str, range(len(names)))):
            notes.append(f"Classes are the values of the labels, in sorted order: {listed(names)}.")
        labels = dict(zip(labels, numbered, strict=True))
    else:
        names = class_names(range(n_classes) if classes is None and n_classes else classes, n_classes)
        labels = {name: as_indices(values, names, named=classes is not None) for name, values in labels.items()}
    return labels, names


def _one_logit(logits: Mapping[str, NDArray[Any]], layer: tuple[Any, Any] | None, dim: int) -> bool:
    """Whether logits and head have one column for two classes."""
    widths = {array.shape[1] for array in logits.values()}
    shape = None if layer is None else tuple(np.shape(layer[0]))
    rows = set() if shape is None else {shape[0] if len(shape) == 2 and shape[1] == dim else 0}
    return widths | rows == {1}


def two_columns(
    logits: Mapping[str, NDArray[Any]], layer: tuple[Any, Any] | None
) -> tuple[dict[str, NDArray[Any]], tuple[Any, Any] | None]:
    """Return logits (n, 1) as (0, z), and a head of one row as that of two classes; probabilities become log-odds."""
    wide = {name: np.asarray(array, np.float64) for name, array in logits.items()}
    if wide and layer is None and all(((a >= 0) & (a <= 1)).all() for a in wide.values()):
        wide = {name: np.log(np.maximum(a, 1e-30)) - np.log(np.maximum(1 - a, 1e-30)) for name, a in wide.items()}
    found = {name: np.hstack([0 * a, a]).astype(np.float32) for name, a in wide.items()}
    if layer is not None:
        weight, bias = np.asarray(layer[0]), np.zeros(1) if layer[1] is None else np.asarray(layer[1]).reshape(-1)
        layer = (np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias]))
    return found, layer


def _triple(values: Any, name: str) -> tuple[Any, Any, Any]:
    if not isinstance(values, (tuple, list)) or len(values) not in (2, 3):
        raise ShapeError(
            f"{name} must be (features, labels) or (features, labels, logits).",
            hint="Pass a tuple of arrays.",
        )
    return values[0], one_column(values[1], f"{name}_labels"), values[2] if len(values) == 3 else None


def _weight_and_bias(head: Any) -> tuple[Any, Any]:
    """The weight and bias of a pair, of a weight alone, or of a layer that has both."""
    if hasattr(head, "weight"):  # a torch.nn.Linear, or our own Head
        head = (head.weight, getattr(head, "bias", None))
    if not isinstance(head, (tuple, list)) or len(head) not in (1, 2):
        raise InputError(
            f"head must be (weight, bias) of the last linear layer, or the layer itself; found {described(head)}.",
            hint="Pass head=(weight, bias), with weight of shape (classes, features), or head=model.fc.",
        )
    bias = head[1] if len(head) == 2 else None
    return as_array(head[0], "head_weight"), None if bias is None else as_array(bias, "head_bias")


def _count_classes(
    labels: Mapping[str, NDArray[Any]], logits: Mapping[str, Any], head: tuple[Any, Any] | None, dim: int
) -> int | None:
    for array in logits.values():
        return int(array.shape[1])
    if head is not None:
        shape = tuple(np.shape(head[0]))
        if len(shape) != 2:
            return None
        turned = shape[1] != dim and shape[0] == dim  # then its columns are the classes, and `Head.checked` reports it
        return int(shape[1] if turned else shape[0])
    for array in labels.values():
        if array.ndim == 2:
            return int(array.shape[1])
    return None


def as_indices(labels: NDArray[Any], names: tuple[str, ...], *, named: bool) -> NDArray[Any]:
    """Replace class names by their positions; leave numbers unchanged."""
    if labels.dtype.kind not in "USO" or labels.ndim != 1:
        return labels
    position = {name: i for i, name in enumerate(names)}
    unknown = next((v for v in labels.tolist() if str(v) not in position), None)
    if unknown is not None and not named:
        raise InputError(
            f"the labels are text ({unknown!r}), and the order of the {len(names)} classes in logits or head is unknown.",
            hint="Pass classes=[...] in the order of the logit columns.",
        )
    if unknown is not None:
        raise ShapeError(f"the label {unknown!r} is not one of the class names.", hint=f"They are: {', '.join(names)}.")
    return np.array([position[str(v)] for v in labels.tolist()], dtype=np.int64)


def _two_classes(train: Split) -> None:
    if not train.multilabel and np.count_nonzero(train.class_counts) < 2:
        raise ShapeError(
            "train_labels holds fewer than two classes.",
            hint="Comparing classes needs instances of two or more.",
        )
