"""How far do test instances leave what training covered?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.wording import counted, number, ratio
from imblens.lenses._contract import Finding, Measure, lens
from imblens.run import ClassRange, Range, Run, Split

KEEP = {"gap": "all", "gap_correct": "correct", "gap_wrong": "misclassified"}
NOTABLE = 1.5  # times the median gap: beyond it, a class gets a line


class GeneralizationGap(Finding):
    """How far test features leave the training range; see `generalization_gap`."""

    def lines(self) -> dict[str, str]:
        """One line for each class whose gap is far above the median, widest first."""
        table = self.tables["generalization_gap"].dropna(subset=["gap"])
        middle = table["gap"].median()
        found: dict[str, str] = {}
        for row in (
            table[table["gap"] > NOTABLE * middle].sort_values("gap", ascending=False, kind="stable").itertuples()
        ):
            times = f"{ratio(row.gap / middle)}x the median class" if middle > 0 else "where the median class has none"
            found[str(row[1])] = (
                f"{row[1]}: test features leave the range of its {counted(row.train_count, 'training instance')} by "
                f"{row.gap:.2f}, {times}."
            )
        return found

    def charts(self) -> dict[str, Any]:
        """Gap of each class, largest class first, for right and for wrong instances."""
        return {"generalization_gap": _chart(self)}


@lens(
    "Did training cover what the test shows?",
    order=80,
    measures=(Measure("generalization_gap", "gap", "generalization gap", "lower"),),
    needs=("test",),
)
def generalization_gap(run: Run) -> GeneralizationGap:
    """Sum over features of how far test instances of a class leave the range of its training instances.

    gap_c = sum_d max(0, train_min_cd - test_min_cd) + max(0, test_max_cd - train_max_cd)

    Large where few training instances did not cover the class. It grows with D, with feature scale and with the number of
    test instances: compare classes of one network, not networks. `gap_correct` and `gap_wrong` take only the test
    instances that the network gets right or wrong. Where a treatment added synthetic training instances, `gap_after`
    takes the range of both.

    Args:
        run: with a test split. In a multi-label run an instance counts for every class it is positive for, and is right
            when that class's logit is positive.

    Returns:
        Table `generalization_gap` (class, train_count, test_count, gap, gap_correct, gap_wrong, and gap_after in a treated
        run). NaN for a class without training or such test instances. Summary: the means over classes.

    Raises:
        NotApplicable: no test split.

    References:
        EOS, section III-B and Alg. 1. The algorithm's last lines subtract ranges with the sign the other way round; its
        text, its figures and the released code mean the formula above.
    """
    import pandas as pd

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
        notes.append("The test split has no answers, so right and wrong instances cannot be told apart.")
    if run.synthetic is not None:
        added = _range(run.synthetic)
        wider = Range(covered.count + added.count, np.fmin(covered.low, added.low), np.fmax(covered.high, added.high))
        columns["gap_after"] = _gap(wider, _range(run.test))
    table = pd.DataFrame(columns)
    without = table.loc[table["gap"].isna(), "class"].tolist()
    if without:
        notes.append(f"Without training or test instances, no gap: {', '.join(without)}.")
    summary = {name: number(table[name].mean()) for name in columns if name.startswith("gap")}
    return GeneralizationGap({"generalization_gap": table}, summary, notes=tuple(notes))


def _range(split: Split, keep: str = "all") -> Range:
    return split.statistic(ClassRange, split.n_classes, split.dim, keep)


def _gap(covered: Range, met: Range) -> NDArray[np.float64]:
    below = np.maximum(0.0, covered.low - met.low)  # NaN where either is unknown
    above = np.maximum(0.0, met.high - covered.high)
    return (below + above).sum(axis=1)


def _chart(finding: GeneralizationGap) -> Any:
    import altair as alt

    from imblens.lenses._charts import BLUE, ORANGE, RED, base, class_axis, present, tip

    table = finding.tables["generalization_gap"]
    order = table.sort_values("train_count", ascending=False, kind="stable")["class"].tolist()
    names = {"gap": "all test instances", "gap_correct": "right", "gap_wrong": "wrong"}
    long = table.melt(id_vars=["class"], value_vars=list(names), var_name="of", value_name="value").dropna()
    long["of"] = long["of"].map(names)
    domain = list(names.values())
    order = present(order, long["class"])
    return (
        base(long, len(table))
        .mark_point(filled=True, size=70, opacity=0.9)
        .encode(
            x=alt.X("value:Q", title="generalization gap", scale=alt.Scale(zero=True)),
            y=class_axis(order),
            color=alt.Color("of:N", scale=alt.Scale(domain=domain, range=[BLUE, ORANGE, RED]), title="over"),
            shape=alt.Shape("of:N", scale=alt.Scale(domain=domain), title="over"),
            tooltip=[tip("class:N"), tip("of:N", title="over"), tip("value:Q", ".3f", "generalization gap")],
        )
    )
