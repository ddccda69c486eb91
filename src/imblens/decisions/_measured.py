"""What rules of decisions do on labelled instances, class by class."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.intervals import wilson
from imblens.decisions._table import Outcome

Floats = NDArray[np.float64]
DRAWS = 200
Worth = Callable[[NDArray[Any], NDArray[Any]], Floats] | None
DENSE = 200  # classes up to which the counts of all pairs are drawn, those that do not occur too


def measured_labels(
    found: Outcome,
    member: NDArray[np.bool_],
    known: NDArray[np.bool_],
    classes: tuple[str, ...],
    shares: Floats,
    worth: Worth = None,
) -> pd.DataFrame:
    """Recall, precision, coverage and size of sets, and abstention of each label.

    Args:
        found: the decisions, whose `predicted` is (n, C).
        member, known: (n, C) true labels, and whether they are known.
        classes: C names.
        shares: (C,) class shares that precision is stated for.
        worth: design effects of shares over members, where groups are known: members and values, (n, C) each, to (C,).

    Returns:
        Columns: class, share, count, recall, precision (for these shares) and covered (share of the instances whose set
        holds the class), each with _low and _high (95%; of precision by 200 bootstrap draws of instances), set_size (mean) and
        abstain (share), and specificity with its interval. NaN where a class has no instance, or is never predicted.
    """
    mine = found.predicted.astype(bool)
    yes, no = member & known, ~member & known
    count, hit, covered = yes.sum(axis=0), (yes & mine).sum(axis=0), (yes & found.sets).sum(axis=0)
    rng = np.random.default_rng(0)
    negatives = no.sum(axis=0)
    alarms = divide((no & mine).sum(axis=0), negatives)

    def precision(draw: bool) -> Floats:
        recall, alarm = divide(hit, count), alarms
        if draw:
            recall = divide(rng.binomial(count, np.nan_to_num(recall)), count)
            alarm = divide(rng.binomial(negatives, np.nan_to_num(alarm)), negatives)
        return _precision(shares * np.nan_to_num(recall), (1 - shares) * np.nan_to_num(alarm))

    sizes = divide(yes.T.astype(np.float64) @ found.sets.sum(axis=1), count)
    sent = divide((yes & found.abstain[:, None]).sum(axis=0), count)
    effects = None if worth is None else (worth(yes, mine), worth(yes, found.sets))
    table = _table(classes, shares, (count, hit, covered), precision, sizes, sent, effects)
    kept, alone = (no & ~mine).sum(axis=0), np.ones(len(count)) if worth is None else worth(no, ~mine)
    low, high = wilson(kept / alone, negatives / alone)
    return table.assign(specificity=divide(kept, negatives), specificity_low=low, specificity_high=high)


def measured_classes(
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    held: NDArray[np.bool_],
    sizes: NDArray[np.int64],
    abstain: NDArray[np.bool_],
    classes: tuple[str, ...],
    shares: Floats,
    worth: Worth = None,
) -> pd.DataFrame:
    """The same of single-label instances.

    Args:
        labels, predicted: (n,) classes.
        held: (n,) whether the set holds the true class; sizes: (n,) of the sets; abstain: (n,).
        classes, shares: as above.
        worth: as above, of (n,) classes and values.
    """
    n_classes = len(classes)

    def per_class(of: NDArray[np.int64], weights: Any = None) -> NDArray[Any]:
        return np.bincount(of, weights, n_classes)

    count = per_class(labels)
    rng = np.random.default_rng(0)
    draw_rates = _dense_rates if n_classes <= DENSE else _sparse_rates
    rates = draw_rates(labels, predicted, count, rng)

    def precision(draw: bool) -> Floats:
        right, chosen = rates(draw, shares)
        return _precision(right, chosen - right)

    numbers = count, per_class(labels[predicted == labels]), per_class(labels[held])
    of_sizes, sent = (divide(per_class(labels, values.astype(np.float64)), count) for values in (sizes, abstain))
    effects = None if worth is None else (worth(labels, predicted == labels), worth(labels, held))
    return _table(classes, shares, numbers, precision, of_sizes, sent, effects)


Rates = Callable[
    [bool, Floats], tuple[Floats, Floats]
]  # draw, shares -> (C,) share that is a hit, and that is predicted


def _dense_rates(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], count: NDArray[np.int64], rng: np.random.Generator
) -> Rates:
    n_classes = len(count)
    joint = np.bincount(labels * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
    rates = divide(joint, count[:, None], otherwise=0.0)

    def of(draw: bool, shares: Floats) -> tuple[Floats, Floats]:
        found = rates
        if draw:
            drawn = [rng.multinomial(n, row) if n else np.zeros(len(row)) for n, row in zip(count, rates, strict=True)]
            found = divide(np.array(drawn), count[:, None], otherwise=0.0)
        return shares * np.diag(found), shares @ found

    return of


def _sparse_rates(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], count: NDArray[np.int64], rng: np.random.Generator
) -> Rates:
    """The same from the pairs of classes that occur, of which there are no more than instances."""
    n_classes = len(count)
    pairs, numbers = np.unique(labels * n_classes + predicted, return_counts=True)
    of_class, to = np.divmod(pairs, n_classes)
    begins = np.r_[0, np.flatnonzero(np.diff(of_class)) + 1, len(pairs)]

    def of(draw: bool, shares: Floats) -> tuple[Floats, Floats]:
        found = numbers.astype(np.float64)
        if draw:
            for low, high in pairwise(begins.tolist()):
                n = int(numbers[low:high].sum())
                found[low:high] = rng.multinomial(n, numbers[low:high] / n) if high - low > 1 else n
        found *= shares[of_class] / count[of_class]
        right: Floats = np.bincount(to[to == of_class], found[to == of_class], n_classes).astype(np.float64)
        return right, np.bincount(to, found, n_classes).astype(np.float64)

    return of


def _table(
    classes: tuple[str, ...],
    shares: Floats,
    numbers: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    precision: Callable[[bool], Floats],
    sizes: Floats,
    sent: Floats,
    effects: tuple[Floats, Floats] | None,
) -> pd.DataFrame:
    count, hit, covered = numbers
    columns: dict[str, Any] = {"class": classes, "share": shares, "count": count}
    alone = np.ones(len(count))
    for name, number, effect in zip(("recall", "covered"), (hit, covered), effects or (alone, alone), strict=True):
        low, high = wilson(number / effect, count / effect)
        columns |= {name: divide(number, count), f"{name}_low": low, f"{name}_high": high}
    drawn = np.array([precision(True) for _ in range(DRAWS)])
    columns["precision"] = precision(False)
    empty = np.isnan(drawn).all(axis=0)
    low, high = np.nanpercentile(np.where(empty, 0.0, drawn), [2.5, 97.5], axis=0)
    columns |= {"precision_low": np.where(empty, np.nan, low), "precision_high": np.where(empty, np.nan, high)}
    columns |= {"set_size": sizes, "abstain": sent}
    return pd.DataFrame(columns)


def _precision(right: Floats, wrong: Floats) -> Floats:
    return np.asarray(divide(right, right + wrong))
