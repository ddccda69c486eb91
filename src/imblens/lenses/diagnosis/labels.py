"""Causes of a label's errors in multi-label runs: weak discrimination, or a threshold that does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imblens.base.wording import FEW, evidence, number, percent
from imblens.lenses.class_accuracy.measure import class_accuracy
from imblens.lenses.diagnosis.advice import NO_VAL, OWN_THRESHOLD, threshold_advice
from imblens.lenses.diagnosis.label_defects import label_defects, left
from imblens.lenses.diagnosis.label_reasons import Reason, label_reasons
from imblens.lenses.ranking import ranking
from imblens.run import Run

WELL_RANKED = 0.8  # upper end of the AUROC's interval below which discrimination is weak
THRESHOLD_MATTERS = 0.1  # recall gained by the label's own threshold from which 0.5 is too high
TOO_MANY = 0.5  # false-positive rate above which 0.5 is too low
LABEL_CAUSES = ("ranking", "threshold")
LABEL_REASONS = ("overlap", "few_examples", "shortcut")
LABEL_DEFECTS = ("label_noise", "uncovered_range")
NOTABLE = 0.25  # strength below which a defect is not named, and a reason that defects explain in part
Row = tuple[str, float, str, float, str, str]  # class, accuracy, cause, strength, evidence, treatment


def label_rows(run: Run) -> list[Row]:
    """Rows per label: what is at fault, ranking or threshold, then possible reasons; or "none found", or "too few to tell".

    Defects of the training data are named even where nothing is at fault.
    """
    found = ranking(run).tables
    ranks, thresholds = (_by_class(found.get(name)) for name in ("ranking", "ranking_thresholds"))
    recalls = _by_class(class_accuracy(run).tables["class_accuracy"])
    reasons, defects = label_reasons(run), _defects(run)
    rows: list[Row] = []
    for name in run.classes:
        accuracy = float(recalls[name]["accuracy"])
        first = _cause(run, ranks[name], thresholds.get(name, {}), recalls[name])
        known = defects.get(name, [])
        if first[0] in LABEL_CAUSES:
            known = known + _less_explained(reasons.get(name, []), known, first[0])
        if first[0] in LABEL_CAUSES or not known:
            rows.append((name, accuracy, *first))
        rows += [(name, accuracy, *reason) for reason in sorted(known, key=lambda reason: -reason[1])]
    return rows


def _less_explained(reasons: list[Reason], defects: list[Reason], at_fault: str) -> list[Reason]:
    """Reasons less what defects of the label explain of them; a threshold can be moved with few examples."""
    found: list[Reason] = []
    for cause, strength, text, treatment in reasons:
        share = left(cause, {defect[0]: defect[1] for defect in defects})
        if (cause, at_fault) != ("few_examples", "threshold") and (share == 1 or strength * share >= NOTABLE):
            found.append((cause, round(strength * share, 3), text, treatment))
    return found


def _defects(run: Run) -> dict[str, list[Reason]]:
    found: dict[str, list[Reason]] = {}
    for name, defect in label_defects(run):
        if defect[1] >= NOTABLE:
            found.setdefault(name, []).append(defect)
    return found


def _by_class(table: Any) -> dict[str, dict[str, Any]]:
    return {} if table is None else {row["class"]: row for row in table.to_dict("records")}


def _cause(
    run: Run, rank: Mapping[str, Any], threshold: Mapping[str, Any], recall: Mapping[str, Any]
) -> tuple[str, float, str, str]:
    """Cause, strength, evidence and treatment of one label, from its rows in the three tables."""
    positives, groups = int(rank["positives"]), rank.get("groups")
    if (positives if groups is None else groups) < FEW:
        are = "is" if positives == 1 else "are"
        text = f"{evidence(positives, groups, 'positive test instance')} to judge it by {are} too few."
        return "too few to tell", 0.0, text, "more test instances that have the label"
    auroc, low, high = (number(rank[key]) for key in ("auroc", "auroc_low", "auroc_high"))
    own, at_own, at_half = (number(threshold.get(key)) for key in ("threshold", "recall", "recall_at_half"))
    kept, kept_at_half = (number(threshold.get(key)) for key in ("specificity", "specificity_at_half"))
    false_positives = 1 - recall["specificity"]
    if auroc is None or low is None or high is None:
        return "none found", 0.0, "It has no negative test instance, so it cannot be ranked.", ""
    ranked = f"AUROC {auroc:.2f} [{low:.2f}, {high:.2f}]"
    if rank["outcome"] == "below chance":
        text = f"ranked below chance: {ranked}. Check that label and logit of this column belong together."
        return "ranking", 1.0, text, "check the label's column, then more data or longer training"
    if high < WELL_RANKED:
        strength = min(1.0, (WELL_RANKED - auroc) / (WELL_RANKED - 0.5))
        return (
            "ranking",
            round(strength, 3),
            f"weak discrimination: {ranked}; chance is 0.5.",
            "more data or longer training",
        )
    well = "well" if rank["outcome"] == "good" else "above chance"
    if (
        low > 0.5
        and own is not None
        and at_own is not None
        and at_half is not None
        and at_own - at_half >= THRESHOLD_MATTERS
        and kept is not None
        and kept_at_half is not None
        and at_own + kept > at_half + kept_at_half  # balanced accuracy
    ):
        treatment = threshold_advice(run, rank["class"])
        head = "" if treatment in (OWN_THRESHOLD, NO_VAL) else ", or balance the head"
        text = (
            f"0.5 is too high a threshold: it is ranked {well} ({ranked}), but {percent(at_half)} of its positives reach 0.5 "
            f"and {percent(at_own)} reach its own threshold of {own:.2g}, chosen on {threshold['chosen_on']} "
            f"(specificity {percent(kept)} instead of {percent(kept_at_half)}). Use that threshold where you predict{head}."
        )
        return "threshold", round(at_own - at_half, 3), text, treatment
    if false_positives > TOO_MANY:
        text = f"0.5 is too low a threshold: the false-positive rate is {percent(false_positives)}."
        return "threshold", round(false_positives, 3), text, threshold_advice(run, rank["class"])
    if rank["outcome"] == "undetermined":
        text = f"{ranked}: {evidence(positives, groups, 'positive')} cannot show whether it is ranked well."
        return "too few to tell", 0.0, text, "more test instances that have the label"
    return "none found", 0.0, f"It is ranked well ({ranked}), and 0.5 is a suitable threshold.", ""
