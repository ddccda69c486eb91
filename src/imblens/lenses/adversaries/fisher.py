"""The forecast by Fisher's ratio of class means and variances."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.lenses.adversaries.forecast import Matrix, shares
from imblens.run import Moments

FISHER_ROWS, FISHER_CLASSES = 20, 512  # classes and others that are compared at a time: stays in the processor's cache
MANY = 2**32  # pairs of classes x features beyond which ratios are float32, in a quarter of the time
TINY = 1e-12  # least variance within a class, of that of the feature, for float32


def fisher_forecast(moments: Moments, classes: slice = slice(None)) -> Matrix:
    """1 / mean over features of (mu_i - mu_k)^2 / (var_i + var_k), as a share of the row.

    A feature that is constant in both classes carries no information when their means agree (it is left out) and all when
    they differ (the pair then has no overlap, value 0). A pair that no feature separates overlaps completely: such
    pairs share the row evenly.

    Args:
        moments: of all classes.
        classes: consecutive classes whose rows are wanted.
    """
    n_classes = len(moments.count)
    wanted = range(*classes.indices(n_classes))
    values = np.full((len(wanted), n_classes), np.nan)
    present = moments.count > 0
    mean, variance = np.ascontiguousarray(moments.mean.T), np.ascontiguousarray(moments.variance.T)  # (D, C)
    if n_classes * n_classes * len(mean) > MANY:
        mean, variance = _in_float32(mean, variance)
    for low in range(0, len(wanted), FISHER_ROWS):
        rows = slice(wanted.start + low, min(wanted.start + low + FISHER_ROWS, wanted.stop))
        for start in range(0, n_classes, FISHER_CLASSES):
            some = slice(start, min(start + FISHER_CLASSES, n_classes))
            found = _mean_fisher(mean, variance, rows, some)
            unclear = np.isnan(found) & present[rows, None] & present[some]
            for row in np.flatnonzero(unclear.any(axis=1)):
                others = start + np.flatnonzero(unclear[row])
                found[row, unclear[row]] = _without_constants(moments, rows.start + int(row), others)
            values[low : low + len(found), some] = found
    at = np.arange(len(wanted))
    values[at, wanted.start + at] = np.nan
    for ratios in values:
        ratios[:] = ratios == 0 if (ratios == 0).any() else 1 / ratios
    values[~present[wanted.start : wanted.stop]] = np.nan
    values[:, ~present] = np.nan
    return shares(values, wanted.start)


def _mean_fisher(mean: Matrix, variance: Matrix, rows: slice, others: slice) -> Matrix:
    """(n, m) mean over features of Fisher's ratio of classes and others, from (D, C) moments; NaN where a feature is constant
    and the same in both, infinite where a constant feature separates them."""
    total = np.zeros((rows.stop - rows.start, others.stop - others.start), mean.dtype)
    apart, spread = np.empty_like(total), np.empty_like(total)
    with np.errstate(divide="ignore", invalid="ignore"):
        for of_mean, of_variance in zip(mean, variance, strict=True):
            np.subtract(of_mean[rows, None], of_mean[others], out=apart)
            np.multiply(apart, apart, out=apart)
            np.add(of_variance[rows, None], of_variance[others], out=spread)
            np.add(total, np.divide(apart, spread, out=apart), out=total)
    return (total / len(mean)).astype(np.float64)


def _in_float32(mean: Matrix, variance: Matrix) -> tuple[Any, Any]:
    """(D, C) moments in float32, features shifted and scaled, which changes no ratio; unchanged where it cannot hold them."""
    centre = np.nanmean(mean, axis=1, keepdims=True)
    spread = np.sqrt(np.nanmean((mean - centre) ** 2 + variance, axis=1, keepdims=True))
    spread[spread == 0] = 1
    shifted, scaled = (mean - centre) / spread, variance / spread**2
    least = np.nanmin(np.where(scaled > 0, scaled, np.inf))
    if least < TINY:
        return mean, variance
    return shifted.astype(np.float32), scaled.astype(np.float32)


def _without_constants(moments: Moments, i: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) the same of class i and some others, over the features that are not constant and the same in both."""
    apart = (moments.mean[i] - moments.mean[others]) ** 2  # (n, D)
    spread = moments.variance[i] + moments.variance[others]
    ratio = np.divide(apart, spread, out=np.where(apart > 0, np.inf, np.nan), where=spread > 0)
    known = ~np.isnan(ratio)
    total = np.where(known, ratio, 0).sum(axis=1)
    return np.divide(total, known.sum(axis=1), out=np.zeros(len(others)), where=known.any(axis=1))
