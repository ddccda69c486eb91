"""Measures of the embedding beside the gap: separation, spread, shift, and what the nearest mean classifies correctly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.blocks import row_blocks
from imblens.run import Batch, ClassMoments, Run, Statistic

Floats = NDArray[np.float64]
BLOCK = 4_000_000  # distances at a time


class NearestMean(Statistic[NDArray[np.int64]]):
    """Instances of each class that are nearest to the mean of their own class: (C,)."""

    sums = ("_own",)

    def __init__(self, means: Floats) -> None:
        """Start empty, with class means (C, D); those of unknown classes are NaN and never nearest."""
        self._means = np.nan_to_num(means)
        self._half = np.where(np.isnan(means).any(axis=1), np.inf, (self._means**2).sum(axis=1) / 2)
        self._own = np.zeros(len(means), dtype=np.int64)

    def update(self, batch: Batch) -> None:
        """Add a batch."""
        labels = np.asarray(batch.labels)
        rows = max(1, BLOCK // len(self._means))
        for low in range(0, len(labels), rows):
            part = batch.features[low : low + rows].astype(np.float64)
            nearest = (part @ self._means.T - self._half).argmax(axis=1)  # largest m.x - |m|^2 / 2
            of = labels[low : low + rows]
            self._own += np.bincount(of[nearest == of], minlength=len(self._own))

    def finish(self) -> NDArray[np.int64]:
        """Return the counts."""
        return self._own


def embedding_quality(run: Run) -> pd.DataFrame:
    """Return a row per class of a single-label run; NaN where undefined.

    within = sqrt(sum_d variance_cd), the usual distance of a training instance from the mean of its class
    separation = min_k |mean_c - mean_k| / (within_c + within_k), `nearest` the class k: above 1, clouds hardly touch
    own_train, own_test = share of training and test instances whose nearest class mean is that of their class
    shift = |test mean_c - mean_c| / within_c

    Unlike the gap, none of them grows with the number of test instances; all but `within` are free of the features' scale.

    References:
        EOS, sections VI and VII, asks for measures complementary to the gap. Separation follows Davies and Bouldin 1979, A
        cluster separation measure; the others are ours.
    """
    assert run.test is not None
    train = run.train.statistic(ClassMoments, run.n_classes, run.dim)
    test = run.test.statistic(ClassMoments, run.n_classes, run.dim)
    means = np.where(train.count[:, None] > 0, train.mean, np.nan)
    within = np.where(train.count > 0, np.sqrt(train.variance.sum(axis=1)), np.nan)
    nearest, separation = _separation(means, within)
    shift = np.linalg.norm(np.where(test.count[:, None] > 0, test.mean, np.nan) - means, axis=1)
    columns: dict[str, Any] = {
        "class": run.classes,
        "within": within,
        "nearest": pd.Series([run.classes[k] if k >= 0 else None for k in nearest], dtype=object),
        "separation": separation,
        "own_train": divide(run.train.reduce(lambda: NearestMean(means)), train.count),
        "own_test": divide(run.test.reduce(lambda: NearestMean(means)), test.count),
        "shift": divide(shift, within),
    }
    return pd.DataFrame(columns)


def _separation(means: Floats, within: Floats) -> tuple[NDArray[np.int64], Floats]:
    """(C,) the class that is nearest in units of both spreads (-1: none), and how far it is."""
    found, nearest = np.full(len(means), np.nan), np.full(len(means), -1)
    present = np.flatnonzero(np.isfinite(within))
    own = within[present]
    points = means[present] - means[present].mean(axis=0) if len(present) else means[present]
    squares = np.einsum("cd,cd->c", points, points)
    error = np.sqrt(4 * (points.shape[1] + 8) * 2.0**-53 * squares)  # bounds that of distances from the product
    for block in row_blocks(len(present), 4 * len(present)):  # rows of C x C at a time
        both = own[block, None] + own
        squared = np.maximum(squares[block, None] + squares - 2 * points[block] @ points.T, 0)
        limit = (error[block, None] + error) ** 2
        undefined = ~(both > 0)
        undefined[np.arange(len(both)), np.arange(block.start, block.stop)] = True
        least = divide(np.sqrt(np.maximum(squared - limit, 0)), both, otherwise=np.inf)
        most = divide(np.sqrt(squared + limit), both, otherwise=np.inf)
        least[undefined] = most[undefined] = np.inf
        rows, columns = np.nonzero((least <= most.min(axis=1, keepdims=True)) & ~undefined)
        first, second = present[rows + block.start], present[columns]
        apart = [
            np.linalg.norm(means[second[some]] - means[first[some]], axis=1)
            for some in row_blocks(len(rows), points.shape[1])
        ]
        ratio = np.concatenate([np.empty(0), *apart]) / (within[second] + within[first])
        order = np.lexsort((second, ratio, first))
        best = order[np.r_[True, np.diff(first[order]) != 0]] if len(order) else order
        found[first[best]], nearest[first[best]] = ratio[best], second[best]
    return nearest, found
