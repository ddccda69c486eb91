"""AUROC, average precision and mean probabilities per class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.intervals import Z95, drawn_alike, mean_change, mean_with_interval
from imblens.base.wording import FEW, number
from imblens.lenses._contract import Finding, Measure, lens
from imblens.lenses.ranking.bootstrap import resample_counts
from imblens.lenses.ranking.intervals import apart_by_group, effect, few_factor, interval_of, mean_ends, share_interval
from imblens.lenses.ranking.outcomes import outcome
from imblens.lenses.ranking.ranks import Ranks
from imblens.lenses.ranking.scores import class_logits, known_scores, normaliser_of, probability_of
from imblens.lenses.ranking.thresholds import threshold_table
from imblens.run import Run, class_groups

Floats = NDArray[np.float64]
PRIOR = {"auroc": 0.5, "average_precision": 2.0}  # the latter is too high for few positives, in all classes alike


@lens(
    "Does the network rank the instances of each class first?",
    order=110,
    measures=(
        Measure("ranking", "auroc", "AUROC", "higher"),
        Measure("ranking", "average_precision", "average precision", "higher"),
        Measure("ranking", "mean_probability_positives", "mean probability of positives", "higher", "probability"),
    ),
    needs=("test", "test_logits"),
)
def ranking(run: Run) -> Finding:
    """AUROC and average precision of each class against all others on the test split.

    auroc_c = P(probability of c for an instance of c > for another instance), ties counted half

    The probability is the sigmoid of the logit in a multi-label run, the softmax over classes otherwise. AUROC does
    not depend on thresholds or on the class's frequency: a class can be ranked well and never be predicted. Average
    precision does; compare it with `prevalence`, the value of a random order. Unknown labels do not count.

    Args:
        run: with a test split that has predictions.

    Returns:
        Table `ranking`: class, positives, auroc, average_precision, mean_probability (over all test instances),
        mean_probability_positives (over those of the class), auroc_low, auroc_high, prevalence, then the 95%
        intervals `..._low, ..._high` of average_precision, mean_probability and mean_probability_positives. That of
        the AUROC is the wider of DeLong's on the log-odds scale and the score interval of Hanley and McNeil's variance:
        the first is too narrow near 1 and for few positives, the second where the scores of positives vary more than those
        of negatives.
        That of average precision is the wider of the bootstrap's on the log-odds scale and Wilson's for a share of the
        positives; those of means are Student's t. auroc and average_precision are NaN for a class without test
        instances or without others. Then groups (with a positive; where the run has groups: all intervals are by group)
        and outcome (`imblens.lenses.ranking.outcome`): "good", "weak", "below chance" or "undetermined". Summary:
        macro_auroc and macro_average_precision with bootstrap intervals _low and _high, the same without classes of fewer than
        ten positives (or groups) as macro_..._enough, ..._enough_low and ..._enough_high over classes_enough classes,
        macro_mean_probability and macro_mean_probability_positives, classes_ranked (how many classes the means of the first
        two are over), n_classes.

        In a multi-label run also `ranking_thresholds`: class, chosen_on, positives (there), threshold (of
        the probability, with the largest F1 there), then on the test split precision, recall, f1 at that threshold and
        precision_at_half, recall_at_half, f1_at_half at 0.5, the 95% Wilson intervals recall_low, recall_high,
        precision_low, precision_high, specificity, specificity_at_half, and few: whether fewer than ten positives (or
        groups) chose it. Chosen on the run's val split, or on training instances where it has none, never on test. NaN for a
        label without positives.

    Raises:
        NotApplicable: no test split, or no predictions on it.

    References:
        LOOKING, Fig. 2 (AUROC, average precision, averaged probabilities). We add the intervals: DeLong et al. 1988,
        Comparing the areas under two or more correlated ROC curves; Hanley and McNeil 1982, The meaning and use of the
        area under a ROC curve; Newcombe 2006, Confidence intervals for an effect size measure based on the Mann-Whitney
        statistic, part 2 (the score method, here with both group sizes as they are); Boyd et al. 2013, Area under the
        precision-recall curve: point estimates and confidence intervals, for average precision.
    """
    assert run.test is not None
    split = run.test
    normaliser = normaliser_of(split)
    counts = resample_counts(split)
    drawn: list[tuple[Floats, Floats]] = []
    rows: list[dict[str, Any]] = []
    judged_by = class_groups(split).tolist()  # groups with a positive, or positives where no groups are known
    for column, (name, logit) in enumerate(zip(run.classes, class_logits(split), strict=True)):
        known = split.known[:, column] if split.multilabel else slice(None)
        group = None if split.groups is None else split.groups[known]
        if split.multilabel:
            is_positive, probability = known_scores(split, column)
        else:
            is_positive, probability = split.labels == column, probability_of(logit, normaliser)
        n_positive = int(np.count_nonzero(is_positive))
        means = {"mean_probability": probability, "mean_probability_positives": probability[is_positive]}
        row: dict[str, Any] = {
            "class": name,
            "positives": n_positive,
            "auroc": np.nan,
            "average_precision": np.nan,
            "mean_probability": probability.mean() if len(probability) else np.nan,
            "mean_probability_positives": probability[is_positive].mean() if n_positive else np.nan,
            "auroc_low": np.nan,
            "auroc_high": np.nan,
            "prevalence": n_positive / len(probability) if len(probability) else np.nan,
            "average_precision_low": np.nan,
            "average_precision_high": np.nan,
        }
        for mean, values in means.items():
            _, middle, low, high = mean_with_interval(values[:, None])
            which = is_positive if mean == "mean_probability_positives" else np.ones_like(is_positive)
            wider = np.sqrt(effect(values, group, which)) if len(values) else 1.0
            low, high = (middle + wider * (end - middle) for end in (low, high))
            row |= {f"{mean}_low": max(low[0], 0.0), f"{mean}_high": min(high[0], 1.0)}
        if 0 < n_positive < len(probability):
            ranks = Ranks(is_positive, probability)
            precise = ranks.precisions()
            row["auroc"], row["average_precision"] = ranks.auroc(), float(precise.mean())
            row["auroc_low"], row["auroc_high"] = interval_of(ranks, group)
            areas = ranks.areas(counts[known])
            worth = n_positive / effect(precise, group, is_positive)
            wider = few_factor(is_positive, group)
            drawn.append(areas if group is None else apart_by_group(ranks, group, areas))
            low_high = share_interval(row["average_precision"], areas[1], worth, wider)
            row["average_precision_low"], row["average_precision_high"] = low_high
        if split.groups is not None:
            row["groups"] = judged_by[column]
        row["outcome"] = outcome(row["auroc"], row["auroc_low"], row["auroc_high"], judged_by[column])
        rows.append(row)
    table = pd.DataFrame(rows)
    tables, notes = {"ranking": table}, _notes(table)
    if split.multilabel:
        tables["ranking_thresholds"], more = threshold_table(run)
        notes += more
    return Finding(tables, _summary(table, drawn, judged_by, split.groups is not None), notes=notes)


def _summary(
    table: pd.DataFrame, drawn: list[tuple[Floats, Floats]], judged_by: list[int], grouped: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    is_enough = np.array([n >= FEW for n in judged_by], dtype=bool)
    ranked = table["auroc"].notna().to_numpy()
    enough = table[is_enough]
    for of, which in (("", ranked), ("_enough", ranked & is_enough)):
        some = [pair for pair, own in zip(drawn, which[ranked], strict=True) if own]
        for place, name in enumerate(("auroc", "average_precision")):
            value = table.loc[which, name].mean()
            # mean over the classes in each drawing; a class that a drawing left without positives is not in its mean
            of_drawing = mean_with_interval(np.array([pair[place] for pair in some] if some else [[np.nan]]))[1]
            known = of_drawing[np.isfinite(of_drawing)]
            step = Z95 * float(known.std(ddof=1)) if len(known) > 1 else np.nan
            low, high = mean_ends(value, step, log_odds=grouped)
            counts = [n for n, own in zip(judged_by, which, strict=True) if own]
            least, most = _from_classes(table[which], name, [pair[place] for pair in some], counts)
            low, high = float(np.fmin(low, least)), float(np.fmax(high, most))
            ends = {f"macro_{name}{of}_low": number(low), f"macro_{name}{of}_high": number(high)}
            found |= {f"macro_{name}{of}": number(value), **ends}
    return {
        **found,
        "classes_enough": int(enough["auroc"].notna().sum()),
        "macro_mean_probability": number(table["mean_probability"].mean()),
        "macro_mean_probability_positives": number(table["mean_probability_positives"].mean()),
        "classes_ranked": int(table["auroc"].notna().sum()),
        "n_classes": len(table),
    }


def _from_classes(table: pd.DataFrame, name: str, drawn: list[Floats], judged_by: list[int]) -> tuple[float, float]:
    """Interval of a mean over classes from theirs: drawings of classes that are ranked perfectly do not vary.

    How alike classes are comes from the drawings, averaged with classes that are all alike, which weighs as much as `PRIOR`
    positives (groups with one) of the class that has fewest.
    """
    least, most, value = (table[f"{name}{end}"].to_numpy(dtype=np.float64) for end in ("_low", "_high", ""))
    known = np.isfinite(value)
    if not known.any():
        return np.nan, np.nan
    fewest = min(n for n, one in zip(judged_by, known, strict=True) if one)
    alike = (fewest * drawn_alike(np.array(drawn)) + PRIOR[name] * known.sum()) / (fewest + PRIOR[name])
    low, high = mean_change(least, most, value, max(float(alike), 1.0))
    return max(low, 0.0), min(high, 1.0)


def _notes(table: pd.DataFrame) -> tuple[str, ...]:
    notes = []
    empty = table.loc[table["positives"] == 0, "class"]
    if len(empty):
        notes.append(f"No test instance of {', '.join(empty)}: left out of the means.")
    whole = table.loc[table["prevalence"] == 1, "class"]
    if len(whole):
        notes.append(f"Every test instance is {', '.join(whole)}: it cannot be ranked.")
    return tuple(notes)
