"""Change of AUROC and average precision between two predictions of the same instances, with 95% intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.intervals import Z95, drawn_alike, mean_change
from imblens.lenses.ranking.bootstrap import resample_counts
from imblens.lenses.ranking.intervals import delong_error, effect, few_factor, interval_of, share_interval
from imblens.lenses.ranking.ranks import Ranks
from imblens.lenses.ranking.scores import normaliser_of, probability_of
from imblens.run import Split

Floats = NDArray[np.float64]
MEASURES = ("auroc", "average_precision")
PRIOR = 0.5  # positives that the assumption of independent predictions weighs as much as


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
    with replacement, the same ones for both; both with quantiles of t, see `change_of_scores` for few positives. Intervals
    of means over classes are made from those of the classes, and from how alike the classes' changes are in the drawings.
    Where the split has groups, all are by group. A threshold that moves, or logits that are scaled or shifted by class,
    changes neither measure.

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
        ends, moved = change_of_scores(own, (scores[0], scores[1]), counts[known], group)
        for name in MEASURES:
            found[name].append(ends[name])
            draws[name].append(moved[name])
    mean = {name: _mean(np.array(values), draws[name]) for name, values in found.items()}
    columns = {name: np.array(values).T for name, values in found.items()}
    changes, lows, highs = ({name: columns[name][k] for name in MEASURES} for k in range(3))
    return RankingChanges(changes, lows, highs, mean)


def change_of_scores(
    own: NDArray[np.bool_],
    scores: tuple[Floats, Floats],
    counts: NDArray[np.float32],
    group: NDArray[Any] | None = None,
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Change of both measures of a class with its 95% interval (3,), and the changes of the drawings (B,).

    Few positives cannot show how alike two predictions rank: the squared half-width is averaged with that of independent
    predictions, which weighs as much as half a positive (half a group with one). Of one positive (group), or of negatives of
    one group, nothing is known: the interval is -1 to 1. Where both rank all instances alike, the change is 0 without error.

    Args:
        own: (N,) which instances are positive, at least one and not all.
        scores: (N,) before and after, larger for positives.
        counts: (N, B) how often each instance was drawn.
        group: (N,) integers.

    Example:
        >>> own, counts = np.array([True, False, False, False]), np.ones((4, 2), np.float32)
        >>> found, _ = change_of_scores(own, (np.array([3.0, 4.0, 2.0, 1.0]), np.array([4.0, 2.0, 3.0, 1.0])), counts)
        >>> found["auroc"].round(2).tolist()  # one positive
        [0.33, -1.0, 1.0]
    """
    ranks = [Ranks(own, score) for score in scores]
    drawn = [one.areas(counts) for one in ranks]
    whole = [one.areas(np.ones((len(own), 1), np.float32)) for one in ranks]
    place_before, place_after = (np.unique(score, return_inverse=True)[1] for score in scores)
    same = np.array_equal(place_before, place_after)
    wider, n_units = few_factor(own, group), len(np.unique(np.flatnonzero(own) if group is None else group[own]))
    moved = {name: drawn[1][place] - drawn[0][place] for place, name in enumerate(MEASURES)}
    steps = {"auroc": Z95 * _delong_error(ranks, group), "average_precision": _step(moved["average_precision"], wider)}
    apart = {
        "auroc": [interval_of(one, group) for one in ranks],
        "average_precision": [
            _of_precision(one, areas[1], wider, group) for one, areas in zip(ranks, drawn, strict=True)
        ],
    }
    found = {}
    for place, name in enumerate(MEASURES):
        change = float(whole[1][place][0] - whole[0][place][0])
        alone = sum((high - low) ** 2 for low, high in apart[name]) / 4
        step = 0.0 if same else float(np.sqrt((n_units * steps[name] ** 2 + PRIOR * alone) / (n_units + PRIOR)))
        found[name] = np.array([change, max(change - step, -1.0), min(change + step, 1.0)])
    return found, moved


def _step(moved: Floats, wider: float) -> float:
    """Half the width of the interval from drawn changes (B,)."""
    known = moved[np.isfinite(moved)]
    return wider * Z95 * float(known.std(ddof=1)) if len(known) > 1 and np.isfinite(wider) else np.inf


def _of_precision(ranks: Ranks, drawn: Floats, wider: float, group: NDArray[Any] | None) -> tuple[float, float]:
    """Interval of average precision."""
    precise = ranks.precisions()
    worth = len(precise) / effect(precise, group, ranks.is_positive)
    return share_interval(float(precise.mean()), drawn, worth, wider)


def _delong_error(ranks: list[Ranks], group: NDArray[Any] | None) -> float:
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
