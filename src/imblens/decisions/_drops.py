"""Exact tests of a drop of recall in each class, and their control over all classes together."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.errors import InputError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
_ROUNDING = 1 + 1e-9  # two ways to compute one tail differ in the last digits


@dataclass(frozen=True)
class Drops:
    """One test in each of K groups of instances (classes, or positives and negatives of labels).

    Paired groups use the sign test of the instances whose correctness changed, others Fisher's test; both are one-sided.

    Attributes:
        count, count_before: (K,) instances.
        correct, correct_before: (K,) of them classified correctly.
        gained, lost: (K,) instances (or patients, ...) that became correct and that became misclassified; None where the
            instances differ.
        worth, worth_before: (K,) design effects that counts of different instances are divided by; None for 1.
    """

    count: Counts
    correct: Counts
    count_before: Counts
    correct_before: Counts
    gained: Counts | None = None
    lost: Counts | None = None
    worth: Floats | None = None
    worth_before: Floats | None = None

    @property
    def p_values(self) -> Floats:
        """(K,) chance of a drop at least as large where nothing changed; 1 in a group without instances."""
        if self.gained is not None and self.lost is not None:
            return sign_p_values(self.gained, self.lost)
        from scipy.stats import hypergeom

        correct = self.correct if self.worth is None else _worth(self.count, self.correct, self.worth)[1]
        return np.asarray(hypergeom.cdf(correct, *self._margins))

    def reachable(self, level: float) -> Floats:
        """(K,) chance of a p-value of at most `level` where nothing changed, given the totals of the group.

        It is often far below `level`: with few changed instances no small p-value is possible at all.
        """
        from scipy.stats import binom, hypergeom

        level *= _ROUNDING
        if self.gained is not None and self.lost is not None:
            changed = self.gained + self.lost
            return np.where(changed > 0, binom.sf(binom.isf(level, changed, 0.5), changed, 0.5), 0.0)
        last = hypergeom.ppf(level, *self._margins)
        last = np.where(hypergeom.cdf(last, *self._margins) <= level, last, last - 1)
        return np.nan_to_num(hypergeom.cdf(last, *self._margins))

    @property
    def _margins(self) -> tuple[Counts, Counts, Counts]:
        count, correct, count_before, correct_before = self.count, self.correct, self.count_before, self.correct_before
        if self.worth is not None and self.worth_before is not None:
            count, correct = _worth(count, correct, self.worth)
            count_before, correct_before = _worth(count_before, correct_before, self.worth_before)
        return count + count_before, correct + correct_before, count

    def adjusted(self, alpha: float) -> Floats:
        """(K,) p-values controlled over all groups: the chance of any false alarm is at most `alpha`.

        Step-down as in Holm, with the chance that each group can reach a level (`reachable`) in place of the level, so that
        groups with few changed instances cost nothing. Values above `alpha` are lower bounds.

        References:
            Holm 1979; Tarone 1990, A modified Bonferroni method for discrete data; Westfall and Wolfinger 1997.
        """
        p = self.p_values
        adjusted = np.where(p > alpha, p, 0.0)
        largest, remaining = 0.0, np.ones(len(p), dtype=bool)
        for place in np.argsort(p, kind="stable"):
            if p[place] > alpha:
                break
            largest = max(largest, min(1.0, float(self.reachable(float(p[place]))[remaining].sum())))
            adjusted[place] = largest
            remaining[place] = False
        return np.maximum(adjusted, p)

    def level(self, alpha: float) -> float:
        """Largest p-value at which a group alone would still be reported after the control over all groups."""
        low, high = np.log(alpha / max(1, len(self.count))), np.log(alpha)
        if self.reachable(alpha).sum() <= alpha:
            return alpha
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if self.reachable(float(np.exp(middle))).sum() <= alpha else (low, middle)
        return float(np.exp(low))


def _worth(count: Counts, correct: Counts, effect: Floats) -> tuple[Counts, Counts]:
    """Counts of as many independent instances as these are worth."""
    fewer = np.floor(count / effect + 1e-9).astype(np.int64)
    share = np.where(count > 0, correct / np.maximum(count, 1), 0.0)
    return fewer, np.rint(share * fewer).astype(np.int64)


def sign_p_values(gained: NDArray[Any], lost: NDArray[Any]) -> Floats:
    """One-sided exact p-value of a drop: the chance of `lost` or more losses among all changes, each as likely a gain.

    References:
        McNemar 1947, in its exact form.

    Example:
        >>> sign_p_values(np.array([0, 1, 4]), np.array([5, 7, 4])).round(4)
        array([0.0312, 0.0352, 0.6367])
    """
    from scipy.stats import binom

    return np.asarray(binom.sf(np.asarray(lost) - 1, np.asarray(lost) + np.asarray(gained), 0.5))


def drop_power(count: int, drop: float, *, gained: float, level: float) -> float:
    """Chance that the sign test reports a drop of recall on the same instances in both runs.

    Args:
        count: instances of the class.
        drop: true drop, a share in [0, 1].
        gained: share of the instances that become correct in spite of the drop; `gained + drop` become misclassified.
        level: p-value up to which a drop is reported; `GateResult.level`.

    Raises:
        InputError: the shares do not fit: `drop + 2 * gained` above 1, or one below 0.

    Example:
        >>> round(drop_power(30, 0.3, gained=0.05, level=0.005), 2)
        0.43
        >>> round(drop_power(300, 0.1, gained=0.05, level=0.005), 2)
        0.9
    """
    if drop < 0 or gained < 0 or drop + 2 * gained > 1 + 1e-9:
        raise InputError(
            f"drop_power: a drop of {drop} with {gained} gained is impossible.",
            hint="Both are shares, and drop + 2 * gained is at most 1.",
        )
    return _power(_losses_needed(count, level), drop, gained)


def detectable_drop(count: int, *, gained: float, level: float, power: float = 0.8) -> float:
    """Smallest true drop that `drop_power` reports with chance `power`; NaN where none is reported so often.

    Example:
        >>> round(detectable_drop(30, gained=0.03, level=0.005), 2), detectable_drop(5, gained=0.0, level=0.005)
        (0.41, nan)
    """
    needed = _losses_needed(count, level)
    low, high = 0.0, max(0.0, 1 - 2 * gained)
    if _power(needed, high, gained) < power:
        return float("nan")
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if _power(needed, middle, gained) < power else (low, middle)
    return high


def _losses_needed(count: int, level: float) -> Floats:
    """(count + 1,) for each number of changed instances, the number of losses above which a drop is reported."""
    from scipy.stats import binom

    changed = np.arange(count + 1)
    return np.where(changed > 0, binom.isf(level * _ROUNDING, changed, 0.5), 0.0)


def _power(needed: Floats, drop: float, gained: float) -> float:
    from scipy.special import bdtrc
    from scipy.stats import binom

    count, changing = len(needed) - 1, min(1.0, drop + 2 * gained)
    if changing == 0 or count == 0:
        return 0.0
    middle, spread = (
        count * changing,
        8 * np.sqrt(count * changing * (1 - changing)) + 8,
    )  # beyond, chances are below 1e-9
    changed = np.arange(max(1, int(middle - spread)), min(count, int(middle + spread)) + 1)
    caught = bdtrc(needed[changed], changed, (drop + gained) / changing)  # chance of more losses than needed
    return float((binom.pmf(changed, count, changing) * np.nan_to_num(caught)).sum())


def changed_groups(turned: NDArray[np.int64], groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(C,) groups with more gained than lost instances, and with more lost than gained: the sign test is by group."""
    from scipy.sparse import csr_array

    _, place = np.unique(groups, return_inverse=True)
    n = len(place)
    sums = csr_array((np.ones(n, np.int64), (place, np.arange(n))), shape=(int(place.max()) + 1, n)) @ turned
    return (sums > 0).sum(axis=0), (sums < 0).sum(axis=0)


def stacked(parts: list[Drops]) -> Drops:
    """The tests of several kinds of instances as one."""

    def both(name: str) -> Any:
        found = [getattr(part, name) for part in parts]
        return None if found[0] is None else np.concatenate(found)

    return Drops(*(both(field.name) for field in fields(Drops)))
