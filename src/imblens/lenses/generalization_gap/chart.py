"""Chart of the gap."""

from __future__ import annotations

from typing import Any

import altair as alt

from imblens.charts import BLUE, GREEN, ORANGE, RED, class_axis, present, table_chart, tip
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """Gap of each class, largest class first, over all, correct and misclassified test instances; also after a treatment."""
    return {"generalization_gap": _chart(finding)}


def _chart(finding: Finding) -> Any:
    table = finding.tables["generalization_gap"]
    order = table.sort_values("train_count", ascending=False, kind="stable")["class"].tolist()
    names = {"gap": "all test instances", "gap_correct": "correct", "gap_wrong": "misclassified"}
    colours, shapes = [BLUE, ORANGE, RED], ["circle", "square", "cross"]
    if "gap_after" in table:
        names["gap_after"] = "all, with synthetic training instances"
        colours, shapes = [*colours, GREEN], [*shapes, "diamond"]
    long = table.melt(id_vars=["class"], value_vars=list(names), var_name="of", value_name="value").dropna()
    long["of"] = long["of"].map(names)
    domain = list(names.values())
    order = present(order, long["class"])
    return (
        table_chart(long, len(table))
        .mark_point(filled=True, size=70, opacity=0.9)
        .encode(
            x=alt.X("value:Q", title="generalization gap", scale=alt.Scale(zero=True)),
            y=class_axis(order),
            color=alt.Color("of:N", scale=alt.Scale(domain=domain, range=colours), title="over"),
            shape=alt.Shape("of:N", scale=alt.Scale(domain=domain, range=shapes), title="over"),
            tooltip=[tip("class:N"), tip("of:N", title="over"), tip("value:Q", ".3f", "generalization gap")],
        )
    )
