"""One plain row per class: what the class table, the cards and the sentences of a report state."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imblens.base.arrays import imbalance
from imblens.base.wording import FEW, ratio
from imblens.lenses.diagnosis import OWN_THRESHOLD
from imblens.report import _lens_parts as parts
from imblens.report._lens_parts import Findings, known
from imblens.run import Run, class_groups, group_name

TOO_MANY = 0.5  # false-positive rate above which a label is marked
NOTABLE_IMBALANCE = 1.5
BELOW_BY_CHANCE = 0.025  # of classes as accurate as the mean, whose 95% interval ends below it
THRESHOLD_KEYS = (
    *("recall", "recall_low", "recall_high"),
    *("precision", "precision_low", "precision_high"),
    *("specificity", "recall_at_half"),
)
Row = dict[str, Any]


def class_rows(run: Run, findings: Findings) -> list[Row]:
    """Return one row per class in the order of the run; its keys are those of `class_table` in `summary`."""
    multilabel = run.task == "multilabel"
    rarer = imbalance(run.train.class_counts)
    accuracy = parts.class_rows_of(findings, parts.ACCURACY, "class_accuracy")
    areas = parts.class_rows_of(findings, parts.RANKING, "ranking")
    thresholds = parts.class_rows_of(findings, parts.RANKING, "ranking_thresholds")
    causes, errors = parts.class_rows_of(findings, parts.DIAGNOSIS, "diagnosis"), parts.error_counts(findings)
    confused, forecasts, shares = (
        parts.confused_with(findings),
        parts.forecasts(findings),
        parts.archetype_shares(findings),
    )
    judged_by = [] if run.test is None else class_groups(run.test).tolist()  # groups, or instances where none are known
    grouped = run.test is not None and run.test.groups is not None
    group = group_name(run)
    rows: list[Row] = []
    for i, name in enumerate(run.classes):
        row, area, threshold = accuracy.get(name, {}), areas.get(name, {}), thresholds.get(name, {})
        cause = causes.get(name, {})
        times = known(row.get("imbalance")) if multilabel else known(rarer[i])
        specificity = known(row.get("specificity"))
        n_test = None if run.test is None else int(run.test.class_counts[i])
        few = n_test is not None and min(n_test, judged_by[i]) < FEW
        treatment = _text(cause.get("treatment"))
        rows.append(
            {
                "class": name,
                "multilabel": multilabel,
                "train_count": int(run.train.class_counts[i]),
                "imbalance": times,
                "rarity": _rarity(times, multilabel),
                "test_count": n_test,
                "test_groups": judged_by[i] if grouped else None,
                "group": group,
                "too_few": few,
                "accuracy": known(row.get("accuracy")),
                "accuracy_low": known(row.get("accuracy_low")),
                "accuracy_high": known(row.get("accuracy_high")),
                "false_positive_rate": None if specificity is None else 1 - specificity,
                "auroc": known(area.get("auroc")),
                "auroc_low": known(area.get("auroc_low")),
                "auroc_high": known(area.get("auroc_high")),
                "average_precision": known(area.get("average_precision")),
                "prevalence": known(area.get("prevalence")),
                "ranking": _text(area.get("outcome")) or "undetermined",
                "threshold": _threshold(run, i, threshold),
                "errors": errors.get(name, 0),
                "errors_to": _pair(confused.get(name)),
                "expected_errors_to": _pair(forecasts.get(name)),
                "archetypes": shares.get(name, {}),
                "cause": _text(cause.get("cause")).replace("_", " "),
                "evidence": _text(cause.get("evidence")),
                "evidence_lens": _evidence_lens(_text(cause.get("cause")), findings),
                "treatment": treatment,
                "command": command(treatment),
            }
        )
    mean = mean_accuracy(rows)
    for row in rows:
        high, rate = row["accuracy_high"], row["false_positive_rate"]
        if multilabel and row["auroc"] is not None:  # discrimination, not the recall at 0.5
            row["needs_help"] = row["ranking"] in ("weak", "below chance")
        else:
            row["needs_help"] = mean is not None and not row["too_few"] and high is not None and high < mean
        row["too_many_positives"] = not row["too_few"] and rate is not None and rate > TOO_MANY
    return rows


def worst_first(rows: Sequence[Row], of: str | None = None) -> list[Row]:
    """Classes with a known accuracy, worst first, those with few test instances last; the class of interest leads.

    Labels of a multi-label run are in the order of their AUROC. Those with too few positives, or groups that have one,
    follow, those with most first: the AUROC of a few positives shows little.
    """
    measured = [row for row in rows if row["accuracy"] is not None]
    if rows and rows[0]["multilabel"] and any(row["auroc"] is not None for row in rows):
        measured.sort(key=_place_of_label)
    else:
        measured.sort(key=lambda row: (row["too_few"], row["accuracy"]))
    return [row for row in rows if row["class"] == of] + [row for row in measured if row["class"] != of]


def _place_of_label(row: Row) -> tuple[bool, int, float]:
    held = row["test_count"] if row["test_groups"] is None else row["test_groups"]
    return row["too_few"], -held if row["too_few"] else 0, 2.0 if row["auroc"] is None else row["auroc"]


def mean_accuracy(rows: Sequence[Row]) -> float | None:
    """Mean accuracy over the classes with test instances."""
    measured = [row["accuracy"] for row in rows if row["accuracy"] is not None]
    return float(np.mean(measured)) if measured else None


def command(treatment: str) -> str:
    """Return the command that applies a treatment, or a label's own threshold; "" where the text is other advice.

    Example:
        >>> command("eos"), command("collect more images")
        ('imblens treat RUN --with eos --out RUN2', '')
    """
    if treatment == OWN_THRESHOLD:
        return "imblens predict RUN NEW.npz --thresholds f1 --save rules.safetensors --out predictions.parquet"
    return f"imblens treat RUN --with {treatment} --out RUN2" if re.fullmatch(r"[a-z][a-z0-9_]*", treatment) else ""


def _rarity(times: float | None, multilabel: bool) -> str:
    if times is None or times < NOTABLE_IMBALANCE:
        return ""
    return f"{ratio(times)} negatives per positive" if multilabel else f"{ratio(times)}x rarer"


def _threshold(run: Run, c: int, row: Mapping[str, Any]) -> dict[str, Any] | None:
    at = known(row.get("threshold"))
    if at is None:
        return None
    values = {key: known(row.get(key)) for key in THRESHOLD_KEYS}
    on = run.splits.get(str(row.get("chosen_on", "")))
    groups = None if on is None or on.groups is None else int(class_groups(on)[c])
    chosen_by = {"positives": int(row.get("positives", 0)), "groups": groups, "few": bool(row.get("few", False))}
    return {"threshold": at, **values, "chosen_on": str(row.get("chosen_on", "")), **chosen_by}


def _evidence_lens(cause: str, findings: Findings) -> str | None:
    lens = parts.EVIDENCE.get(cause)
    return lens if lens in findings else None


def _pair(pair: tuple[str, float] | None) -> dict[str, Any] | None:
    return None if pair is None else {"class": pair[0], "share": pair[1]}


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
