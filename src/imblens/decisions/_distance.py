"""Distance of an instance to the training instances of the class that is predicted for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import some_rows
from imblens.base.blocks import row_blocks
from imblens.run import Split

Floats = NDArray[np.float64]
PER_CLASS = 500  # training instances of a class that distances are measured to
_GRID = 1001
_ENOUGH = 10  # predictions of a class for a scale of its own


@dataclass(frozen=True)
class Distances:
    """Euclidean distance to the nearest of at most 500 training instances of the predicted class, and its rank.

    Attributes:
        features: (M, D) float32 training instances, class by class.
        starts: (C + 1,) where each class starts.
        scale: (C,) median distance of held-out instances that are predicted as the class.
        grid: (1001,) quantiles of distance / scale of held-out instances.
    """

    features: NDArray[np.float32]
    starts: NDArray[np.int64]
    scale: Floats
    grid: Floats

    def __call__(self, features: NDArray[Any], predicted: NDArray[np.int64]) -> Floats:
        """(n,) distances; NaN where the predicted class has no training instance."""
        found = np.full(len(features), np.nan)
        for place in np.unique(predicted):
            own = self.features[self.starts[place] : self.starts[place + 1]]
            rows = np.flatnonzero(predicted == place)
            if len(own):
                found[rows] = nearest_distance(own, np.asarray(features[rows]))
        return found

    def rank(self, distance: Floats, predicted: NDArray[np.int64]) -> Floats:
        """(n,) share of held-out instances that are nearer, relative to the scale of their predicted class."""
        ratio = distance / self.scale[predicted]
        return np.where(np.isnan(ratio), np.nan, np.searchsorted(self.grid, ratio, side="left") / _GRID)


def fit_distances(train: Split, held_out: NDArray[Any], predicted: NDArray[np.int64], *, seed: int) -> Distances:
    """Choose training instances, and measure how far held-out instances are from them.

    Args:
        train: single-label training split.
        held_out: (n, D) features that the network was not trained on.
        predicted: (n,) their predictions.
        seed: of the choice of training instances.
    """
    rng = np.random.default_rng(seed)
    rows, sizes = [], []
    for place in range(train.n_classes):
        own = np.flatnonzero(train.labels == place)
        rows.append(some_rows(own, PER_CLASS, rng))
        sizes.append(len(rows[-1]))
    chosen = np.concatenate(rows)
    features = np.ascontiguousarray(train.features[chosen], dtype=np.float32)
    start = Distances(features, np.concatenate([[0], np.cumsum(sizes)]), np.ones(train.n_classes), np.zeros(_GRID))
    distance = start(held_out, predicted)
    known = distance[np.isfinite(distance)]
    usual = float(np.median(known)) if len(known) else 1.0
    scale = np.full(train.n_classes, usual)
    for place in range(train.n_classes):
        own_distance = distance[(predicted == place) & np.isfinite(distance)]
        if len(own_distance) >= _ENOUGH:
            scale[place] = np.median(own_distance)
    scale = np.where(scale > 0, scale, usual if usual > 0 else 1.0)
    ratio = (distance / scale[predicted])[np.isfinite(distance)]
    grid = np.quantile(ratio, np.linspace(0, 1, _GRID)) if len(ratio) else np.zeros(_GRID)
    return Distances(features, start.starts, scale, grid)


def training_sample(train: Split) -> NDArray[np.float32]:
    """(M, D) training features: at most 500 of each class, in multi-label data at most 10,000 in all."""
    rng = np.random.default_rng(0)
    if train.multilabel:
        chosen = some_rows(np.arange(len(train)), 20 * PER_CLASS, rng)
    else:
        of_class = [np.flatnonzero(train.labels == place) for place in range(train.n_classes)]
        chosen = np.concatenate([some_rows(own, PER_CLASS, rng) for own in of_class])
    return np.ascontiguousarray(train.features[chosen], dtype=np.float32)


def nearest_distance(reference: NDArray[np.float32], features: NDArray[Any]) -> Floats:
    """(n,) Euclidean distance of each row of features to the nearest row of the reference.

    Example:
        >>> nearest_distance(np.eye(2, dtype=np.float32), np.array([[1.0, 0.0], [4.0, 4.0]]))
        array([0., 5.])
    """
    half, found = (reference**2).sum(axis=1) / 2, np.empty(len(features))  # half of |reference - mine|^2 - |mine|^2
    for rows in row_blocks(len(features), len(reference)):
        mine = np.asarray(features[rows], dtype=np.float32)
        nearest = reference[(half - mine @ reference.T).argmin(axis=1)]
        found[rows] = np.sqrt(((mine - nearest).astype(np.float64) ** 2).sum(axis=1))
    return found
