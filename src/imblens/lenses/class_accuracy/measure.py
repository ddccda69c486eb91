"""Recall of each class with intervals, and the confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arrays import divide, imbalance
from imblens.base.intervals import wilson
from imblens.base.wording import FEW, listed, number, percent
from imblens.lenses._contract import Finding, Measure, lens
from imblens.lenses._pairs import ALL_PAIRS
from imblens.run import Run, Split, class_groups, confusion_summary, group_effects, member_groups


@lens(
    "How accurate is each class?",
    order=10,
    measures=(Measure("class_accuracy", "accuracy", "accuracy", "higher"),),
    needs=("test", "test_logits"),
    pairs={"confusion": "count"},
)
def class_accuracy(run: Run) -> Finding:
    """Recall of each class on the test split, with 95% Wilson intervals.

    accuracy_c = correctly classified test instances of c / test instances of c

    A class without test instances has accuracy NaN, never 0. With fewer than ten, the line ends with "too few to tell".
    Where the run has groups (patients, source images, sites), intervals are by group: counts are divided by the design
    effect (`imblens.base.groups`), and fewer than ten groups are too few.

    In a multi-label run each label is a binary task, predicted positive where its logit is above 0: accuracy is the recall
    (sensitivity), specificity the share of negatives predicted negative, imbalance = negatives / positives. Uncertain
    labels do not count.

    Args:
        run: with a test split whose predictions are known.

    Returns:
        Tables `class_accuracy` (class, train_count, imbalance, test_count, accuracy, accuracy_low, accuracy_high) and
        `confusion` (class, predicted, count, share of the class's errors, NaN on the diagonal; error_count of the
        class; of more than 200 classes, the pairs that occur). Summary: balanced_accuracy (mean recall over classes with
        test instances), geometric_mean = sqrt(macro sensitivity x macro specificity), macro_f1, accuracy.

        A multi-label run has no `confusion`; its table ends with specificity, specificity_low, specificity_high;
        With groups the last column is test_groups, the groups with an instance of the class.
        balanced_accuracy is the mean over labels of (recall + specificity) / 2, and accuracy the share of all
        predictions that are correct.

    Raises:
        NotApplicable: no test split, or no predictions.

    References:
        IML, section III-B and Fig. 2; EOS, section IV-A for the three measures. We add the intervals.
    """
    assert run.test is not None
    if run.test.multilabel:
        return _label_accuracy(run)
    counts = run.test.confusion
    test_count = counts.sum(axis=1)
    correct = counts.diagonal()
    effect = group_effects(run.test, run.test.labels, run.test.correct)
    low, high = wilson(correct / effect, test_count / effect)
    table = pd.DataFrame(
        {
            "class": run.classes,
            "train_count": run.train.class_counts,
            "imbalance": imbalance(run.train.class_counts),
            "test_count": test_count,
            "accuracy": divide(correct, test_count),
            "accuracy_low": low,
            "accuracy_high": high,
            **_groups(run.test),
        }
    )
    untested = [name for name, n in zip(run.classes, test_count, strict=True) if n == 0]
    notes = []
    if untested:
        notes.append(
            f"No test instance of {', '.join(untested)}: their accuracy is unknown, and they are left out of every mean."
        )
    notes += _few(table, table.get("test_groups", table["test_count"]).to_numpy(), table["accuracy"].to_numpy())
    return Finding(
        {"class_accuracy": table, "confusion": _confusion_table(run, counts)},
        confusion_summary(counts),
        notes=tuple(notes),
    )


def _label_accuracy(run: Run) -> Finding:
    assert run.test is not None
    labels, known = run.test.labels.astype(bool), run.test.known
    predicted = np.asarray(run.test.logits) > 0
    positives, negatives = (labels & known).sum(axis=0), (~labels & known).sum(axis=0)
    hits = (labels & known & predicted).sum(axis=0)
    rejected = (~labels & known & ~predicted).sum(axis=0)  # true negatives
    recall, specificity = divide(hits, positives), divide(rejected, negatives)
    effect = group_effects(run.test, labels & known, predicted)
    other = group_effects(run.test, ~labels & known, ~predicted)
    low, high = wilson(hits / effect, positives / effect)
    other_low, other_high = wilson(rejected / other, negatives / other)
    train = run.train
    table = pd.DataFrame(
        {
            "class": run.classes,
            "train_count": train.class_counts,
            "imbalance": divide(((train.labels == 0) & train.known).sum(axis=0), train.class_counts),
            "test_count": positives,
            "accuracy": recall,
            "accuracy_low": low,
            "accuracy_high": high,
            "specificity": specificity,
            "specificity_low": other_low,
            "specificity_high": other_high,
            **_groups(run.test),
        }
    )
    defined = (positives > 0) & (negatives > 0)
    summary: dict[str, Any] = {
        "accuracy": number(divide((hits + rejected).sum(), known.sum()).item()),
        "balanced_accuracy": None,
        "geometric_mean": None,
        "macro_f1": None,
    }
    if defined.any():
        f1 = 2 * hits[defined] / (hits + positives + negatives - rejected)[defined]
        summary |= {
            "balanced_accuracy": float((recall[defined] + specificity[defined]).mean() / 2),
            "geometric_mean": float(np.sqrt(recall[defined].mean() * specificity[defined].mean())),
            "macro_f1": float(f1.mean()),
        }
    notes = []
    for what, missing in (("positive", positives == 0), ("negative", negatives == 0)):
        names = [name for name, empty in zip(run.classes, missing, strict=True) if empty]
        if names:
            notes.append(f"No {what} test instance of {', '.join(names)}: left out of every mean.")
    judged = np.minimum(class_groups(run.test), member_groups(run.test, ~labels & known))
    notes += _few(table, judged, np.where(defined, (recall + specificity) / 2, np.nan))
    return Finding({"class_accuracy": table}, summary, notes=tuple(notes))


def _few(table: Any, judged_by: NDArray[Any], values: NDArray[np.float64]) -> list[str]:
    """What the balanced accuracy would be without the classes of few instances, which move it as much as the others."""
    few, defined = judged_by < FEW, ~np.isnan(values)
    names = table["class"][few & defined].tolist()
    if not names or not (defined & ~few).any():
        return []
    unit = "test groups" if "test_groups" in table else "test instances"
    return [
        f"Of fewer than {FEW} {unit}: {listed(names)}. In every mean they count as much as others; without them the "
        f"balanced accuracy is {percent(float(values[defined & ~few].mean()))}."
    ]


def _groups(split: Split) -> dict[str, NDArray[np.int64]]:
    """The column of groups with an instance of each class, where groups are known."""
    return {} if split.groups is None else {"test_groups": class_groups(split)}


def _confusion_table(run: Run, counts: Any) -> Any:
    """Every pair of classes; beyond 200 classes those that occur, and the diagonal."""
    n_errors = counts.sum(axis=1) - counts.diagonal()
    if run.n_classes <= ALL_PAIRS:
        first, second = np.indices(counts.shape).reshape(2, -1)
        count = counts.toarray().ravel()
    else:
        found = counts.tocoo()
        own = np.arange(run.n_classes)
        first, second, count = (
            np.r_[found.row, own], np.r_[found.col, own], np.r_[found.data, np.zeros_like(own)]
        )  # fmt: skip
        keys, places = np.unique(first * np.int64(run.n_classes) + second, return_inverse=True)
        first, second = np.divmod(keys, run.n_classes)
        count = np.bincount(places.ravel(), weights=count, minlength=len(keys)).astype(np.int64)
    names = np.asarray(run.classes, dtype=object)
    return pd.DataFrame(
        {
            "class": names[first],
            "predicted": names[second],
            "count": count,
            "share": np.where(first == second, np.nan, divide(count, n_errors[first])),
            "error_count": n_errors[first],
        }
    )
