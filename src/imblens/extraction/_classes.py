"""The order of classes: of the labels, and of the network's outputs."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.wording import listed
from imblens.errors import InputError
from imblens.run import class_names


@dataclass(frozen=True)
class ClassOrder:
    """From the numbering of the labels to that of the network's outputs.

    Attributes:
        names: of the labels, in their order.
        places: (C,) the output of each label.
    """

    names: tuple[str, ...]
    places: NDArray[np.int64]

    def apply(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Renumber (N,) labels, or reorder the columns of (N, C)."""
        if labels.ndim == 2:
            return labels[:, np.argsort(self.places)] if labels.shape[1] == len(self.places) else labels
        whole = labels.astype(np.int64)
        inside = (whole >= 0) & (whole < len(self.places)) & (whole == labels)
        return np.where(inside, self.places[np.clip(whole, 0, len(self.places) - 1)], labels)

    def apply_boxes(self, boxes: Sequence[NDArray[Any]] | None) -> Sequence[NDArray[Any]] | None:
        """Renumber the classes of boxes (n, 5)."""
        if boxes is None:
            return None
        return [
            np.column_stack([self.apply(b[:, 0]), b[:, 1:]]).astype(np.float32) if len(b) else b
            for b in map(np.asarray, boxes)
        ]


@dataclass(frozen=True)
class Names:
    """What is known of class names, before the network runs and after.

    Attributes:
        known: in the order of the network's outputs, as given; None where no names are given.
        order: how labels are renumbered, or None.
        notes: sentences on what was assumed.
        of_data: whether the names are those that the data set knows, and not the caller's.
        of_outputs: C checked names in the order of the outputs; empty until `fitting`.
    """

    known: Sequence[str] | None
    order: ClassOrder | None
    notes: tuple[str, ...]
    of_data: bool
    of_outputs: tuple[str, ...] = ()

    @classmethod
    def found(cls, model: Any, classes: Any, outputs: Any, of_data: Sequence[str] | None) -> Names:
        """From what the caller gives, or else from what the data set knows, and the network's own order."""
        known, order, notes = class_order(model, classes if of_data is None else of_data, outputs)
        return cls(known, order, tuple(notes), of_data is not None)

    @property
    def of_labels(self) -> Sequence[str] | None:
        """The names in the order of the labels."""
        return self.known if self.order is None else list(self.order.names)

    @property
    def number(self) -> int | None:
        """C, where it is known.

        Raises:
            InputError: the names cannot be used.
        """
        return None if self.known is None else len(class_names(self.known, None))

    def fitting(self, n_outputs: int) -> Names:
        """The names of that many outputs; those of a data set are not used where they are fewer or more.

        Raises:
            ShapeError: the caller's names are fewer or more.
        """
        if self.of_data and self.number != n_outputs:
            note = f"the data set names {self.number} classes, the network has {n_outputs} outputs: not used."
            return Names(None, None, (note,), True, class_names(range(n_outputs), n_outputs))
        checked = class_names(range(n_outputs) if self.known is None else self.known, n_outputs)
        return replace(self, of_outputs=checked)

    def unlabelled(self, class_counts: NDArray[np.int64]) -> str | None:
        """A sentence where the classes have no names, and the last outputs have no training label."""
        labelled = int(class_counts.nonzero()[0].max()) + 1
        if self.known is not None or labelled == len(self.of_outputs):
            return None
        return (
            f"the network has {len(self.of_outputs)} outputs, and the training labels hold {labelled} classes: the other "
            "outputs are kept as classes without instances. If the prediction is another output, pass classes= or forward=."
        )


def class_order(model: Any, classes: Any, outputs: Any) -> tuple[list[str] | None, ClassOrder | None, list[str]]:
    """Return names in the order of the network's outputs, how labels are renumbered, and sentences.

    Raises:
        InputError: names of outputs and labels differ.
    """
    given = None if classes is None else by_value(classes)
    own = None if outputs is None else [str(name) for name in by_value(outputs)]
    if own is None:
        mapping = getattr(getattr(model, "config", None), "id2label", None)
        if isinstance(mapping, Mapping) and not all(str(v).startswith("LABEL_") for v in mapping.values()):
            own = by_value(mapping)
            own = own if given is None else _spelled(own, given)
            if given is not None and sorted(own) != sorted(given):
                own = None  # the names of another task, such as those of the pretrained network
    if own is not None and given is not None:
        own = _spelled(own, given)
    if own is None or own == given:
        return given, None, []
    if given is None:
        return own, None, [f"classes are named by the network's id2label: {listed(own, 10)}."]
    if sorted(own) != sorted(given):
        raise InputError(
            f"the network's outputs are {own[:10]}, the classes {given[:10]}.", hint="Use the same names in both."
        )
    note = f"the network's outputs are in the order {listed(own, 10)}; labels are matched by name."
    return own, ClassOrder(tuple(given), np.array([own.index(name) for name in given])), [note]


def _spelled(own: Sequence[str], given: Sequence[str]) -> list[str]:
    """Return `own` spelled as in `given`, where they differ only in case, blanks, underscores and hyphens.

    Example:
        >>> _spelled(["Red fox", "CAT"], ["cat", "red_fox"])
        ['red_fox', 'cat']
    """

    def plain(name: str) -> str:
        return " ".join(unicodedata.normalize("NFC", str(name)).casefold().replace("_", " ").replace("-", " ").split())

    known = {plain(name): name for name in given}
    found = [known.get(plain(name)) for name in own]
    return list(own) if len(known) < len(given) or None in found else [str(name) for name in found]


def by_value(classes: Any) -> list[str]:
    """Return names in order: of a sequence, or of a mapping between numbers and names in either direction.

    Example:
        >>> by_value({0: "cat", 1: "dog"}), by_value({"dog": 1, "cat": 0})
        (['cat', 'dog'], ['cat', 'dog'])
    """
    if not isinstance(classes, Mapping):
        return classes
    pairs = [(v, k) if isinstance(k, str) and not isinstance(v, str) else (k, v) for k, v in classes.items()]
    try:
        numbered = sorted((int(number), str(name)) for number, name in pairs)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"classes is {dict(classes)!r}.", hint="Map numbers to names: {0: 'cat', 1: 'dog'}."
        ) from error
    if [number for number, _ in numbered] != list(range(len(numbered))):
        raise InputError(f"classes has the numbers {[n for n, _ in numbered]}.", hint="Number from 0, without gaps.")
    return [name for _, name in numbered]


def least_classes(labels: NDArray[Any]) -> int:
    """How many classes these labels need at least: the largest number plus 1, or the number of columns."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        return labels.shape[1]
    whole = labels.size and labels.dtype.kind in "iu" and labels.max() > 0
    return int(labels.max()) + 1 if whole else 1


def one_hot_split(readers: Mapping[str, Any]) -> bool:
    """Return whether labels (N, C) of the training split have exactly one 1 in every row; reads them where unknown."""
    reader = readers["train"]
    if getattr(reader, "given_labels", True) is False:
        return False
    labels = reader.labels
    if labels is None:
        if reader.sample().labels.ndim != 2:
            return False
        labels = np.concatenate([batch.labels for batch in reader.batches(256)])
    one_hot = labels.ndim == 2 and labels.shape[1] > 1
    one_hot = one_hot and bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())
    if one_hot:
        for other in readers.values():
            if other.labels is not None and other.labels.ndim == 2 and (other.labels.sum(axis=1) == 1).all():
                other.use_labels(other.labels.argmax(axis=1))
    return one_hot
