"""Change of AUROC and average precision between two predictions of the same instances, with 95% intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.groups import t_factor
from imblens.base.intervals import Z95, drawn_alike, mean_change
from imblens.lenses.ranking.bootstrap import resample_counts
from imblens.lenses.ranking.intervals import delong_error
from imblens.lenses.ranking.ranks import Ranks
from imblens.lenses.ranking.scores import normaliser_of, probability_of
from imblens.run import Split

Floats = NDArray[np.float64]
MEASURES = ("auroc", "average_precision")


@dataclass(frozen=True)
class RankingChanges:
    """Changes from one prediction to another.

    Attributes:
        change, low, high: measure -> (C,) change of each class and its 95% interval; NaN where the class has no instance or
            no other.
        mean: measure -> (change, low, high) of the mean over classes.
    """

    change: dict[str, Floats]
    low: dict[str, Floats]
    high: dict[str, Floats]
    mean: dict[str, tuple[float, float, float]]


def ranking_changes(before: Split, after: Split, rows: NDArray[Any], pairs: Any, classes: Any) -> RankingChanges:
    """Compare how two predictions of the same instances rank each class.

    The variance of a change of the AUROC is DeLong's for paired areas; that of average precision comes from drawing instances
    with replacement, the same ones for both. Intervals of means over classes are made from those of the classes, and from how
    alike the classes' changes are in the drawings. Where the split has groups, all are by group. A threshold that moves, or
    logits that are scaled or shifted by class, changes neither measure.

    Args:
        before, after: splits with predictions.
        rows, pairs: rows of the same instances in both, as `imblens.run.common_rows` gives them.
        classes: pairs of places (before, after) of each class.

    References:
        DeLong et al. 1988, Comparing the areas under two or more correlated ROC curves; by group: compare Obuchowski 1997.
    """
    first, second = np.asarray(rows), np.asarray(pairs)
    counts = resample_counts(before)[first]
    groups = None if before.groups is None else before.groups[first]
    normalisers = [normaliser_of(split) for split in (before, after)]
    found: dict[str, list[Floats]] = {name: [] for name in MEASURES}
    draws: dict[str, list[Floats]] = {name: [] for name in MEASURES}
    nothing = np.full(3, np.nan)
    for here, there in classes:
        known = before.known[first, here]
        own = before.membership[first, here][known]
        if not 0 < own.sum() < len(own):
            for name in MEASURES:
                found[name].append(nothing)
            continue
        scores = [
            probability_of(split.logit_columns(slice(column, column + 1))[:, 0], normaliser)[which][known]
            for split, column, normaliser, which in (
                (before, here, normalisers[0], first),
                (after, there, normalisers[1], second),
            )
        ]
        group = None if groups is None else groups[known]
        ranks = [Ranks(own, score) for score in scores]
        drawn = [one.areas(counts[known]) for one in ranks]
        whole = [one.areas(np.ones((len(own), 1), np.float32)) for one in ranks]
        wider = 1.0 if group is None else t_factor(group[own])
        for place, name in enumerate(MEASURES):
            change = float(whole[1][place][0] - whole[0][place][0])
            moved = drawn[1][place] - drawn[0][place]
            draws[name].append(moved)
            known_draws = moved[np.isfinite(moved)]
            step = wider * Z95 * float(known_draws.std(ddof=1)) if len(known_draws) > 1 else np.nan
            if name == "auroc":
                step = max(Z95 * _delong_step(ranks, group), 0.0)
            found[name].append(np.array([change, change - step, change + step]))
    mean = {name: _mean(np.array(values), draws[name]) for name, values in found.items()}
    columns = {name: np.array(values).T for name, values in found.items()}
    changes, lows, highs = ({name: columns[name][k] for name in MEASURES} for k in range(3))
    return RankingChanges(changes, lows, highs, mean)


def _delong_step(ranks: list[Ranks], group: NDArray[Any] | None) -> float:
    """Standard error of the change of the AUROC."""
    before, after = ranks
    return delong_error(
        after.beaten() - before.beaten(), after.outranked() - before.outranked(), before.is_positive, group
    )


def _mean(found: Floats, draws: list[Floats]) -> tuple[float, float, float]:
    """Change of the mean over classes, with its interval from theirs and from how alike the drawings of classes are."""
    known = np.isfinite(found[:, 0])
    if not known.any():
        return np.nan, np.nan, np.nan
    low, high = mean_change(found[:, 1], found[:, 2], found[:, 0], drawn_alike(np.array(draws)))
    return float(found[known, 0].mean()), low, high
