"""Prediction sets that contain the true class with a stated chance: split-conformal prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.groups import design_effects
from imblens.base.intervals import wilson
from imblens.decisions._calibration import probabilities
from imblens.decisions._deployment import share_hint
from imblens.errors import InputError, MissingError, ShapeError, did_you_mean
from imblens.run import LogitRows, in_blocks

Floats = NDArray[np.float64]
SET_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "marginal": "one threshold for all classes: the stated coverage over all instances, often less for rare classes",
        "class": "one threshold per class: the stated coverage for every class that has enough instances",
        "prevalence": "softmax divided by the share of the class in training, one threshold: better average coverage "
        "over classes, small sets",
        "interpolated": "thresholds between `class` and `marginal`: between them in coverage of rare classes and in size",
    }
)


@dataclass(frozen=True)
class SetRule:
    """A class belongs to the set of an instance where its score is at most the threshold of the class.

    Attributes:
        method: one of `SET_METHODS`.
        coverage: stated coverage, a share.
        thresholds: (C,); infinite for a class without enough instances, which is then in every set.
        counts: (C,) instances of each class that the thresholds are from.
        prior: (C,) share of each class in training, by which `prevalence` divides; ones otherwise.
        multilabel: whether labels are independent.

    Example:
        >>> logits = np.eye(2)[np.repeat([0, 1], 20)]
        >>> rule = fit_sets(logits, np.repeat([0, 1], 20), coverage=0.9)
        >>> rule(logits[[0, 39]]).tolist()
        [[True, False], [False, True]]
    """

    method: str
    coverage: float
    thresholds: Floats
    counts: NDArray[np.int64]
    prior: Floats
    multilabel: bool = False

    def __call__(self, logits: NDArray[Any]) -> NDArray[np.bool_]:
        """(n, C) which classes are in the set of each instance."""
        return scores(logits, self.prior, self.multilabel) <= self.thresholds

    @property
    def too_few(self) -> NDArray[np.bool_]:
        """(C,) classes without the guarantee of a threshold of their own, because they have too few instances."""
        return self.counts < needed_for(self.coverage)


def needed_for(coverage: float) -> int:
    """Least number of instances of a class for a finite threshold.

    Example:
        >>> needed_for(0.9), needed_for(0.95)
        (9, 19)
    """
    return int(np.ceil(1 / (1 - coverage) - 1e-9)) - 1


def conformal_quantile(values: NDArray[Any], coverage: float) -> float:
    """The ceil((n + 1) * coverage)-th smallest value: a new exchangeable one is at most this with chance `coverage` or more.

    Infinite where there are too few values.

    References:
        Vovk, Gammerman and Shafer 2005; Lei et al. 2018, Distribution-free predictive inference for regression, section 2.

    Example:
        >>> conformal_quantile(np.arange(1, 20), 0.9), conformal_quantile(np.arange(5), 0.9)
        (18.0, inf)
    """
    place = int(np.ceil((len(values) + 1) * coverage - 1e-9))
    return float("inf") if place > len(values) else float(np.partition(values, place - 1)[place - 1])


def scores(logits: NDArray[Any], prior: Floats, multilabel: bool) -> Floats:
    """(n, C) how little an instance looks like each class: -probability / prior of the network as it is."""
    return -probabilities(logits, multilabel) / prior


def fit_sets(
    logits: NDArray[Any] | LogitRows,
    labels: NDArray[Any],
    *,
    method: str = "class",
    coverage: float = 0.9,
    prior: NDArray[Any] | None = None,
    tau: float = 0.5,
) -> SetRule:
    """Thresholds of prediction sets from labelled instances that the network was not trained on.

    Scores are s(x, y) = -softmax_y(logits); q(S) is the `conformal_quantile` of the scores of the true classes in S.

    - marginal: q(all) for every class. P(true class in set) >= coverage.
    - class: q(instances of y) for class y. P(y in set | true class y) >= coverage for every class; a class with fewer
      than 1 / (1 - coverage) - 1 instances is in every set.
    - prevalence: s(x, y) = -softmax_y / prior_y, q(all). P(true class in set) >= coverage; among sets of one average size
      it has the largest mean coverage over classes.
    - interpolated: tau * q(instances of y) + (1 - tau) * q(all), an infinite q counting as 0, the largest score. No
      class has a guarantee of its own; over all instances coverage is at least 1 - 2 * (1 - coverage).

    In multi-label data probabilities are sigmoid, and a label counts as one case for each positive instance: `class` states
    the recall of each label; the others pool the positives of all labels, which is exact only where labels are independent.

    Args:
        logits: (n, C) of held-out instances, of one distribution with those to come.
        labels: (n,) class numbers or (n, C) multi-hot.
        method: one of `SET_METHODS`.
        coverage: in (0, 1).
        prior: (C,) shares of the classes in the training split; needed for `prevalence`.
        tau: weight of the class's own threshold, for `interpolated`.

    Raises:
        MissingError: no such method.
        InputError: coverage or tau out of range, or no prior.
        ShapeError: not one row of logits for each label.

    References:
        Sadinle, Lei and Wasserman 2019, Least ambiguous set-valued classifiers; Vovk 2012, Conditional validity of
        inductive conformal predictors; Ding, Fermanian and Salmon 2025, Conformal prediction for long-tailed
        classification (arXiv 2507.06867), for prevalence-adjusted softmax and INTERP-Q.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.permutation(np.repeat([0, 1, 2], [200, 60, 5]))
        >>> rule = fit_sets(rng.normal(size=(265, 3)) + 2 * np.eye(3)[y], y, coverage=0.9)
        >>> rule.too_few.tolist(), rule(np.array([[9.0, 0.0, 0.0]])).tolist()
        ([False, False, True], [[True, False, True]])
    """
    if method not in SET_METHODS:
        raise MissingError(
            f"there is no kind of prediction set {method!r}.", hint=did_you_mean(method, list(SET_METHODS))
        )
    if not 0 < coverage < 1:
        raise InputError(f"a coverage of {coverage:g} is not between 0 and 1.", hint=share_hint(coverage))
    if not 0 <= tau <= 1:
        raise InputError(f"tau={tau} is not between 0 and 1.", hint="1 is `class`, 0 is `marginal`.")
    labels = np.asarray(labels)
    logits = logits if isinstance(logits, LogitRows) else np.asarray(logits)
    if len(logits) != len(labels) or logits.ndim != 2:
        raise ShapeError(f"logits of shape {logits.shape} for {len(labels)} labels.", hint="Give one row per label.")
    n_classes = logits.shape[1]
    multilabel = labels.ndim == 2
    divisor = np.ones(n_classes)
    if method == "prevalence":
        if prior is None or (np.asarray(prior) <= 0).any():
            raise InputError("`prevalence` needs the share of every class in training, above 0.", hint="Pass prior=.")
        divisor = np.asarray(prior, dtype=np.float64) / np.sum(prior)
    rows, of = np.nonzero(labels) if multilabel else (np.arange(len(labels)), labels)
    true = np.concatenate(
        [
            scores(logits[block], divisor, multilabel)[rows[at] - block.start, of[at]]
            for block in in_blocks(*logits.shape)
            for at in [slice(*np.searchsorted(rows, [block.start, block.stop]))]
        ]
    )
    counts = np.bincount(of, minlength=n_classes)
    pooled = conformal_quantile(true, coverage)
    thresholds = np.full(n_classes, pooled)
    if method in ("class", "interpolated"):
        own = np.array([conformal_quantile(true[of == place], coverage) for place in range(n_classes)])
        thresholds = own
        if method == "interpolated":
            thresholds = tau * np.minimum(own, 0.0) + (1 - tau) * min(pooled, 0.0)
    return SetRule(method, coverage, thresholds, counts, divisor, multilabel)


def set_coverage(
    rule: SetRule, logits: NDArray[Any], labels: NDArray[Any], *, groups: NDArray[Any] | None = None
) -> pd.DataFrame:
    """Coverage and size of the sets of each class on other labelled instances.

    Args:
        rule: from `fit_sets`.
        logits: (n, C).
        labels: (n,), or (n, C) of 0 and 1.
        groups: (n,) numbers or texts: instances of one group (patient) are not independent, and intervals are by group.

    Returns:
        Columns: position of the class, count (instances), coverage with its 95% interval, size (mean number of classes in
        the sets of its instances), calibration_count, guaranteed. NaN for a class without instances.

    Example:
        >>> y = np.repeat([0, 1], [30, 10])
        >>> rule = fit_sets(np.eye(2)[y], y, coverage=0.9)
        >>> set_coverage(rule, np.eye(2)[y[::2]], y[::2])[["count", "coverage", "size"]].to_numpy().tolist()
        [[15.0, 1.0, 1.0], [5.0, 1.0, 1.0]]
    """
    sets, labels = rule(logits), np.asarray(labels)
    member = labels.astype(bool) if rule.multilabel else labels[:, None] == np.arange(sets.shape[1])
    count = member.sum(axis=0)
    covered = (member & sets).sum(axis=0)
    worth = np.ones(len(count))
    if groups is not None:
        rows, kind = np.nonzero(member)
        whose = np.unique(np.asarray(groups), return_inverse=True)[1]
        worth = design_effects(kind, whose[rows], sets[rows, kind], len(count))
    low, high = wilson(covered / worth, count / worth)
    return pd.DataFrame(
        {
            "position": np.arange(sets.shape[1]),
            "count": count,
            "coverage": divide(covered, count),
            "coverage_low": low,
            "coverage_high": high,
            "size": divide(member.T.astype(np.float64) @ sets.sum(axis=1), count),
            "calibration_count": rule.counts,
            "guaranteed": ~rule.too_few if rule.method == "class" else np.zeros(len(count), bool),
        }
    )
