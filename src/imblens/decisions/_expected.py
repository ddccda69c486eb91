"""What predictions are expected to achieve where the chances of the true classes are known, but no labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.intervals import wilson
from imblens.decisions._priors import black_box_prior

Floats = NDArray[np.float64]

TAIL = 0.025  # probability on either side of a 95% interval


class Measures(NamedTuple):
    """Estimates of one draw; (C,) but for `confusion` (C, C) and `accuracy`."""

    recall: Floats
    precision: Floats
    specificity: Floats
    share: Floats
    confusion: Floats
    accuracy: Any


def expected_measures(p: Floats, mine: NDArray[np.bool_], weights: Floats, multilabel: bool) -> Measures:
    """Expected measures of predictions `mine` (n, C) where p (n, C) are the chances of the true classes.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
        >>> expected_measures(p, p > 0.5, np.ones(3), multilabel=False).recall.round(3)  # 1.5 / 1.7, 0.8 / 1.3
        array([0.882, 0.615])
    """
    wp, total = weights[:, None] * p, weights.sum()
    if multilabel:
        hit, negative = (wp * mine).sum(axis=0), weights[:, None] * (1 - p)
        kept = (negative * ~mine).sum(axis=0)
        accuracy = float((hit + kept).mean() / total)
        confusion, size = np.zeros((0, 0)), wp.sum(axis=0)
        specificity = divide(kept, negative.sum(axis=0))
    else:
        joint = wp.T @ mine  # (C true, C predicted)
        hit, size = np.diag(joint), joint.sum(axis=1)
        confusion, accuracy = divide(joint, size[:, None]), float(hit.sum() / total)
        specificity = np.zeros(0)
    chosen = (weights[:, None] * mine).sum(axis=0)
    return Measures(divide(hit, size), divide(hit, chosen), specificity, size / total, confusion, accuracy)


def black_box_shares(
    known: NDArray[Any],
    theirs: NDArray[np.bool_],
    mine: NDArray[np.bool_],
    weights: Floats | None,
    multilabel: bool,
    rng: np.random.Generator | None,
) -> Floats:
    """(C,) class shares of predictions `mine` from labelled instances of predictions `theirs`; of a bootstrap with `rng`."""
    rows = np.arange(len(theirs)) if rng is None else rng.integers(0, len(theirs), len(theirs))
    labels, their = known[rows], theirs[rows]
    shares = np.average(mine, axis=0, weights=weights)
    if not multilabel:
        hot = labels[:, None] == np.arange(their.shape[1])
        return black_box_prior(hot.T.astype(np.float64) @ their, shares)
    found = np.empty(their.shape[1])
    for place, share in enumerate(shares):
        pair = [labels[:, place] == 0, labels[:, place] == 1]
        confusion = np.array([[(row & ~their[:, place]).sum(), (row & their[:, place]).sum()] for row in pair])
        found[place] = black_box_prior(confusion, np.array([1 - share, share]))[1]
    return found


def widened(low: Floats, high: Floats, share: Any, count: Any) -> tuple[Floats, Floats]:
    """At least as wide as the Wilson interval of a share of `count` instances: few instances determine little.

    The share is that of these very instances: an end where none of them (or all) would be counted with a probability above
    2.5% is 0 (or 1).

    Example:
        >>> low, high = widened(np.zeros(1), np.zeros(1), np.zeros(1), np.full(1, 10))  # 0 of ten
        >>> float(low[0]), round(float(high[0]), 2)
        (0.0, 0.28)
    """
    least, most = wilson(np.asarray(share) * count, np.asarray(count))
    low, high = np.fmin(low, least), np.fmax(high, most)
    return np.where((1 - low) ** count > TAIL, 0.0, low), np.where(high**count > TAIL, 1.0, high)
