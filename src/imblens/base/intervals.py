"""95% intervals of shares, of their changes and of means."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import divide

Floats = NDArray[np.float64]
Z95 = 1.959963984540054  # two-sided 95% quantile of the normal distribution


def wilson(successes: NDArray[Any], trials: NDArray[Any]) -> tuple[Floats, Floats]:
    """95% Wilson score interval of a share; NaN where there are no trials.

    References:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.

    Example:
        >>> low, high = wilson(np.array([8]), np.array([10]))
        >>> round(float(low[0]), 3), round(float(high[0]), 3)
        (0.49, 0.943)
    """
    z = Z95
    n = np.where(np.asarray(trials) > 0, trials, np.nan).astype(np.float64)
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
    return np.where(share == 0, 0.0, low), np.where(share == 1, 1.0, high)  # exact: rounding would leave 1 - 1e-16


def paired_change(gained: NDArray[Any], lost: NDArray[Any], count: NDArray[Any]) -> tuple[Floats, Floats]:
    """95% interval of (gained - lost) / count of two predictions on the same instances.

    Half an instance is added to each of the four cells, so that a class with few instances, or without any change, does
    not get an interval of width 0.

    Args:
        gained: (C,) instances classified correctly only afterwards.
        lost: (C,) instances classified correctly only before.
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
    half = Z95 * np.sqrt(up + down - (up - down) ** 2 / n) / n
    return np.maximum(middle - half, -1.0), np.minimum(middle + half, 1.0)


def mean_of_kinds(middle: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
    """Means over the kinds of instances of each class, (C, S) to (C,), with 95% intervals; NaN where a kind is unknown.

    Each side of the interval is the root of the summed squares of the kinds' distances (square-and-add).
    """
    if middle.shape[1] == 1:
        return middle[:, 0], low[:, 0], high[:, 0]
    mean, n = middle.mean(axis=1), middle.shape[1]
    down, up = (np.sqrt((np.maximum(side, 0) ** 2).sum(axis=1)) / n for side in (middle - low, high - middle))
    return mean, mean - down, mean + up


def independent_change(
    correct: NDArray[Any], count: NDArray[Any], correct_before: NDArray[Any], count_before: NDArray[Any]
) -> tuple[Floats, Floats]:
    """95% interval of correct / count - correct_before / count_before where the instances differ.

    Returns:
        Lower and upper ends, each (C,); NaN where either has no instance.

    References:
        Newcombe 1998, Interval estimation for the difference between independent proportions, method 10.

    Example:
        >>> low, high = independent_change(np.array([56]), np.array([70]), np.array([48]), np.array([80]))
        >>> round(float(low[0]), 4), round(float(high[0]), 4)
        (0.0524, 0.3339)
    """
    after, before = divide(correct, count), divide(correct_before, count_before)
    (low, high), (low_before, high_before) = wilson(correct, count), wilson(correct_before, count_before)
    change = after - before
    return (
        change - np.sqrt((after - low) ** 2 + (high_before - before) ** 2),
        change + np.sqrt((high - after) ** 2 + (before - low_before) ** 2),
    )


def mean_change(low: Floats, high: Floats, change: Floats, alike: float = 1.0) -> tuple[float, float]:
    """95% interval of the mean of classes' changes from their intervals; NaN classes are left out.

    Each side is the root of the summed squares of the classes' distances, as in Newcombe's square-and-add rule, times the
    root of `alike`: the variance of the mean over what it is where classes are independent (`drawn_alike` here,
    `shared_effect` of `imblens.base.groups`). Labels of the same instances, and classes of the same groups, are not.

    Example:
        >>> low, high = mean_change(np.full(4, -0.1), np.full(4, 0.1), np.zeros(4))
        >>> alike = mean_change(np.full(4, -0.1), np.full(4, 0.1), np.zeros(4), 4.0)
        >>> round(low, 3), round(high, 3), [round(end, 3) for end in alike]
        (-0.05, 0.05, [-0.1, 0.1])
    """
    known = ~np.isnan(change)
    if not known.any():
        return float("nan"), float("nan")
    middle, n = float(change[known].mean()), int(known.sum())
    down = float(np.sqrt(alike * (np.maximum(change - low, 0)[known] ** 2).sum())) / n
    up = float(np.sqrt(alike * (np.maximum(high - change, 0)[known] ** 2).sum())) / n
    return middle - down, middle + up


def drawn_alike(drawn: Floats) -> float:
    """Variance of a mean over classes over what it is where they are independent, from drawings (C, B); NaN is left out.

    Example:
        >>> drawn_alike(np.array([[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]])), drawn_alike(np.full((2, 3), np.nan))
        (2.0, 1.0)
    """
    known = np.isfinite(drawn)
    mean = divide(np.where(known, drawn, 0.0).sum(axis=1), known.sum(axis=1))
    apart = np.where(known, drawn - mean[:, None], 0.0)
    alone = float((apart**2).sum())
    return float((apart.sum(axis=0) ** 2).sum()) / alone if alone > 0 else 1.0


def mean_with_interval(values: Floats) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
    """Count, mean and 95% interval (Student's t) of each column of (N, C), NaN left out.

    The interval is NaN for fewer than two values.

    Example:
        >>> n, mean, low, high = mean_with_interval(np.array([[0.2], [0.4], [np.nan]]))
        >>> int(n[0]), [round(float(v[0]), 2) for v in (mean, low, high)]
        (2, [0.3, -0.97, 1.57])
    """
    from scipy.special import stdtrit

    known = np.isfinite(values)
    n = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(n > 0, filled.sum(axis=0) / n, np.nan)
        squares = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
        step = np.where(n > 1, stdtrit(np.maximum(n - 1, 1), 0.975) * np.sqrt(squares / (n - 1) / n), np.nan)
    return n.astype(np.int64), mean, mean - step, mean + step
