"""How many instances of a list are of the classes that it is for, counted on labelled instances of like probability."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import divide

Floats = NDArray[np.float64]
BANDS = 5  # of the probabilities in the list, of equally many instances
NEAR = 0.02  # probability by which labelled instances may lie beside a band
DRAWS = 2000
SPREAD = 0.5  # of the log-odds of a hit, between lists: chosen on two networks, see docs/results/decisions.md


class Stated(NamedTuple):
    """An expected number with its 95% interval; NaN where none can be stated."""

    number: float
    low: float
    high: float


UNKNOWN = Stated(float("nan"), float("nan"), float("nan"))


def stated(draws: list[Floats]) -> Stated:
    """Mean of the first draws; interval from the smallest lower to the largest upper end of all draws.

    Example:
        >>> [float(value) for value in stated([np.arange(101.0), np.full(101, 120.0)])]
        [50.0, 2.5, 120.0]
    """
    ends = np.array([np.quantile(some, [0.025, 0.975]) for some in draws])
    return Stated(float(draws[0].mean()), float(ends[:, 0].min()), float(ends[:, 1].max()))


def drawn_hits(
    listed: Floats, known: Floats, is_hit: NDArray[np.bool_], weights: Floats, rng: np.random.Generator
) -> Floats:
    """(draws,) number of hits that a list may hold.

    The list is divided into bands of probability. The share of hits in a band is that of the labelled instances with such
    a probability, weighted as the classes are in the pool; it is drawn from a beta distribution with one more instance of the
    stated probability, and the hits from a binomial distribution. The log-odds of all shares vary together from list to list:
    a list is not a random sample of such instances, and class shares and calibration are estimates.

    Args:
        listed: (n,) stated probabilities of the instances in the list.
        known: (m,) stated probabilities of labelled instances, at the same class shares.
        is_hit: (m,) whether they are hits.
        weights: (m,) share of their class in the pool, over that among the labelled instances.
        rng: for the draws.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> q = rng.random(4000)
        >>> found = drawn_hits(np.full(100, 0.5), q, rng.random(4000) < q / 2, np.ones(4000), rng)  # stated twice too high
        >>> bool(20 < found.mean() < 40)
        True
    """
    band = np.searchsorted(np.unique(np.quantile(listed, np.arange(1, BANDS) / BANDS)), listed)
    total, shift = np.zeros(DRAWS), np.exp(rng.normal(0, SPREAD, DRAWS))
    for number in np.unique(band):
        own = listed[band == number]
        like = (known >= own.min() - NEAR) & (known <= own.max() + NEAR)
        weight, hits = weights[like].sum(), (weights * is_hit)[like].sum()
        n = float(divide(np.array(weight**2), np.array((weights[like] ** 2).sum()), otherwise=0.0))  # effective
        share = hits / weight if weight else 0.0
        prior = float(np.clip(own.mean(), 1e-6, 1 - 1e-6))
        drawn = rng.beta(prior + n * share, 1 - prior + n * (1 - share), DRAWS)
        total += rng.binomial(len(own), drawn * shift / (1 - drawn + drawn * shift))
    return total


def pool_weights(labels: NDArray[Any], share: Any) -> Floats:
    """(m,) weights of labelled instances with which classes, or one label, have their share in the pool.

    Args:
        labels: (m,) class numbers, or whether instances have the label.
        share: (C,) of the classes in the pool, or that of the label.

    Example:
        >>> pool_weights(np.array([True, False, False, False]), 0.5).round(2)
        array([2.  , 0.67, 0.67, 0.67])
        >>> pool_weights(np.array([1, 0, 0, 0]), np.array([0.5, 0.5])).round(2)
        array([2.  , 0.67, 0.67, 0.67])
    """
    shares = np.asarray([1 - share, share] if np.ndim(share) == 0 else share, dtype=np.float64)
    of = labels.astype(np.int64)
    return np.asarray(divide(shares, np.bincount(of, minlength=len(shares)) / len(of), otherwise=0.0)[of])
