"""How sure is a difference between two shares? Intervals for the same instances and for different ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.run.statistics import wilson

Floats = NDArray[np.float64]


def independent_change(
    right: NDArray[Any], count: NDArray[Any], right_then: NDArray[Any], count_then: NDArray[Any]
) -> tuple[Floats, Floats]:
    """95 % interval of right / count - right_then / count_then where the instances differ.

    Returns:
        Lower and upper ends, each (C,); NaN where either has no instance.

    References:
        Newcombe 1998, Interval estimation for the difference between independent proportions, method 10.

    Example:
        >>> low, high = independent_change(np.array([56]), np.array([70]), np.array([48]), np.array([80]))
        >>> round(float(low[0]), 4), round(float(high[0]), 4)
        (0.0524, 0.3339)
    """
    now, then = share(right, count), share(right_then, count_then)
    (low, high), (low_then, high_then) = wilson(right, count), wilson(right_then, count_then)
    change = now - then
    return (
        change - np.sqrt((now - low) ** 2 + (high_then - then) ** 2),
        change + np.sqrt((high - now) ** 2 + (then - low_then) ** 2),
    )


def mean_change(low: Floats, high: Floats, change: Floats) -> tuple[float, float]:
    """95 % interval of the mean of independent classes' changes, from their intervals; NaN classes are left out.

    Each side is the root of the summed squares of the classes' distances, as in Newcombe's square-and-add rule.
    """
    known = ~np.isnan(change)
    if not known.any():
        return float("nan"), float("nan")
    middle, n = float(change[known].mean()), int(known.sum())
    down = float(np.sqrt((np.maximum(change - low, 0)[known] ** 2).sum())) / n
    up = float(np.sqrt((np.maximum(high - change, 0)[known] ** 2).sum())) / n
    return middle - down, middle + up


def share(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """Return part / whole, NaN where the whole is nothing."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)
