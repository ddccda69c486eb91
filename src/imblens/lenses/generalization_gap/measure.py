"""How far test features exceed the range of training features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.wording import number
from imblens.lenses._contract import Finding, Measure, lens
from imblens.lenses.generalization_gap.quality import embedding_quality
from imblens.run import ClassRange, Range, Run, Split

KEEP = {"gap": "all", "gap_correct": "correct", "gap_wrong": "misclassified"}


@lens(
    "Do training features cover test features?",
    order=80,
    measures=(Measure("generalization_gap", "gap", "generalization gap", "lower", after="gap_after"),),
    needs=("test",),
)
def generalization_gap(run: Run) -> Finding:
    """Sum over features of how far test instances of a class exceed the range of its training instances.

    gap_c = sum_d max(0, train_min_cd - test_min_cd) + max(0, test_max_cd - train_max_cd)

    Large where few training instances did not cover the class. It grows with D, with feature scale and with the number of
    test instances: compare classes of one network, not networks. `gap_correct` and `gap_wrong` take only correctly classified
    or misclassified test instances. Where a treatment added synthetic training instances, `gap_after` takes the range of
    both.

    Args:
        run: with a test split. In a multi-label run an instance counts for every class it is positive for, and is
            classified correctly when that class's logit is positive.

    Returns:
        Table `generalization_gap` (class, train_count, test_count, gap, gap_correct, gap_wrong, and gap_after in a treated
        run). NaN for a class without training or such test instances. In single-label runs also table `embedding_quality`
        (class, within, nearest, separation, own_train, own_test, shift), see `embedding_quality`. Summary: the means of the
        gaps over classes.

    Raises:
        NotApplicable: no test split.

    References:
        EOS, section III-B and Alg. 1. The algorithm's last lines subtract ranges with the sign the other way round; its
        text, its figures and the released code mean the formula above.
    """
    assert run.test is not None
    covered = _range(run.train)
    columns: dict[str, Any] = {
        "class": run.classes,
        "train_count": covered.count,
        "test_count": _range(run.test).count,
    }
    notes: list[str] = []
    for column, keep in KEEP.items():
        if keep != "all" and not run.test.has_logits:
            columns[column] = np.full(run.n_classes, np.nan)
            continue
        columns[column] = _gap(covered, _range(run.test, keep))
    if not run.test.has_logits:
        notes.append("The test split has no predictions, so correct and misclassified instances cannot be separated.")
    if run.synthetic is not None:
        added = _range(run.synthetic)
        wider = Range(covered.count + added.count, np.fmin(covered.low, added.low), np.fmax(covered.high, added.high))
        columns["gap_after"] = _gap(wider, _range(run.test))
    table = pd.DataFrame(columns)
    without = table.loc[table["gap"].isna(), "class"].tolist()
    if without:
        notes.append(f"Without training or test instances, no gap: {', '.join(without)}.")
    summary = {name: number(table[name].mean()) for name in columns if name.startswith("gap")}
    tables = {"generalization_gap": table}
    if not run.test.multilabel:
        tables["embedding_quality"] = embedding_quality(run)
    return Finding(tables, summary, notes=tuple(notes))


def _range(split: Split, keep: str = "all") -> Range:
    return split.statistic(ClassRange, split.n_classes, split.dim, keep)


def _gap(covered: Range, met: Range) -> NDArray[np.float64]:
    below = np.maximum(0.0, covered.low - met.low)  # NaN where either is unknown
    above = np.maximum(0.0, met.high - covered.high)
    return (below + above).sum(axis=1)
