"""Folds of training features, made when they are asked for: at no time are those of all folds held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.run import Head, Part, Run, Split


def rows_by_class(labels: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each class that occurs and its rows in order, from one sort.

    Example:
        >>> [(label, rows.tolist()) for label, rows in rows_by_class(np.array([4, 2, 4]))]
        [(2, [1]), (4, [0, 2])]
    """
    order = np.argsort(labels, kind="stable")
    values, first = np.unique(labels[order], return_index=True)
    yield from zip(values.tolist(), np.split(order, first[1:]), strict=True)


def class_means(
    features: NDArray[Any], rows: NDArray[np.int64], labels: NDArray[np.int64], n_classes: int
) -> NDArray[np.float64]:
    """(C, D) means of rows of features, whose labels (n,) are given; 0 for a class without instances."""
    means = np.zeros((n_classes, features.shape[1]))
    for label, own in rows_by_class(labels):
        means[label] = features[rows[own]].mean(axis=0, dtype=np.float64)
    return means


def widened(features: NDArray[Any], centre: NDArray[np.float64], widen: float) -> NDArray[np.float32]:
    """Move (n, D) features away from their class's mean (n, D), `widen` times as far."""
    return (centre + widen * (features - centre)).astype(np.float32)


def part_of(run: Run, rows: NDArray[np.int64], head: Head | None) -> Run:
    """A run of those training rows and no other split, with that head, which is the run's where the run has one."""
    features = np.ascontiguousarray(run.train.features[rows])
    train = Split((Part(features, run.train.labels[rows]),), run.classes, "train", head)
    return Run(train=train, test=None, head=head, classes=run.classes, task=run.task)


@dataclass(frozen=True)
class Fold:
    """One fold: which rows the others hold, and which of it are held out.

    Attributes:
        run: the run that is divided.
        rows: (m,) training rows of the other folds.
        out: (n,) held-out ones.
        means: (C, D) class means of `rows`.
        own: the head of the other folds' run, or None.
        head: the head that stands for the network: `own`, or one trained on `rows`.
    """

    run: Run
    rows: NDArray[np.int64]
    out: NDArray[np.int64]
    means: NDArray[np.float64]
    own: Head | None
    head: Head

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) of the held-out rows."""
        return self.run.train.labels[self.out]

    def moved(self, widen: float) -> NDArray[Any]:
        """(n, D) held-out features, `widen` times as far from their class mean."""
        features, labels = self.run.train.features, self.labels
        found = np.empty((len(self.out), features.shape[1]), np.float32)
        for block in row_blocks(*found.shape):
            found[block] = widened(np.asarray(features[self.out[block]]), self.means[labels[block]], widen)
        return found


class Pieces(Sequence[tuple[Run, NDArray[Any], NDArray[np.int64]]]):
    """(run of the other folds, moved features, labels) of every fold; each is made when it is asked for."""

    def __init__(self, folds: Sequence[Fold], widen: float) -> None:
        self._folds, self._widen = folds, widen

    def __len__(self) -> int:
        return len(self._folds)

    def __getitem__(self, place: Any) -> Any:
        fold = self._folds[place]
        return part_of(fold.run, fold.rows, fold.own), fold.moved(self._widen), fold.labels
