"""The verdict on a multi-label run: evidence, discrimination, operating point; then the label that is ranked worst."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from imblens.base.wording import FEW, counted, evidence, listed, percent, share_with_interval
from imblens.lenses.ranking import OUTCOMES
from imblens.report._class_rows import BELOW_BY_CHANCE, Row, worst_first

if TYPE_CHECKING:
    from imblens.run import Run

AT_FAULT = 0.2  # sensitivity, or specificity, below which all labels are predicted almost never, or almost always
NAMED = 5


def ranked(rows: Sequence[Row]) -> bool:
    """Whether any label has a ranking to be judged by."""
    return any(row["auroc"] is not None for row in rows)


def enough_positives(row: Row) -> str:
    """What a label needs to be judged, in words: so many positives, or positives of so many groups."""
    return f"{FEW} positives or more" if row["test_groups"] is None else f"positives of {FEW} {row['group']}s or more"


def label_headline(rows: Sequence[Row]) -> str:
    """Whether the evidence suffices, where it does not for all labels; then operating point or discrimination of those judged.

    The operating point is stated where it is at fault for all of them.
    """
    enough = [row for row in rows if not row["too_few"]]
    judged = [row for row in enough if row["auroc"] is not None]
    if len(enough) == len(rows) or not judged:
        text = operating_point(rows) or discrimination(rows)
        return text if enough else f"No label can be judged: none has {enough_positives(rows[0])}. {text}"
    names = listed([row["class"] for row in judged], NAMED)
    have = "has" if len(judged) == 1 else "have"
    return (
        f"{len(judged)} of {len(rows)} labels {have} {enough_positives(rows[0])} and can be judged ({names}). "
        f"{operating_point(judged, 'these labels') or discrimination(judged)}"
    )


def operating_point(rows: Sequence[Row], these: str = "all labels") -> str:
    """That 0.5 is an unsuitable threshold for all of these labels; "" where it is not."""
    known = [row for row in rows if row["accuracy"] is not None and row["false_positive_rate"] is not None]
    enough = [row for row in known if not row["too_few"]] or known
    if not enough:
        return ""
    recall, rate = _mean(enough, "accuracy"), _mean(enough, "false_positive_rate")
    if all(row["accuracy"] < AT_FAULT for row in enough):
        what = "almost nothing is predicted positive"
    elif all(1 - row["false_positive_rate"] < AT_FAULT for row in enough):
        what = "almost everything is predicted positive"
    else:
        return ""
    which = "this label" if len(rows) == 1 else these
    text = (
        f"The threshold of 0.5 is unsuitable for {which}: {what} (mean sensitivity {percent(recall)}, mean "
        f"specificity {percent(1 - rate)})"
    )
    own = _at_thresholds(enough)
    return f"{text}; {own}." if own else f"{text}."


def discrimination(rows: Sequence[Row]) -> str:
    """Mean AUROC and average precision beside prevalence, over labels with enough positives where there are some."""
    known = [row for row in rows if row["auroc"] is not None]
    enough = [row for row in known if not row["too_few"]]
    over = enough or known
    which = "" if len(over) == len(rows) else f" of {len(rows)}"
    text = (
        f"{counted(len(over), 'label')}{which}: mean AUROC {_mean(over, 'auroc'):.2f} (chance 0.5), mean average precision "
        f"{_mean(over, 'average_precision'):.2f} (chance {_mean(over, 'prevalence'):.2f})"
    )
    own = _at_thresholds(over)
    return f"{text}; {own}." if own else f"{text}."


def label_evidence(run: Run, rows: Sequence[Row]) -> str:
    """Instances, groups and positives of the test split, and for how many labels they suffice."""
    if run.test is None:
        return ""
    counts = [row["test_count"] for row in rows]
    enough = [row for row in rows if not row["too_few"]]
    groups = [row["test_groups"] for row in rows]
    few_to_many = f"{min(groups)} to " if None not in groups and min(groups) < max(groups) else ""
    of = "" if None in groups else f" of {few_to_many}{counted(max(groups), rows[0]['group'])}"
    few = [row["class"] for row in rows if row["too_few"]]
    text = f"Each label has {min(counts):,} to {max(counts):,} positive test instances{of}"
    text += f", among {counted(len(run.test), 'test instance')}"
    if run.test.groups is not None:
        text += f" of {counted(len(np.unique(run.test.groups)), rows[0]['group'])}"
    if not few:
        return f"{text}: enough to judge all {len(rows)}."
    return f"{text}: enough to judge {len(enough)} of {len(rows)}; too few for {listed(few, NAMED)}."


def label_outcomes(rows: Sequence[Row]) -> str:
    """How many labels are ranked well, weakly, below chance, or cannot be judged; and how many by chance."""
    of = {kind: [row for row in worst_first(rows) if row["ranking"] == kind] for kind in OUTCOMES}
    parts = []
    for kind, members in of.items():
        if members:
            named = "" if kind == "undetermined" else f" ({listed([row['class'] for row in members], NAMED)})"
            parts.append(f"{len(members)} {kind}{named}")
    enough = sum(not row["too_few"] for row in rows)
    text = f"Ranking by the interval of the AUROC: {'; '.join(parts)}."
    flagged = len(of["weak"]) + len(of["below chance"])
    if flagged:
        judged = (
            f"all {enough} labels" if enough == len(rows) else f"all {enough} labels with {enough_positives(rows[0])}"
        )
        text += f" If {judged} were ranked well, about {BELOW_BY_CHANCE * enough:.1f} would be called weak by chance."
    return text


def label_sentence(row: Row) -> str:
    """One label: AUROC, average precision against prevalence, and sensitivity and specificity at a threshold."""
    text = f"{row['class']}: AUROC {row['auroc']:.2f} [{row['auroc_low']:.2f}, {row['auroc_high']:.2f}]"
    if row["average_precision"] is not None:
        text += f", average precision {row['average_precision']:.2f} (prevalence {row['prevalence']:.2f})"
    own = row["threshold"]
    if own is not None and own["recall"] is not None and own["specificity"] is not None:
        ends = own["recall_low"], own["recall_high"]
        recall = percent(own["recall"]) if None in ends else share_with_interval(own["recall"], *ends)
        text += f"; at its threshold of {own['threshold']:.2g}, sensitivity {recall}"
        text += f" and specificity {percent(own['specificity'])}"
    elif row["accuracy"] is not None and row["false_positive_rate"] is not None:
        recall = share_with_interval(row["accuracy"], row["accuracy_low"], row["accuracy_high"])
        text += f"; at 0.5, sensitivity {recall} and specificity {percent(1 - row['false_positive_rate'])}"
    if row["too_few"]:
        return f"{text} ({evidence(row['test_count'], row['test_groups'], 'positive', row['group'])}, too few to tell)."
    return f"{text}. Ranking: {row['ranking']}."


def _at_thresholds(rows: Sequence[Row]) -> str:
    """Mean sensitivity and specificity at the labels' own thresholds; "" where none are known."""
    own = [row["threshold"] for row in rows if row["threshold"] is not None]
    own = [row for row in own if row["recall"] is not None and row["specificity"] is not None]
    if not own:
        return ""
    return (
        f"at a threshold per label, chosen on {own[0]['chosen_on']}, mean sensitivity {percent(_mean(own, 'recall'))} and mean "
        f"specificity {percent(_mean(own, 'specificity'))}"
    )


def _mean(rows: Sequence[Any], key: str) -> float:
    return float(np.mean([row[key] for row in rows]))
