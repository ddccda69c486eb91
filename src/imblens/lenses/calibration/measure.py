"""Confidence, accuracy and expected calibration error per class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arguments import checked, whole
from imblens.base.arrays import divide
from imblens.base.blocks import row_blocks
from imblens.base.calibration_error import binned_error, confidence_bins
from imblens.base.intervals import wilson
from imblens.base.wording import FEW, number
from imblens.lenses._contract import Finding, Measure, lens
from imblens.run import Batch, Run, Split, Statistic, group_effects, member_groups

Floats = NDArray[np.float64]


@lens(
    "Is the network over-confident on rare classes?",
    order=100,
    measures=(Measure("calibration", "ece", "expected calibration error", "lower", "calibration_error"),),
    needs=("test", "test_logits"),
)
@checked(n_bins=whole(1, most=10_000))
def calibration(run: Run, *, n_bins: int = 15) -> Finding:
    """Mean confidence, accuracy and expected calibration error of each class on the test split.

    ece = sum over bins of (instances in bin / instances) * |accuracy in bin - mean confidence in bin|

    Confidence is the largest softmax probability; bins are (0, 1/n], (1/n, 2/n], ... A row is over the test instances with
    that label, so its accuracy is the class's recall. Even perfect probabilities look over-confident on a class that is
    less frequent in the test split than in training, and under-confident on one that is more frequent. `answered_...` is
    over the test instances predicted as the class: their mean confidence, and the share that is correct.

    In a multi-label run each label is a separate task: confidence is the mean sigmoid probability over all test instances,
    accuracy the share of positives, and `answered_...` is over instances with a probability above 0.5.

    Args:
        run: with a test split that has predictions.
        n_bins: bins of equal width, 1 or more.

    Returns:
        Table `calibration`: class, confidence, accuracy, ece, test_count, over_confidence (confidence - accuracy),
        answered_count, answered_confidence, answered_accuracy, accuracy_low, accuracy_high (95%, Wilson's; by group where
        groups are known, whose number follows as `groups`). Table `reliability`: bin, count, confidence, accuracy,
        low, high over all classes; table `class_reliability`: class and the same, without empty bins. NaN for a class
        without test instances, or that is never predicted. Summary: ece and confidence over all instances,
        mean_class_ece, classes_over_confident.

    Raises:
        NotApplicable: no test split, or no predictions on it.
        InputError: `n_bins` is less than 1.

    References:
        Guo et al. 2017, On calibration of modern neural networks, section 2 (15 bins, equal width). We add the rows
        per class. Zhong et al. 2021, Improving calibration for long-tailed recognition, report the same over-confidence.
    """
    assert run.test is not None
    known = run.test.known if run.test.multilabel else None
    sums = run.test.reduce(lambda: _Reliability(run.n_classes, n_bins, known))
    by_class, by_prediction = sums.by_class, sums.by_prediction
    totals = by_class.sum(axis=1)  # (C, 3)
    confidence, accuracy = divide(totals[:, 1], totals[:, 0]), divide(totals[:, 2], totals[:, 0])
    low, high, groups = _by_group(run.test, totals)
    table = pd.DataFrame(
        {
            "class": run.classes,
            "confidence": confidence,
            "accuracy": accuracy,
            "ece": binned_error(by_class),
            "test_count": totals[:, 0].astype(np.int64),
            "over_confidence": confidence - accuracy,
            "answered_count": by_prediction[:, 0].astype(np.int64),
            "answered_confidence": divide(by_prediction[:, 1], by_prediction[:, 0]),
            "answered_accuracy": divide(by_prediction[:, 2], by_prediction[:, 0]),
            "accuracy_low": low,
            "accuracy_high": high,
            **groups,
        }
    )
    bins = by_class.sum(axis=0)  # (n_bins, 3)
    of, at = np.nonzero(by_class[:, :, 0])
    classes = np.asarray(run.classes, dtype=object)
    tables = {
        "calibration": table,
        "reliability": _reliability(bins, np.arange(n_bins), n_bins),
        "class_reliability": pd.concat(
            [pd.DataFrame({"class": classes[of]}), _reliability(by_class[of, at], at, n_bins)], axis="columns"
        ),
    }
    return Finding(tables, _summary(run, table, bins, n_bins), notes=_notes(table))


def _by_group(split: Split, totals: Floats) -> tuple[Floats, Floats, dict[str, NDArray[np.int64]]]:
    """Ends of the intervals of accuracy, (C,) each, and the column of groups of each class, where they are known."""
    if split.groups is None:
        return *wilson(totals[:, 2], totals[:, 0]), {}
    members, value = (split.known, split.labels == 1) if split.multilabel else (split.labels, split.correct)
    worth = group_effects(split, members, value)
    groups = {"groups": member_groups(split, members)}
    return *wilson(totals[:, 2] / worth, totals[:, 0] / worth), groups


def _reliability(sums: Floats, at: NDArray[np.int64], n_bins: int) -> pd.DataFrame:
    """Rows of (count, confidence, correct) sums (B, 3) in the bins `at` (B,), counted from 0."""
    return pd.DataFrame(
        {
            "bin": at + 1,
            "count": sums[:, 0].astype(np.int64),
            "confidence": divide(sums[:, 1], sums[:, 0]),
            "accuracy": divide(sums[:, 2], sums[:, 0]),
            "low": at / n_bins,
            "high": (at + 1) / n_bins,
        }
    )


@dataclass(frozen=True)
class _Sums:
    """Sums of (count, confidence, correct): by label and bin (C, n_bins, 3), by predicted class (C, 3)."""

    by_class: Floats
    by_prediction: Floats


class _Reliability(Statistic[_Sums]):
    """Count, summed confidence and correct predictions per label and bin, and per predicted class."""

    needs_logits = True
    sums = ("_by_class", "_by_prediction")

    def __init__(self, n_classes: int, n_bins: int, known: NDArray[np.bool_] | None) -> None:
        self._known = known  # (N, C), multi-label only
        self._by_class = np.zeros((n_classes, n_bins, 3))
        self._by_prediction = np.zeros((n_classes, 3))

    def update(self, batch: Batch) -> None:
        from scipy.special import expit, softmax

        assert batch.logits is not None
        for rows in row_blocks(len(batch), batch.n_classes):
            logits = np.asarray(batch.logits[rows], dtype=np.float64)
            labels = batch.labels[rows]
            if labels.ndim == 2:
                probability = expit(logits)  # (b, C)
                columns = np.broadcast_to(np.arange(batch.n_classes), probability.shape)
                assert self._known is not None
                known = self._known[batch.start + rows.start :][: len(labels)]
                self._add(columns[known], columns[known], probability[known], labels[known], probability[known] > 0.5)
            else:
                predictions = logits.argmax(axis=1)
                confidence = softmax(logits, axis=1).max(axis=1)
                self._add(labels, predictions, confidence, predictions == labels, None)

    def finish(self) -> _Sums:
        return _Sums(self._by_class.copy(), self._by_prediction.copy())

    def _add(
        self,
        labels: NDArray[Any],
        predictions: NDArray[Any],
        confidence: Floats,
        correct: NDArray[Any],
        positive: NDArray[np.bool_] | None,
    ) -> None:
        n_classes, n_bins, _ = self._by_class.shape
        place = confidence_bins(confidence, n_bins)
        key = labels * n_bins + place
        for column, weights in enumerate((None, confidence, correct)):
            sums = np.bincount(key, weights=weights, minlength=n_classes * n_bins)
            self._by_class[:, :, column] += sums.reshape(n_classes, n_bins)
            if positive is not None and weights is None:
                chosen: NDArray[Any] | None = positive.astype(np.float64)
            else:
                chosen = weights if positive is None or weights is None else weights * positive
            self._by_prediction[:, column] += np.bincount(predictions, weights=chosen, minlength=n_classes)


def _summary(run: Run, table: pd.DataFrame, bins: Floats, n_bins: int) -> dict[str, Any]:
    total = bins[:, 0].sum()
    return {
        "task": run.task,
        "n_bins": n_bins,
        "ece": number(float(binned_error(bins))),
        "confidence": number(float(bins[:, 1].sum() / total)),
        "accuracy": number(float(bins[:, 2].sum() / total)),
        "mean_class_ece": number(table["ece"].mean()),
        "classes_over_confident": int((table["over_confidence"] > 0).sum()),
    }


def _notes(table: pd.DataFrame) -> tuple[str, ...]:
    notes = []
    empty = table.loc[table["test_count"] == 0, "class"]
    if len(empty):
        notes.append(f"No test instance of {', '.join(empty)}: calibration is unknown there.")
    unpredicted = table.loc[table["answered_count"] == 0, "class"]
    if len(unpredicted):
        notes.append(f"Never predicted on the test split: {', '.join(unpredicted)}.")
    few = table.loc[(table["test_count"] > 0) & (table.get("groups", table["test_count"]) < FEW), "class"]
    if len(few):
        unit = "test groups" if "groups" in table else "test instances"
        notes.append(f"Fewer than {FEW} {unit} of {', '.join(few)}: too few to tell.")
    return tuple(notes)
