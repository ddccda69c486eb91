"""Where will a class's errors go? Forecasts from training instances alone, each (C, C), rows over the other classes.

A row sums to 1 over the other classes and is NaN on the diagonal; a row that nothing is known of is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from imblens.run import Batch, Moments, Run, Statistic

Matrix = NDArray[np.float64]
ENOUGH_ERRORS = 10
SMOOTHING = 0.001


class NeighbourClasses:
    """Counts of the classes among the neighbours of each class's instances; see `neighbour_forecast`."""

    def __init__(self, counts: NDArray[np.int64], of_errors: NDArray[np.bool_]) -> None:
        """Keep (C, C) counts and which rows count errors only."""
        self.counts = counts
        self.of_errors = of_errors


def neighbour_forecast(run: Run, k: int) -> NeighbourClasses:
    """Classes of the k neighbours of the training instances that the network gets wrong, own class left out.

    With fewer than ten errors in a class (or without answers) all its instances count.
    """
    labels = run.train.labels
    wrong = ~run.train.correct if run.train.has_logits else np.zeros(len(labels), bool)
    of_errors = np.bincount(labels[wrong], minlength=run.n_classes) >= ENOUGH_ERRORS
    rows = np.flatnonzero(wrong | ~of_errors[labels])
    near = labels[run.neighbours(k).indices[rows]]  # (n, k)
    pairs = labels[rows, None] * run.n_classes + near
    counts = np.bincount(pairs.ravel(), minlength=run.n_classes**2).reshape(run.n_classes, run.n_classes)
    np.fill_diagonal(counts, 0)
    return NeighbourClasses(counts, of_errors)


def fisher_forecast(moments: Moments) -> Matrix:
    """1 / mean over features of (mu_i - mu_k)^2 / (var_i + var_k), as a share of the row.

    A feature on which both classes are constant tells nothing when their means agree (it is left out) and everything when
    they differ (the pair then has no overlap, value 0). A pair that no feature tells apart has all the overlap there is: such
    pairs share the row evenly.
    """
    n_classes = len(moments.count)
    values = np.full((n_classes, n_classes), np.nan)
    present = np.flatnonzero(moments.count)
    for i in present:
        others = present[present != i]
        apart = (moments.mean[i] - moments.mean[others]) ** 2  # (C - 1, D)
        spread = moments.variance[i] + moments.variance[others]
        ratio = np.divide(apart, spread, out=np.where(apart > 0, np.inf, np.nan), where=spread > 0)
        known = ~np.isnan(ratio)
        mean = np.divide(
            np.where(known, ratio, 0).sum(axis=1), known.sum(axis=1), out=np.zeros(len(others)), where=known.any(axis=1)
        )
        if (mean == 0).any():
            values[i, others] = mean == 0
        else:
            values[i, others] = 1 / mean
    return shares(values)


class LogitMoments(Statistic[tuple[NDArray[np.int64], Matrix, NDArray[np.float64]]]):
    """Count (C,), mean (C, C) and covariance (C, C, C) of the logits of each class's instances."""

    needs_logits = True

    def __init__(self, n_classes: int) -> None:
        """Start empty, for C classes."""
        self._count = np.zeros(n_classes, dtype=np.int64)
        self._sum = np.zeros((n_classes, n_classes))
        self._outer = np.zeros((n_classes, n_classes, n_classes))
        self._shift: Matrix | None = None

    def update(self, batch: Batch) -> None:
        """Take in a batch."""
        assert batch.logits is not None
        logits = np.asarray(batch.logits, dtype=np.float64)
        logits = logits - logits.mean(axis=1, keepdims=True)  # what is common to all classes does not decide
        members = batch.membership
        for label in range(len(self._count)):
            rows = logits[members.indices[members.indptr[label] : members.indptr[label + 1]]]
            self._count[label] += len(rows)
            self._sum[label] += rows.sum(axis=0)
            self._outer[label] += rows.T @ rows

    def merge(self, other: Self) -> Self:
        """Take in what `other` saw; return self."""
        self._count += other._count
        self._sum += other._sum
        self._outer += other._outer
        return self

    def finish(self) -> tuple[NDArray[np.int64], Matrix, NDArray[np.float64]]:
        """Return counts, means and covariances; NaN for a class without instances."""
        count = np.where(self._count > 0, self._count, np.nan)
        mean = self._sum / count[:, None]
        covariance = self._outer / count[:, None, None] - mean[:, :, None] * mean[:, None, :]
        return self._count.copy(), mean, covariance


class MeanSoftmax(Statistic[Matrix]):
    """(C, C) mean softmax probability of each class (column) over the instances of a class (row); NaN without any."""

    needs_logits = True

    def __init__(self, n_classes: int) -> None:
        """Start empty, for C classes."""
        self._count = np.zeros(n_classes)
        self._sum = np.zeros((n_classes, n_classes))

    def update(self, batch: Batch) -> None:
        """Take in a batch."""
        from scipy.special import softmax

        assert batch.logits is not None
        members = batch.membership
        self._count += np.asarray(members.sum(axis=1)).ravel()
        self._sum += members @ softmax(np.asarray(batch.logits, dtype=np.float64), axis=1)

    def merge(self, other: Self) -> Self:
        """Take in what `other` saw; return self."""
        self._count += other._count
        self._sum += other._sum
        return self

    def finish(self) -> Matrix:
        """Return the means."""
        return self._sum / np.where(self._count > 0, self._count, np.nan)[:, None]


def soft_forecast(run: Run) -> Matrix:
    """Mean softmax of the class's training instances over the other classes."""
    return shares(run.train.reduce(lambda: MeanSoftmax(run.n_classes)))


def shares(values: Any) -> Matrix:
    """Rows as shares over the other classes: diagonal NaN; a row without mass is NaN."""
    matrix = np.array(values, dtype=np.float64)
    np.fill_diagonal(matrix, np.nan)
    total = np.nansum(matrix, axis=1, keepdims=True)
    return np.divide(matrix, total, out=np.full(matrix.shape, np.nan), where=total > 0)


def divergence(observed: Matrix, forecast: Matrix) -> float | None:
    """Mean over rows of KL(observed, forecast) in nats; None where no class has an observed error.

    Each row is normalised over the other classes, 0.001 is added to every entry, and it is normalised again. A row that the
    forecast does not know stands as uniform.
    """
    off = ~np.eye(len(observed), dtype=bool)
    found = []
    for row in np.flatnonzero(np.nansum(observed, axis=1) > 0):
        p, q = _smooth(observed[row, off[row]]), _smooth(forecast[row, off[row]])
        found.append(float((p * np.log(p / q)).sum()))
    return float(np.mean(found)) if found else None


def _smooth(row: Matrix) -> Matrix:
    mass = np.nan_to_num(row)
    total = mass.sum()
    smoothed = (mass / total if total > 0 else mass) + SMOOTHING
    return smoothed / smoothed.sum()
