"""A threshold for each label of a multi-label run, chosen away from the test split."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.intervals import wilson
from imblens.base.operating_point import best_threshold
from imblens.base.wording import FEW, listed
from imblens.lenses.ranking.intervals import effect
from imblens.lenses.ranking.scores import known_scores
from imblens.run import Run, class_groups

Floats = NDArray[np.float64]
COLUMNS = [
    "class",
    "chosen_on",
    "positives",
    "threshold",
    *("precision", "recall", "f1"),
    *("precision_at_half", "recall_at_half", "f1_at_half"),
    *("recall_low", "recall_high"),
    *("precision_low", "precision_high"),
    *("specificity", "specificity_at_half"),
    "few",
]


def threshold_table(run: Run) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A threshold for each label, chosen on val or train, and its results on test; with notes."""
    assert run.test is not None
    chosen_on = run.val if run.val is not None and run.val.has_logits else run.train
    if not chosen_on.has_logits:
        return pd.DataFrame(columns=COLUMNS), ("No thresholds: only the test split has predictions.",)
    rows = []
    chosen_by = class_groups(chosen_on)  # groups with a positive, or positives where no groups are known
    for column, name in enumerate(run.classes):
        own, rated = known_scores(chosen_on, column)
        threshold = best_threshold(own, rated)
        truth, probability = known_scores(run.test, column)
        row = {"class": name, "chosen_on": chosen_on.name, "positives": int(own.sum()), "threshold": threshold}
        at, half = _at_threshold(truth, probability, threshold), _at_threshold(truth, probability, 0.5)
        predicted = probability >= threshold if np.isfinite(threshold) else np.zeros_like(truth)
        known = run.test.known[:, column]
        group = None if run.test.groups is None else run.test.groups[known]
        ends = {
            "recall": _interval(predicted[truth], group, truth),
            "precision": _interval(truth[predicted], group, predicted),
        }
        row |= at | {f"{key}_at_half": value for key, value in half.items()}
        if np.isnan(threshold):
            ends["recall"] = (np.nan, np.nan)
        row |= {
            f"{key}_{end}": value
            for key, pair in ends.items()
            for end, value in zip(("low", "high"), pair, strict=True)
        }
        rows.append(row | {"few": bool(chosen_by[column] < FEW)})
    table = pd.DataFrame(rows, columns=COLUMNS)
    notes = []
    if chosen_on.name == "train":
        notes.append(
            "The run has no validation split, so thresholds were chosen on training instances, where the network is "
            "more confident than elsewhere. Capture one with val=..., or give data with a val split."
        )
    few = table.loc[table["few"] & table["threshold"].notna(), "class"]
    if len(few):
        notes.append(
            f"Fewer than {FEW} {chosen_on.name} positives{' or groups of them' if chosen_on.groups is not None else ''} chose "
            f"the threshold of {listed(list(few))}: another sample may give quite another."
        )
    without = table.loc[table["threshold"].isna(), "class"]
    if len(without):
        notes.append(f"No positive {chosen_on.name} instance of {', '.join(without)}: no threshold can be chosen.")
    return table, tuple(notes)


def _interval(hit: NDArray[np.bool_], group: NDArray[np.int64] | None, which: NDArray[np.bool_]) -> tuple[float, float]:
    """95% interval of a share, by group where groups are known; NaN without instances."""
    worth = len(hit) / effect(hit, group, which) if len(hit) else 0.0
    low, high = wilson(np.array(hit.mean() * worth if len(hit) else 0.0), np.array(worth))
    return float(low), float(high)


def _at_threshold(truth: NDArray[np.bool_], probability: Floats, threshold: float) -> dict[str, float]:
    """Precision, recall, specificity and F1; NaN where nothing is positive, or nothing is predicted to be."""
    if np.isnan(threshold):
        return dict.fromkeys(("precision", "recall", "f1", "specificity"), np.nan)
    predicted = probability >= threshold
    hits, n_predicted, n_true = int((predicted & truth).sum()), int(predicted.sum()), int(truth.sum())
    n_false = len(truth) - n_true
    return {
        "specificity": (n_false - n_predicted + hits) / n_false if n_false else np.nan,
        "precision": hits / n_predicted if n_predicted else np.nan,
        "recall": hits / n_true if n_true else np.nan,
        "f1": 2 * hits / (n_predicted + n_true) if n_true else np.nan,
    }
