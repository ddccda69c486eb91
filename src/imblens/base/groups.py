"""Design effects: how much information is lost where instances of one group (patient, source image, site) are similar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.intervals import Z95

Floats = NDArray[np.float64]
PRIOR = 2.0  # events that the assumption "instances of a group are all alike" weighs as much as


def group_counts(kind: NDArray[Any], group: NDArray[Any], n_kinds: int) -> NDArray[np.int64]:
    """Count the groups in which each kind occurs, (K,).

    Args:
        kind: (n,) kind of each entry, 0 to K - 1.
        group: (n,) group of each entry, 0 or more.
        n_kinds: K.

    Example:
        >>> group_counts(np.array([0, 0, 0, 1]), np.array([5, 5, 6, 6]), 3)
        array([2, 1, 0])
    """
    cells = np.unique(_cells(kind, group))
    return np.bincount(cells // _width(group), minlength=n_kinds).astype(np.int64)


def design_effects(
    kind: NDArray[Any],
    group: NDArray[Any],
    value: NDArray[Any],
    n_kinds: int,
    *,
    events: NDArray[Any] | None = None,
    prior: float = PRIOR,
) -> Floats:
    """Variance of each kind's mean value by group over that of as many independent entries, (K,), 1 or more.

    Divide counts by it before an interval is computed: n entries are worth n / effect independent ones. The variance by
    group is that of a ratio of sums, and it is widened by the t quantile for the effective number of groups, (sum m)^2 /
    sum m^2 of group sizes m, over the normal one. It lies between 1 and the value for entries that are all alike within
    their group, sum m^2 / sum m, times 2 - effective / actual number of groups for groups of unequal size. Few events
    cannot show how alike the entries of a group are: the estimate is averaged with that upper end, which weighs as much as
    two events. Without any event the result is the upper end.

    It is exactly 1 where every entry is a group of its own, and for a kind without entries.

    Args:
        kind: (n,) kind of each entry (class, label), 0 to K - 1.
        group: (n,) group of each entry, 0 or more.
        value: (n,) numbers, or booleans.
        n_kinds: K.
        events: (K,) entries that inform on the variance; by default the smaller number of values at and away from the
            most frequent of 0 and 1 where values are booleans, else all.
        prior: events that the upper end weighs as much as. With 0 it is taken only where the estimate is not defined.

    References:
        Kish 1965, Survey sampling, section 5.4, for the design effect; Korn and Graubard 1998, Confidence intervals for
        proportions with small expected number of positive counts estimated from survey data, for the effective sample size
        with t quantiles. Bounds and the average with the upper end are ours; `python -m benchmarks.science.coverage`
        measures the coverage.

    Example:
        >>> alike = design_effects(np.zeros(6, int), np.array([0, 0, 0, 1, 1, 1]), np.array([1, 1, 1, 0, 0, 0]) > 0, 1)
        >>> alone = design_effects(np.zeros(6, int), np.arange(6), np.array([1, 1, 1, 0, 0, 0]) > 0, 1)
        >>> alike.tolist(), alone.tolist()
        ([3.0], [1.0])
    """
    from scipy.special import stdtrit

    number = np.asarray(value, dtype=np.float64)
    count = np.bincount(kind, minlength=n_kinds)
    if events is None and np.asarray(value).dtype == bool:
        ones = np.bincount(kind, weights=number, minlength=n_kinds)
        events = np.minimum(ones, count - ones)
    elif events is None:
        events = count
    cells, cell = np.unique(_cells(kind, group), return_inverse=True)
    of_cell = cells // _width(group)  # kind of each pair of kind and group
    sizes = np.bincount(cell, minlength=len(cells))
    n_groups = np.bincount(of_cell, minlength=n_kinds)
    squared = np.bincount(of_cell, weights=sizes.astype(np.float64) ** 2, minlength=n_kinds)
    residual = number - divide(np.bincount(kind, weights=number, minlength=n_kinds), count)[kind]
    sums = np.bincount(cell, weights=residual, minlength=len(cells))
    apart = np.bincount(kind, weights=residual**2, minlength=n_kinds)
    together = np.bincount(of_cell, weights=sums**2, minlength=n_kinds)
    effective = np.where(count > 0, divide(count.astype(np.float64) ** 2, squared), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        highest = np.where(count > 0, squared / count * (2 - effective / n_groups), 1.0)
        wider = (stdtrit(np.maximum(effective - 1, 1), 0.975) / Z95) ** 2
        estimate = together / apart * n_groups / (n_groups - 1) * wider
    known = (apart > 1e-12 * np.maximum(count, 1)) & (n_groups > 1)
    estimate = np.clip(np.where(known, estimate, highest), 1.0, highest)
    weight = np.asarray(events) + prior
    return np.where(weight > 0, divide(events * estimate + prior * highest, weight), highest)


def shared_effect(
    blocks: Iterable[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]], n_units: int, events: int
) -> float:
    """Variance of a mean over kinds, over what it is where kinds are independent: 1 or more.

    Influences on the mean, (value - mean of its kind) / entries of its kind, are summed over the kinds of each unit: labels
    of one instance, or classes of one group, may change together. Few events cannot show how far they do: the estimate is
    averaged with the value for units whose entries all change together, which weighs as much as two events.

    Args:
        blocks: kind (n,), unit (n,) and value (n,) of entries; a block has all entries of its kinds.
        n_units: one more than the largest unit.
        events: entries that inform on the variance.

    Example:
        >>> kind, unit = np.repeat([0, 1], 4), np.tile(np.arange(4), 2)
        >>> alike = [(kind, unit, np.array([1, 0, 0, 1, 1, 0, 0, 1]))]
        >>> apart = [(kind, unit, np.array([1, 0, 0, 1, 0, 0, 1, 1]))]
        >>> round(shared_effect(alike, 4, 100), 2), round(shared_effect(apart, 4, 100), 2)
        (2.0, 1.02)
    """
    joint, reach = np.zeros((2, n_units))
    apart = own = 0.0
    for kind, unit, value in blocks:
        weight = 1.0 / np.bincount(kind)[kind]
        part = weight * (value - np.bincount(kind, weights=weight * value)[kind])
        joint += np.bincount(unit, weights=part, minlength=n_units)
        reach += np.bincount(unit, weights=weight, minlength=n_units)
        cell = np.unique(_cells(kind, unit), return_inverse=True)[1]
        apart += float((np.bincount(cell, weights=part) ** 2).sum())
        own += float((np.bincount(cell, weights=weight) ** 2).sum())
    if own == 0:
        return 1.0
    highest = max(float((reach**2).sum()) / own, 1.0)
    known = apart > 1e-12 * own
    estimate = max(float((joint**2).sum()) / apart, 1.0) if known else highest
    return (events * estimate + PRIOR * highest) / (events + PRIOR)


def group_folds(group: NDArray[Any], n_folds: int) -> NDArray[np.int64]:
    """Fold of each entry, (n,): groups in turn, by their first entry, so that no group is in two folds.

    Example:
        >>> group_folds(np.array([7, 7, 3, 9, 3, 9]), 2)
        array([0, 0, 1, 0, 1, 0])
    """
    _, first, of = np.unique(group, return_index=True, return_inverse=True)
    turn = np.empty(len(first), dtype=np.int64)
    turn[np.argsort(first)] = np.arange(len(first)) % n_folds
    return turn[of]


def t_factor(group: NDArray[Any]) -> float:
    """Quantile of t for the effective number of groups, over that of the normal distribution.

    Example:
        >>> round(t_factor(np.array([0, 0, 1, 1, 2, 2])), 2), round(t_factor(np.arange(1000)), 2)
        (2.2, 1.0)
    """
    from scipy.special import stdtrit

    sizes = np.unique(group, return_counts=True)[1].astype(np.float64)
    return float(stdtrit(max(sizes.sum() ** 2 / (sizes**2).sum() - 1, 1.0), 0.975) / Z95)


def _width(group: NDArray[Any]) -> int:
    return int(group.max()) + 1 if len(group) else 1


def _cells(kind: NDArray[Any], group: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(kind, dtype=np.int64) * _width(group) + group
