"""95% intervals of the AUROC and of average precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.groups import design_effects, t_factor
from imblens.base.intervals import Z95, wilson
from imblens.lenses.ranking.ranks import Ranks

Floats = NDArray[np.float64]


def auroc_interval(
    is_positive: NDArray[np.bool_], score: NDArray[Any], group: NDArray[Any] | None = None
) -> tuple[float, float]:
    """95% interval of the AUROC: the wider of DeLong's and Hanley and McNeil's at each end.

    Args:
        is_positive: (N,) with at least one of each.
        score: (N,) larger for positives.
        group: (N,) integers: instances of one group are not independent; the numbers of positives and of negatives are
            then divided by the design effects of their parts of DeLong's variance (compare Obuchowski 1997).

    Example:
        >>> low, high = auroc_interval(np.array([True, True, False, False, False]), np.array([5, 4, 3, 2, 1]))
        >>> round(low, 2), high  # two against three, in perfect order: little evidence
        (0.44, 1.0)
    """
    return interval_of(Ranks(is_positive, score), group)


def interval_of(ranks: Ranks, group: NDArray[Any] | None = None) -> tuple[float, float]:
    """`auroc_interval` of instances whose ranks are known."""
    is_positive, beaten, outranked = ranks.is_positive, ranks.beaten(), ranks.outranked()
    n, m, auroc = len(beaten), len(outranked), float(beaten.mean())
    worth_n, worth_m = n / effect(beaten, group, is_positive), m / effect(outranked, group, ~is_positive)
    score_low = _score_end(auroc, worth_n, worth_m, 0.0)
    score_high = _score_end(auroc, worth_n, worth_m, 1.0)
    variance = (beaten.var(ddof=1) / worth_n if n > 1 else 0.0) + (outranked.var(ddof=1) / worth_m if m > 1 else 0.0)
    if not 0 < auroc < 1 or variance == 0:
        return score_low, score_high
    log_odds = np.log(auroc / (1 - auroc))
    step = Z95 * np.sqrt(variance) / (auroc * (1 - auroc))
    low, high = 1 / (1 + np.exp(-np.clip([log_odds - step, log_odds + step], -500, 500)))
    return min(score_low, float(low)), max(score_high, float(high))


def effect(values: NDArray[Any], group: NDArray[Any] | None, which: NDArray[np.bool_]) -> float:
    """Design effect of the mean of `values`, one for each instance of `which`; 1 without groups."""
    if group is None:
        return 1.0
    return float(design_effects(np.zeros(len(values), np.int64), group[which], values, 1)[0])


def delong_error(
    beaten: Floats, outranked: Floats, is_positive: NDArray[np.bool_], group: NDArray[Any] | None
) -> float:
    """Standard error of an AUROC, or of a change of it, from the parts of positives (n,) and of negatives (m,).

    Each part is widened by the quantile of t for its instances (groups) over that of the normal distribution; infinite
    where the positives, or the negatives, are one instance (of one group).
    """
    variance = 0.0
    for values, which in ((beaten, is_positive), (outranked, ~is_positive)):
        unit = np.arange(len(values)) if group is None else group[which]
        if _n_units(unit) < 2:
            return float("inf")
        widest = max(effect(values, group, which), t_factor(unit) ** 2)
        variance += float(values.var(ddof=1)) / len(values) * widest
    return float(np.sqrt(variance))


def few_factor(is_positive: NDArray[np.bool_], group: NDArray[Any] | None) -> float:
    """Factor of a standard error that comes from drawings of instances (groups), of which few have a positive.

    The quantile of t over the normal one, times the root of g / (g - 1) for g positives (groups with one), as drawings of g
    vary that much too little. Infinite for one.

    Example:
        >>> own = np.arange(6) < 3
        >>> round(few_factor(own, None), 2), few_factor(own, np.array([0, 0, 0, 1, 2, 3]))
        (2.69, inf)
    """
    unit = np.flatnonzero(is_positive) if group is None else group[is_positive]
    n = _n_units(unit)
    return t_factor(unit) * float(np.sqrt(n / (n - 1))) if n > 1 else float("inf")


def _n_units(unit: NDArray[Any]) -> int:
    return len(np.unique(unit))


def apart_by_group(ranks: Ranks, group: NDArray[Any], drawn: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Drawings (B,) of AUROC and average precision, moved as far apart as standard errors of few groups are.

    Drawings of few groups vary too little. Their deviations from the mean are multiplied by the t quantile for the groups with
    a positive over the normal one; those of the AUROC by more where its standard error by group (DeLong's) is larger.
    """
    wider = t_factor(group[ranks.is_positive])
    error = delong_error(ranks.beaten(), ranks.outranked(), ranks.is_positive, group)
    error = error if np.isfinite(error) else 0.0
    found = []
    for values, at_least in zip(drawn, (error, 0.0), strict=True):
        known = values[np.isfinite(values)]
        spread = float(known.std(ddof=1)) if len(known) > 1 else 0.0
        middle = float(known.mean()) if len(known) else 0.0
        found.append(middle + max(wider, at_least / spread if spread > 0 else 0.0) * (values - middle))
    return found[0], found[1]


def mean_ends(value: float, step: float, *, log_odds: bool) -> tuple[float, float]:
    """Ends of the interval of a mean in [0, 1]; NaN where the step is unknown. Of few groups on the log-odds scale.

    Example:
        >>> [round(end, 3) for log_odds in (False, True) for end in mean_ends(0.95, 0.1, log_odds=log_odds)]
        [0.85, 1.0, 0.698, 0.994]
    """
    if not np.isfinite(step):
        return np.nan, np.nan
    if not log_odds or not 0 < value < 1:
        return max(value - step, 0.0), min(value + step, 1.0)
    middle, step = np.log(value / (1 - value)), min(step / (value * (1 - value)), 500.0)
    return float(1 / (1 + np.exp(step - middle))), float(1 / (1 + np.exp(-middle - step)))


def _score_end(auroc: float, n: float, m: float, outer: float) -> float:
    """The value between `auroc` and `outer` that is 1.96 of its own Hanley-McNeil standard errors away from `auroc`."""
    inner = auroc
    for _ in range(50):
        middle = (inner + outer) / 2
        others = 1 + max(n - 1, 0) * (1 - middle) / (2 - middle) + max(m - 1, 0) * middle / (1 + middle)
        inside = (auroc - middle) ** 2 <= Z95**2 * middle * (1 - middle) * others / (n * m)
        inner, outer = (middle, outer) if inside else (inner, middle)
    return outer


def share_interval(value: float, drawn: Floats, n: float, wider: float = 1.0) -> tuple[float, float]:
    """95% interval of a measure in [0, 1] over n positives: the wider, at each end, of two.

    From the bootstrap's standard error on the log-odds scale, and Wilson's for a share of n.

    Args:
        value: the measure.
        drawn: (B,) the measure in each drawing.
        n: number of positives, or of independent ones that they are worth.
        wider: factor of the standard error, as `few_factor` gives it; where it is infinite, nothing is known: (0, 1).
    """
    if np.isinf(wider):
        return 0.0, 1.0
    low, high = (float(end) for end in wilson(np.array(value * n), np.array(n)))
    inside = drawn[np.isfinite(drawn) & (drawn > 0) & (drawn < 1)]
    if 0 < value < 1 and len(inside) > 1:
        step = wider * Z95 * float(np.log(inside / (1 - inside)).std(ddof=1))
        ends = 1 / (1 + np.exp(-(np.log(value / (1 - value)) + np.array([-step, step]))))
        low, high = min(low, float(ends[0])), max(high, float(ends[1]))
    return low, high
