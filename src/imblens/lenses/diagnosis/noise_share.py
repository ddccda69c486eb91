"""The share of wrong labels among the training instances of a class, with its interval, from counts by cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FACTORS = np.linspace(0.05, 1.0, 20)  # training instances are no more often contradicted, but for wrong labels
THIRDS, HALVINGS = 20, 14  # steps to the best share, and to an end of the interval
# log-likelihood that the ends of the interval lack: below, half the square of 2.6, as the best of several sources is
# taken; above, half the 95% quantile of chi squared
LESS_LIKELY = (3.38, 1.92)


def share_with_interval(
    trained: NDArray[Any], held: NDArray[Any], shapes: Floats, n: float, m: float
) -> tuple[float, float, float]:
    """Return the most likely share of wrong labels and the ends of its 95% interval.

    In each cell, held ~ Poisson(m b) and trained ~ Poisson(n (factor b + share q)), with any b, any factor up to 1 and any of
    the shapes q. As b is fitted to both counts, few held-out instances in many cells are not taken for wrong labels.

    Args:
        trained, held: (J,) contradicted instances of the class in each cell; of groups, counts over design effects.
        shapes: (S, J) share of each cell among held-out instances of each source.
        n, m: training and held-out instances of the class.

    Example:
        >>> q = np.array([[0.1, 0.8]])
        >>> share, low, high = share_with_interval(np.array([60, 80]), np.array([50, 0]), q, 1000, 1000)
        >>> round(share, 2), round(low, 2), round(high, 2)
        (0.1, 0.07, 0.12)
    """
    used = (trained > 0) | (held > 0)
    shapes = np.column_stack([shapes[:, used], shapes[:, ~used].sum(axis=1)])  # one cell for all without instances
    counts = np.append(trained[used], 0.0), np.append(held[used], 0.0), float(n), float(m)
    lowest, highest = np.zeros(len(shapes)), np.ones(len(shapes))
    for _ in range(THIRDS):
        third = (highest - lowest) / 3
        left, right = (_profile(*counts, shapes, shares) for shares in (lowest + third, highest - third))
        lowest, highest = (
            np.where(left < right, lowest + third, lowest),
            np.where(left < right, highest, highest - third),
        )
    shares = np.where(highest < 1e-3, 0.0, (lowest + highest) / 2)  # thirds only approach 0
    likelihood = _profile(*counts, shapes, shares)
    best = int(likelihood.argmax())
    ends = [
        _end(counts, shapes, shares, likelihood >= likelihood[best] - less, likelihood[best] - less, outer)
        for less, outer in zip(LESS_LIKELY, (0.0, 1.0), strict=True)
    ]
    return float(shares[best]), ends[0], ends[1]


def _end(
    counts: tuple[Floats, Floats, float, float],
    shapes: Floats,
    shares: Floats,
    near: NDArray[np.bool_],
    target: float,
    outer: float,
) -> float:
    """The farthest share towards `outer` at which a source is likely enough."""
    inside, outside = shares[near], np.full(near.sum(), outer)
    whole = _profile(*counts, shapes[near], outside) >= target
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        likely = _profile(*counts, shapes[near], middle) >= target
        inside, outside = np.where(likely, middle, inside), np.where(likely, outside, middle)
    found = np.where(whole, outer, outside)
    return float(found.max() if outer else found.min())


def _profile(trained: Floats, held: Floats, n: float, m: float, shapes: Floats, shares: Floats) -> Floats:
    """(S,) log-likelihood of each shape with its share, at the best factor and the best b, up to a constant."""
    return profile(trained, held, n, m, FACTORS[:, None], (shares[:, None] * shapes)[:, None, :])


def profile(
    trained: Floats, held: Floats, n: Floats | float, m: Floats | float, factor: Floats, added: Floats
) -> Floats:
    """(..., S) log-likelihood at the best factor and the best b, up to a constant.

    Args:
        trained, held: (..., 1, 1, J) counts; (J,) for one table.
        n, m: (..., 1, 1, 1) instances of both splits.
        factor: (F, 1).
        added: (S, 1, J) share of wrong labels times the source's share of each cell.
    """
    from scipy.special import xlogy

    total = n * factor + m
    linear = total * added - factor * (trained + held)
    b = (np.sqrt(linear**2 + 4 * total * factor * held * added) - linear) / (2 * total * factor)
    expected = factor * b + added
    value = xlogy(trained, expected) + xlogy(held, b) - n * expected - m * b  # (..., S, F, J)
    return np.asarray(value.sum(axis=-1).max(axis=-1))
