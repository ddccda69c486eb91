"""What rules of decisions do on labelled instances, class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.intervals import wilson
from imblens.decisions._table import Outcome

Floats = NDArray[np.float64]
DRAWS = 200


def measured_table(
    found: Outcome, member: NDArray[np.bool_], known: NDArray[np.bool_], classes: tuple[str, ...], shares: Floats
) -> pd.DataFrame:
    """Recall, precision, coverage and size of sets, and abstention of each class.

    Args:
        found: the decisions, whose `predicted` is (n,) or in multi-label data (n, C).
        member, known: (n, C) true classes, and whether they are known.
        classes: C names.
        shares: (C,) class shares that precision is stated for.

    Returns:
        Columns: class, share, count, recall, precision (for these shares) and covered (share of the instances whose set
        holds the class), each with _low and _high (95%; of precision by 200 bootstrap draws), set_size (mean) and abstain
        (share). NaN where a class has no instance, or is never predicted.
    """
    mine = found.predicted
    multilabel = mine.ndim == 2
    mine = mine.astype(bool) if multilabel else mine[:, None] == np.arange(len(classes))
    yes, no = member & known, ~member & known
    count, hit, covered = yes.sum(axis=0), (yes & mine).sum(axis=0), (yes & found.sets).sum(axis=0)
    rng = np.random.default_rng(0)
    if multilabel:
        negatives = no.sum(axis=0)
        alarms = divide((no & mine).sum(axis=0), negatives)

        def precision(draw: bool) -> Floats:
            recall, alarm = divide(hit, count), alarms
            if draw:
                recall = divide(rng.binomial(count, np.nan_to_num(recall)), count)
                alarm = divide(rng.binomial(negatives, np.nan_to_num(alarm)), negatives)
            return _precision(shares * np.nan_to_num(recall), (1 - shares) * np.nan_to_num(alarm))
    else:
        joint = yes.T.astype(np.float64) @ mine  # (C true, C predicted)
        rates = divide(joint, count[:, None], otherwise=0.0)

        def precision(draw: bool) -> Floats:
            found_rates = rates
            if draw:
                drawn = [
                    rng.multinomial(n, row) if n else np.zeros(len(row)) for n, row in zip(count, rates, strict=True)
                ]
                found_rates = divide(np.array(drawn), count[:, None], otherwise=0.0)
            right = shares * np.diag(found_rates)
            return _precision(right, shares @ found_rates - right)

    columns: dict[str, Any] = {"class": classes, "share": shares, "count": count}
    for name, number in (("recall", hit), ("covered", covered)):
        low, high = wilson(number, count)
        columns |= {name: divide(number, count), f"{name}_low": low, f"{name}_high": high}
    drawn = np.array([precision(draw=True) for _ in range(DRAWS)])
    columns["precision"] = precision(draw=False)
    empty = np.isnan(drawn).all(axis=0)
    low, high = np.nanpercentile(np.where(empty, 0.0, drawn), [2.5, 97.5], axis=0)
    columns |= {"precision_low": np.where(empty, np.nan, low), "precision_high": np.where(empty, np.nan, high)}
    columns["set_size"] = divide(yes.T.astype(np.float64) @ found.sets.sum(axis=1), count)
    columns["abstain"] = divide((yes & found.abstain[:, None]).sum(axis=0), count)
    return pd.DataFrame(columns)


def _precision(right: Floats, wrong: Floats) -> Floats:
    return np.asarray(divide(right, right + wrong))
