"""Change of each class by a treatment, with intervals for predictions on the same test instances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.calibration_error import binned_error, binned_sums
from imblens.base.intervals import mean_change, wilson
from imblens.comparison import changes_alike, class_changes, class_counts, class_effects
from imblens.errors import InputError, NotApplicable
from imblens.run import Run, Split, confusion_summary
from imblens.treatments._one_vs_rest import label_measures


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
        instances. No rows where the runs have no test split. In multi-label runs test_count is the number of positives,
        before and after are the means of recall and specificity at a logit of 0, and recall_before, recall_before_low,
        recall_before_high, the same after, and specificity likewise replace the intervals of before and after
        and of gained and lost; NaN for a label without positives or without negatives in the test split.

    Raises:
        InputError: the test splits differ.
        NotApplicable: the predictions of one run are unknown (neither logits nor a head).

    References:
        Agresti and Min 2005, Simple improved confidence intervals for comparing matched proportions.

    Example:
        >>> import numpy as np
        >>> from imblens.run import Run
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat([0, 1, 2], [40, 20, 10])
        >>> features = rng.normal(size=(70, 4)) + 2 * np.eye(4)[labels]
        >>> run = Run.from_arrays(train=(features, labels), test=(features + 0.1, labels, features[:, :3]))
        >>> from imblens.treatments import treat
        >>> treatment_table(run, treat(run, "refit"))["train_count"].tolist()
        [40, 20, 10]
    """
    if before.test is None or after.test is None:
        return pd.DataFrame()
    _same_test(before, after)
    same = np.arange(len(before.test))
    found = class_changes(before, after, before.classes, (same, same))
    counts = {"before": class_counts(before, before.classes), "after": class_counts(after, before.classes)}
    worth = {"before": class_effects(before, before.classes), "after": class_effects(after, before.classes)}
    test_count = counts["after"][1][:, 0]
    table: dict[str, Any] = {
        "class": before.classes, "train_count": before.train.class_counts, "test_count": test_count
    }  # fmt: skip
    change = {name: found[name] for name in ("change", "change_low", "change_high")}
    if before.task == "multilabel":
        table |= {when: divide(*both).mean(axis=1) for when, both in counts.items()} | change
        for place, kind in enumerate(("recall", "specificity")):
            for when, (right, count) in counts.items():
                table |= _share(f"{kind}_{when}", right[:, place], count[:, place], worth[when][:, place])
    else:
        for when, (right, count) in counts.items():
            table |= _share(when, right[:, 0], count[:, 0], worth[when][:, 0])
        table |= change | {name: found[name].astype(np.int64) for name in ("gained", "lost")}
    return pd.DataFrame(table)


def treatment_summary(before: Run, after: Run) -> pd.DataFrame:
    """Measures over all classes before and after.

    Args:
        before, after: runs with the same test instances in the same order.

    Returns:
        Columns measure, before, after, change, change_low, change_high; rows balanced_accuracy, geometric_mean,
        macro_f1, accuracy, ece (expected calibration error, 15 bins). The 95% interval is known for
        balanced_accuracy, whose change is the mean of the classes' changes: it is combined from theirs, so that few test
        instances, or none that changed, do not look certain, and from how far labels of one instance, or classes of one
        group, change together. No rows without a test split.

    Raises:
        InputError, NotApplicable: as for `treatment_table`.

    Example:
        >>> import numpy as np
        >>> from imblens.run import Run
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat([0, 1, 2], [40, 20, 10])
        >>> features = rng.normal(size=(70, 4)) + 2 * np.eye(4)[labels]
        >>> run = Run.from_arrays(train=(features, labels), test=(features + 0.1, labels, features[:, :3]))
        >>> from imblens.treatments import treat
        >>> treatment_summary(run, treat(run, "refit"))["measure"].tolist()[:2]
        ['balanced_accuracy', 'geometric_mean']
    """
    if before.test is None or after.test is None:
        return pd.DataFrame()
    _same_test(before, after)
    classes = treatment_table(before, after)
    known = classes["change"].notna().to_numpy()
    multilabel = before.task == "multilabel"
    old, new = (label_measures(s, known) if multilabel else _measures(s) for s in (before.test, after.test))
    table = pd.DataFrame(
        [{"measure": name, "before": old[name], "after": new[name], "change": new[name] - old[name]} for name in old]
    )
    low, high, change = (classes[name].to_numpy(dtype=np.float64) for name in ("change_low", "change_high", "change"))
    of_classes = table["measure"] == "balanced_accuracy"
    same = np.arange(len(before.test))
    moved = [name for name, one in zip(before.classes, known, strict=True) if one]
    alike = changes_alike(before, after, moved, (same, same)) if moved else 1.0
    for name, side in zip(("change_low", "change_high"), mean_change(low, high, change, alike), strict=True):
        table[name] = np.where(of_classes, side, np.nan)
    return table


def _measures(split: Split) -> dict[str, float]:
    found = confusion_summary(split.confusion)
    order = ("balanced_accuracy", "geometric_mean", "macro_f1", "accuracy")
    blocks = [binned_sums(np.asarray(batch.logits), batch.labels) for batch in split.batches(logits=True)]
    return {**{name: found[name] for name in order}, "ece": float(binned_error(np.sum(blocks, axis=0)))}


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


def _share(
    name: str, hits: NDArray[np.int64], count: NDArray[np.int64], worth: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    low, high = wilson(hits / worth, count / worth)
    return {name: divide(hits, count), f"{name}_low": low, f"{name}_high": high}
