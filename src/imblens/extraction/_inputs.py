"""From a batch of any data set to labels and the arguments of the network's forward."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imblens.base.wording import listed
from imblens.errors import InputError

LABEL_KEYS = ("labels", "label", "target", "targets", "y")
TEXT_KEYS = ("text", "sentence")
INPUT_KEYS = (
    "image",
    "img",
    "images",
    "pixel_values",
    "input",
    "inputs",
    "x",
    "data",
    "features",
    "feat",
)  # usual names
Label = str | int | Callable[[Any], Any] | None


@dataclass(frozen=True)
class Inputs:
    """The arguments of one forward pass.

    Attributes:
        args: positional arguments, nested structures of tensors.
        kwargs: keyword arguments likewise.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def leaves(self) -> list[torch.Tensor]:
        """Return all tensors, in order."""
        found: list[torch.Tensor] = []
        self.map(lambda tensor: found.append(tensor) or tensor)  # type: ignore[func-returns-value]
        return found

    def map(self, change: Callable[[torch.Tensor], Any], other: Callable[[Any], Any] | None = None) -> Inputs:
        """Return the same structure with `change` applied to every tensor, and `other` to objects that hold tensors."""
        return Inputs(
            tuple(map_nested(value, change, other) for value in self.args),
            {key: map_nested(value, change, other) for key, value in self.kwargs.items()},
        )

    @property
    def image(self) -> torch.Tensor | None:
        """The one tensor to which gradients are taken: the only tensor, or the only floating-point one (b, c, H, W)."""
        leaves = self.leaves()
        if len(leaves) > 1:
            leaves = [leaf for leaf in leaves if leaf.ndim == 4 and leaf.is_floating_point()]
        return leaves[0] if len(leaves) == 1 else None

    @property
    def given(self) -> Any:
        """What `forward=(model, inputs)` receives: the one positional argument, the tuple of several, or the mapping."""
        if self.kwargs:
            return dict(self.kwargs)
        return self.args[0] if len(self.args) == 1 else self.args

    def shapes(self) -> str:
        """Return the shapes for a message."""
        named = [f"{key} {_shape(value)}" for key, value in self.kwargs.items()]
        return ", ".join([*(_shape(value) for value in self.args), *named])


def map_nested(value: Any, change: Callable[[torch.Tensor], Any], other: Callable[[Any], Any] | None = None) -> Any:
    """Apply `change` to every tensor in nested mappings and sequences, `other` to objects with a method `to`."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        return value._replace(data=change(value.data))
    if isinstance(value, Mapping):
        return {key: map_nested(entry, change, other) for key, entry in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_nested(entry, change, other) for entry in value))
    if isinstance(value, (tuple, list)):
        return type(value)(map_nested(entry, change, other) for entry in value)
    return other(value) if other is not None and hasattr(value, "to") else value


class Signature:
    """Which arguments a network's forward takes.

    Attributes:
        whole: whether inputs are handed over as one argument instead of being spread.
        spread: whether any inputs so far could be spread.
    """

    def __init__(self, model: torch.nn.Module, *, custom: bool = False) -> None:
        """Read the signature; `custom`: a function of the user takes the inputs as they are."""
        self.custom, self.whole, self.spread = custom, False, False
        kinds = inspect.Parameter
        parameters = list(inspect.signature(model.forward).parameters.values())
        self.any_keyword = custom or any(p.kind is kinds.VAR_KEYWORD for p in parameters)
        self.keywords = {p.name for p in parameters if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)}
        positional = [p for p in parameters if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.POSITIONAL_ONLY)]
        unlimited = custom or any(p.kind is kinds.VAR_POSITIONAL for p in parameters)
        self.n_positional = 10**6 if unlimited else len(positional)
        self.positional = [p.name for p in positional]
        self.required = [p.name for p in positional if p.default is p.empty]

    def arguments(self, value: Any, name: str) -> Inputs:
        """Spread inputs: a mapping by keyword, a tuple or list by position, anything else as the one argument.

        An object whose attributes are all that forward requires (`x`, `edge_index`, `batch`) is spread by them.

        Raises:
            InputError: forward takes none of a mapping's keys and the mapping has not exactly one tensor.
        """
        if self.whole or isinstance(value, (torch.Tensor, torch.nn.utils.rnn.PackedSequence)):
            return Inputs((value,))
        self.spread = True
        if isinstance(value, Mapping):
            return self._keywords(value, name)
        if isinstance(value, (tuple, list)):
            return self._positions(value)
        if not self.custom and len(self.required) > 1 and all(hasattr(value, key) for key in self.required):
            return Inputs((), {key: getattr(value, key) for key in self.required})
        return Inputs((value,))

    def _positions(self, values: Sequence[Any]) -> Inputs:
        """By position; a mapping among them by keyword, where its keys are names of arguments that are still free."""
        args: list[Any] = []
        named: dict[str, Any] = {}
        for value in values:
            free = self.keywords - set(self.positional[: len(args)])
            if isinstance(value, Mapping) and args and not self.custom:
                known = bool(value) and set(value) <= free
                if known or (self.any_keyword and len(args) >= self.n_positional):
                    named |= value
                    continue
            args.append(value)
        return Inputs(tuple(args)[: self.n_positional], named)

    def _keywords(self, values: Mapping[str, Any], name: str) -> Inputs:
        if self.any_keyword:
            taken = {key: value for key, value in values.items() if self.custom or key not in (*LABEL_KEYS, *TEXT_KEYS)}
            return Inputs((), taken)
        taken = {key: value for key, value in values.items() if key in self.keywords}
        nested = [value for value in values.values() if isinstance(value, Mapping)]
        if not taken and len(nested) == 1 and self.keywords & set(nested[0]):
            return self._keywords(nested[0], name)
        if taken:
            return Inputs((), taken)
        usual = [key for key in INPUT_KEYS if isinstance(values.get(key), torch.Tensor)]
        if len(usual) == 1 and len(self.required) <= 1:
            return Inputs((values[usual[0]],))
        tensors = [value for value in values.values() if isinstance(value, torch.Tensor) and value.is_floating_point()]
        tensors = tensors or [value for value in values.values() if isinstance(value, torch.Tensor)]
        if len(tensors) == 1:
            return Inputs((tensors[0],))
        raise InputError(
            f"{name} yields a mapping with {sorted(map(str, values))}, and the network's forward takes "
            f"{sorted(self.keywords)}.",
            hint="Rename the keys, or pass forward=lambda model, inputs: ....",
        )


def divide_batch(batch: Any, label: Label, name: str) -> tuple[Any, Any]:
    """Divide a batch into inputs and labels.

    Args:
        batch: a mapping with a label key; a sequence whose last entry is the label; an object with `.y`.
        label: key, position, or function of the batch; None finds it.
        name: of the split, for messages.

    Raises:
        InputError: there are no labels.
    """
    if callable(label):
        if isinstance(batch, Mapping):
            return {k: v for k, v in batch.items() if k not in LABEL_KEYS}, label(batch)
        if isinstance(batch, (tuple, list)) and len(batch) > 1:
            return (batch[0] if len(batch) == 2 else tuple(batch[:-1])), label(batch)
        return batch, label(batch)
    if isinstance(batch, Mapping):
        key = label if label is not None else next((key for key in LABEL_KEYS if key in batch), None)
        if key is None or key not in batch:
            raise InputError(
                f"{name} yields a mapping with {sorted(map(str, batch))}, without "
                + (f"{label!r}." if label is not None else "labels."),
                hint="Name the key of the labels: label=KEY; labels, label, target, targets and y are found.",
            )
        return {other: value for other, value in batch.items() if other != key}, batch[key]
    if isinstance(batch, (tuple, list)):
        if isinstance(label, str) and batch and isinstance(batch[-1], Mapping) and label in batch[-1]:
            return (batch[0] if len(batch) == 2 else tuple(batch[:-1])), batch[-1][label]
        position = -1 if label is None else label
        if len(batch) < 2 or not isinstance(position, int) or not -len(batch) <= position < len(batch):
            raise InputError(
                f"{name} yields {kind_of(batch)}; it must yield pairs of inputs and label.",
                hint="Return the label last, or pass label=POSITION or label=function of the batch.",
            )
        rest = list(batch)
        labels = rest.pop(position)
        if label is None and isinstance(labels, Mapping) and not {"boxes", "bbox", "bboxes"} & set(labels):
            known = next((key for key in LABEL_KEYS if key in labels), next(iter(labels), None))
            labels = labels[known] if len(labels) == 1 or known in LABEL_KEYS else labels
        return (rest[0] if len(rest) == 1 else tuple(rest)), labels
    if hasattr(batch, "y") and label is None:
        return batch, batch.y
    if isinstance(label, str) and hasattr(batch, label):
        return batch, getattr(batch, label)
    raise InputError(
        f"{name} yields {kind_of(batch)}, which has no labels; it must yield pairs of inputs and label.",
        hint="Return (inputs, label) or a mapping with labels, or pass label=function of the batch.",
    )


def labels_array(labels: Any, name: str, classes: Sequence[str] | None) -> NDArray[Any]:
    """Return labels as numbers: tensors, lists of tensors, class names and nested lists.

    Raises:
        InputError: a name that is not a class, labels of segmentation or detection.
    """
    if isinstance(labels, (list, tuple)) and labels and isinstance(labels[0], torch.Tensor) and labels[0].ndim == 1:
        labels = torch.stack(tuple(labels), dim=1)  # multi-hot lists, collated column by column
    if isinstance(labels, Mapping) and not {"boxes", "bbox", "bboxes"} & set(labels):
        keys = [str(key) for key in labels]
        raise InputError(
            f"{name} labels are a mapping with several targets: {listed(keys, 8)}.",
            hint=f"Name the one that the network classifies: label={keys[0] if keys else 'NAME'!r}.",
        )
    if isinstance(labels, Mapping) or (isinstance(labels, (list, tuple)) and labels and isinstance(labels[0], Mapping)):
        raise InputError(
            f"{name} labels are mappings, as object detection has them.",
            hint="imblens reads classifiers: crop the objects and classify them, or give the class of each image.",
        )
    if hasattr(labels, "detach"):
        labels = labels.detach().cpu()
        labels = (labels.float() if labels.dtype is torch.bfloat16 else labels).numpy()
    array = np.asarray(labels)
    if array.ndim > 2:
        raise InputError(
            f"{name} labels have shape {array.shape}, one per pixel or token, as dense prediction has them.",
            hint="imblens reads classifiers: give one label per instance, such as the class that covers the most pixels.",
        )
    if array.dtype.kind == "f" and array.size and not np.isin(array % 1, (0.0,)).all() and array.ndim == 1:
        raise InputError(
            f"{name} labels hold {array[array % 1 != 0][0]}, which is not a whole number, as in regression.",
            hint="imblens reads classifiers: divide the target into ranges, and give the number of the range.",
        )
    if array.dtype.kind not in "USO" or array.ndim != 1:
        return array
    if all(isinstance(value, (int, np.integer)) for value in array.tolist()):
        return array.astype(np.int64)
    position = {str(c): i for i, c in enumerate(classes or ())}
    unknown = next((label for label in array.tolist() if str(label) not in position), None)
    if unknown is not None:
        raise InputError(
            f"{name} has the label {unknown!r}, which is not one of the classes.",
            hint="Pass classes=[...], the names in the order of the network's outputs; or label=POSITION, where the labels are "
            "another entry of the batch.",
        )
    return np.array([position[str(label)] for label in array.tolist()], dtype=np.int64)


def kind_of(items: Any) -> str:
    """Describe a batch in a message."""
    if isinstance(items, (tuple, list)):
        return f"({', '.join(type(item).__name__ for item in items)})"
    return type(items).__name__


def _shape(value: Any) -> str:
    if hasattr(value, "shape"):
        return f"{tuple(value.shape)} of {value.dtype}" if hasattr(value, "dtype") else str(tuple(value.shape))
    return kind_of(value)
