"""Change of each class by a treatment, with intervals for predictions on the same test instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imblens.base.calibration_error import expected_calibration_error
from imblens.base.intervals import paired_change, wilson
from imblens.errors import InputError, NotApplicable
from imblens.run import Run, Split, confusion_summary
from imblens.treatments._one_vs_rest import label_summary, label_table

if TYPE_CHECKING:
    import pandas as pd


def treatment_table(before: Run, after: Run) -> pd.DataFrame:
    """Accuracy of every class on the test split before and after, and the change.

    change = (gained - lost) / test_count, where gained counts instances that became correct, lost those that became
    misclassified. Its interval is Agresti and Min's for paired shares: half an instance is added to each of the four cells, so
    that a class with few instances, or without any change, does not look certain.

    Args:
        before, after: runs with the same test instances in the same order.

    Returns:
        Columns class, train_count, test_count, before, before_low, before_high, after, after_low, after_high, change,
        change_low, change_high, gained, lost. 95% intervals, Wilson's for the shares; NaN for a class without test
        instances. No rows where the runs have no test split. For multi-label runs: see `label_table`.

    Raises:
        InputError: the test splits differ.
        NotApplicable: the predictions of one run are unknown (neither logits nor a head).

    References:
        Agresti and Min 2005, Simple improved confidence intervals for comparing matched proportions.
    """
    import pandas as pd

    if before.test is None or after.test is None:
        return pd.DataFrame()
    _same_test(before, after)
    if before.task == "multilabel":
        return label_table(before, after)
    right, now = before.test.correct, after.test.correct
    labels, n_classes = before.test.labels, before.n_classes
    count = np.bincount(labels, minlength=n_classes)

    def per_class(rows: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(labels[rows], minlength=n_classes)

    gained, lost = per_class(now & ~right), per_class(right & ~now)
    low, high = paired_change(gained, lost, count)
    return pd.DataFrame(
        {
            "class": before.classes,
            "train_count": before.train.class_counts,
            "test_count": count,
            **_share("before", per_class(right), count),
            **_share("after", per_class(now), count),
            "change": np.divide(gained - lost, count, out=np.full(n_classes, np.nan), where=count > 0),
            "change_low": low,
            "change_high": high,
            "gained": gained,
            "lost": lost,
        }
    )


def treatment_summary(before: Run, after: Run) -> pd.DataFrame:
    """Measures over all classes before and after.

    Args:
        before, after: runs with the same test instances in the same order.

    Returns:
        Columns measure, before, after, change, change_low, change_high; rows balanced_accuracy, geometric_mean,
        macro_f1, accuracy, ece (expected calibration error, 15 bins). The 95% interval is known for
        balanced_accuracy, whose change is the mean of the classes' changes: it is combined from theirs, so that few test
        instances, or none that changed, do not look certain. No rows without a test split.

    Raises:
        InputError, NotApplicable: as for `treatment_table`.
    """
    import pandas as pd

    if before.test is None or after.test is None:
        return pd.DataFrame()
    _same_test(before, after)
    if before.task == "multilabel":
        return label_summary(before, after)
    old, new = _measures(before.test), _measures(after.test)
    table = pd.DataFrame(
        [{"measure": name, "before": old[name], "after": new[name], "change": new[name] - old[name]} for name in old]
    )
    classes = treatment_table(before, after).dropna(subset=["change"])
    half = (classes["change_high"] - classes["change_low"]).to_numpy() / 2
    margin = float(np.sqrt((half**2).sum()) / len(half))
    known = table["measure"] == "balanced_accuracy"
    table["change_low"] = np.where(known, np.maximum(table["change"] - margin, -1), np.nan)
    table["change_high"] = np.where(known, np.minimum(table["change"] + margin, 1), np.nan)
    return table


def _measures(split: Split) -> dict[str, float]:
    found = confusion_summary(split.confusion)
    order = ("balanced_accuracy", "geometric_mean", "macro_f1", "accuracy")
    return {**{name: found[name] for name in order}, "ece": expected_calibration_error(split.logits, split.labels)}


def _same_test(before: Run, after: Run) -> None:
    assert before.test is not None
    assert after.test is not None
    if before.classes != after.classes or not np.array_equal(before.test.labels, after.test.labels):
        raise InputError(
            "the two runs differ in classes or test labels.", hint="Compare a run with one that was treated from it."
        )
    for run in (before, after):
        if run.test is not None and not run.test.has_logits:
            raise NotApplicable(
                "the predictions of the untreated run are unknown: it has neither logits nor a head.",
                hint="Give test_logits, or head_weight and head_bias, with the arrays.",
            )


def _share(name: str, hits: NDArray[np.int64], count: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    low, high = wilson(hits, count)
    share = np.divide(hits, count, out=np.full(len(count), np.nan), where=count > 0)
    return {name: share, f"{name}_low": low, f"{name}_high": high}
