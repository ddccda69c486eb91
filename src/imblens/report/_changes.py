"""How sure is a difference between two shares? Intervals for the same instances and for different ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.run.statistics import wilson

Floats = NDArray[np.float64]
Z = 1.959963984540054  # 95 %


def paired_change(gained: NDArray[Any], lost: NDArray[Any], count: NDArray[Any]) -> tuple[Floats, Floats]:
    """95 % interval of (gained - lost) / count where both answers are to the same instances.

    Half an instance is added to each of the four cells, so that a class with few instances, or without any change, does
    not look certain.

    Args:
        gained: (C,) instances that turned right.
        lost: (C,) instances that turned wrong.
        count: (C,) instances.

    Returns:
        Lower and upper ends, each (C,); NaN where there is no instance.

    References:
        Agresti and Min 2005, Simple improved confidence intervals for comparing matched proportions.

    Example:
        >>> low, high = paired_change(np.array([12]), np.array([2]), np.array([50]))
        >>> round(float(low[0]), 3), round(float(high[0]), 3)
        (0.056, 0.329)
    """
    n = np.where(np.asarray(count) > 0, np.asarray(count) + 2.0, np.nan)
    up, down = np.asarray(gained) + 0.5, np.asarray(lost) + 0.5
    middle = (up - down) / n
    half = Z * np.sqrt(up + down - (up - down) ** 2 / n) / n
    return np.maximum(middle - half, -1.0), np.minimum(middle + half, 1.0)


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


def mean_of_kinds(middle: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
    """Means over the kinds of instances of each class, (C, S) to (C,), with 95 % intervals; NaN where a kind is unknown.

    Each side of the interval is the root of the summed squares of the kinds' distances (square-and-add).
    """
    if middle.shape[1] == 1:
        return middle[:, 0], low[:, 0], high[:, 0]
    mean, n = middle.mean(axis=1), middle.shape[1]
    down, up = (np.sqrt((np.maximum(side, 0) ** 2).sum(axis=1)) / n for side in (middle - low, high - middle))
    return mean, mean - down, mean + up


def share(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """Return part / whole, NaN where the whole is nothing."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)
