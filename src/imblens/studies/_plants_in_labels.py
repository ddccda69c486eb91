"""Causes planted in one label of a multi-label set of features; where is decided by a random state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from imblens.base.logistic import fit_logistic
from imblens.errors import NotApplicable
from imblens.run import Run
from imblens.studies._plants import part_of

Rows = NDArray[np.int64]
TRAINED, TESTED = 100, 40  # positive training and test instances that a label needs for a plant
L2 = 1.0  # penalty on the head that is trained again
LOST = 0.05  # share of its positives that another label loses, from which it no longer counts as unplanted


@dataclass(frozen=True)
class LabelArrays:
    """Features and labels of a training and a test split, without a head.

    Attributes:
        train, test: (N, D) features.
        train_labels, test_labels: (N, C) 0 or 1.
        classes: names.
        groups: split -> (N,) group of each instance; empty where none are known.
    """

    train: NDArray[np.float32]
    train_labels: Rows
    test: NDArray[np.float32]
    test_labels: Rows
    classes: tuple[str, ...]
    groups: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, run: Run) -> LabelArrays:
        """Copy those of a run.

        Raises:
            NotApplicable: a run without a test split, or with uncertain labels.
        """
        if run.test is None:
            raise NotApplicable("causes are planted in arrays with a test split.")
        if not (run.train.known.all() and run.test.known.all()):
            raise NotApplicable("causes are planted where no label is uncertain.")
        groups = {
            name: split.groups for name, split in run.splits.items() if name != "val" and split.groups is not None
        }
        train, test = run.train, run.test
        return cls(
            np.array(train.features),
            train.labels.copy(),
            np.array(test.features),
            test.labels.copy(),
            run.classes,
            groups,
        )

    @property
    def large(self) -> Rows:
        """Labels that a plant shows in."""
        trained, tested = ((labels == 1).sum(axis=0) for labels in (self.train_labels, self.test_labels))
        return np.flatnonzero((trained >= TRAINED) & (tested >= TESTED))

    def positives(self, label: int) -> Rows:
        """Training rows that have a label."""
        return np.flatnonzero(self.train_labels[:, label] == 1)

    def without(self, rows: Rows) -> LabelArrays:
        """Leave training rows out."""
        groups = {name: np.delete(of, rows) if name == "train" else of for name, of in self.groups.items()}
        train, labels = np.delete(self.train, rows, axis=0), np.delete(self.train_labels, rows, axis=0)
        return replace(self, train=train, train_labels=labels, groups=groups)

    def fitted(self) -> Run:
        """Return a run whose head is a logistic regression for each label, fitted to these features and labels."""
        rows = []
        for label in range(len(self.classes)):
            weight, bias = fit_logistic(self.train, self.train_labels[:, label].astype(np.int64), 2, l2=L2)
            rows.append((weight[1] - weight[0], bias[1] - bias[0]))
        head = tuple(np.array(part, dtype=np.float32) for part in zip(*rows, strict=True))
        return Run.from_arrays(
            train=(self.train, self.train_labels),
            test=(self.test, self.test_labels),
            head=head,
            classes=self.classes,
            task="multilabel",
            groups=self.groups or None,
        )


@dataclass(frozen=True)
class LabelPlant:
    """Arrays with a cause planted in one label.

    Attributes:
        arrays: the changed ones.
        planted: names of the labels that it was planted in; none where nothing was.
        touched: names of other labels that it changed.
    """

    arrays: LabelArrays
    planted: tuple[str, ...]
    touched: tuple[str, ...] = ()


def _flipped(share: float) -> Callable[[LabelArrays, int, np.random.Generator], LabelPlant]:
    """Make a share of a label's positives negative, and as many negatives positive."""

    def plant(arrays: LabelArrays, label: int, rng: np.random.Generator) -> LabelPlant:
        labels = arrays.train_labels.copy()
        rows = [np.flatnonzero(labels[:, label] == value) for value in (0, 1)]
        n = min(round(share * len(rows[1])), len(rows[0]))
        for value, of in enumerate(rows):
            labels[rng.choice(of, n, replace=False), label] = 1 - value
        return LabelPlant(replace(arrays, train_labels=labels), (arrays.classes[label],))

    return plant


def _part_absent(arrays: LabelArrays, label: int, rng: np.random.Generator) -> LabelPlant:
    """Remove the training instances of one part of a label's positives."""
    own = arrays.positives(label)
    kept = arrays.without(own[part_of(arrays.train[own], rng)])
    before, after = ((one.train_labels == 1).sum(axis=0) for one in (arrays, kept))
    lost = (before - after >= LOST * before) & (np.arange(len(before)) != label)
    return LabelPlant(kept, (arrays.classes[label],), tuple(np.array(arrays.classes)[lost].tolist()))


def _nothing(arrays: LabelArrays, label: int, rng: np.random.Generator) -> LabelPlant:
    """Change nothing."""
    del label, rng
    return LabelPlant(arrays, ())


# plant -> (cause as the diagnosis calls it, what changes the arrays)
LABEL_PLANTS: dict[str, tuple[str, Callable[[LabelArrays, int, np.random.Generator], LabelPlant]]] = {
    **{f"{percent}% flipped": ("label_noise", _flipped(percent / 100)) for percent in (2, 5, 10)},
    "part absent": ("uncovered_range", _part_absent),
    "nothing": ("", _nothing),
}


def planted_in_label(arrays: LabelArrays, plant: str, seed: int, network: str = "") -> LabelPlant:
    """Plant a cause in one of the labels that are large enough: seeds take them in turn.

    Args:
        arrays: as stored.
        plant: one of `LABEL_PLANTS`.
        seed, network: decide, together with the plant, the label and the instances.

    Raises:
        NotApplicable: no label is large enough.
    """
    if not len(arrays.large):
        raise NotApplicable(f"a label with {TRAINED} positive training and {TESTED} positive test instances is needed.")
    rng = np.random.default_rng([seed, list(LABEL_PLANTS).index(plant), crc32(network.encode())])
    return LABEL_PLANTS[plant][1](arrays, int(arrays.large[seed % len(arrays.large)]), rng)
