"""Charts of confidence and accuracy."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from imblens.base.wording import FEW
from imblens.charts import BLUE, CHOSEN, GREY, ORANGE, chosen_class, paired_dots, table_chart, tip
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """Confidence beside accuracy for each class; accuracy by confidence over all classes, and of a chosen one."""
    return {"calibration": _class_chart(finding), "reliability": _reliability_chart(finding)}


def _names(finding: Finding) -> dict[str, str]:
    single = finding.summary["task"] == "multiclass"
    names = ("mean confidence", "accuracy") if single else ("mean probability", "share of positives")
    return dict(zip(("confidence", "accuracy"), names, strict=True))


def _class_chart(finding: Finding) -> Any:
    table = finding.tables["calibration"].dropna(subset=["confidence"])
    table = table.sort_values("over_confidence", ascending=False, kind="stable")
    names, few = _names(finding), table.get("groups", table["test_count"]) < FEW
    tips = [tip("class:N"), tip("measure:N"), tip("value:Q", ".1%"), tip("test_count:Q", ",", "test instances")]
    title = " and ".join(names.values()) + " on the test split"
    dots = paired_dots(table, names, title=title, few=dict.fromkeys(names, few), tips=tips)
    gap = table_chart(table, len(table)).mark_rule(strokeWidth=2, color=GREY)
    return alt.layer(gap.encode(x=alt.X("confidence:Q"), x2=alt.X2("accuracy:Q"), y=dots.encoding.y), dots)


def _reliability_chart(finding: Finding) -> Any:
    table = finding.tables["reliability"].dropna(subset=["accuracy"])
    names = list(_names(finding).values())
    whole = alt.Scale(domain=[0, 1])
    ideal = (
        table_chart(pd.DataFrame({"at": [0.0, 1.0]}))
        .mark_line(color=GREY, strokeDash=[4, 4])
        .encode(x=alt.X("at:Q"), y=alt.Y("at:Q"))
    )

    def points(table: pd.DataFrame, colour: str, *tooltip: alt.Tooltip) -> alt.Chart:
        return (
            table_chart(table.assign(few=table["count"] < FEW))
            .mark_point(color=colour, strokeWidth=2, opacity=1)
            .encode(
                fill=alt.FillValue(colour, condition={"test": "datum.few", "value": "white"}),
                size=alt.Size(
                    "count:Q", scale=alt.Scale(range=[30, 400]), legend=alt.Legend(title="instances", orient="top")
                ),
                x=alt.X("confidence:Q", scale=whole, axis=alt.Axis(format="%", title=names[0])),
                y=alt.Y("accuracy:Q", scale=whole, axis=alt.Axis(format="%", title=names[1])),
                tooltip=[
                    *tooltip,
                    alt.Tooltip("confidence:Q", format=".1%"),
                    alt.Tooltip("accuracy:Q", format=".1%"),
                    alt.Tooltip("count:Q", format=","),
                ],
            )
        )

    of_chosen = f"datum.class === {CHOSEN}"
    own = points(finding.tables["class_reliability"], ORANGE, alt.Tooltip("class:N")).transform_filter(of_chosen)
    name = (
        table_chart(finding.tables["calibration"][["class"]])
        .transform_filter(of_chosen)
        .mark_text(align="left", baseline="top", fontSize=13, fontWeight="bold", dx=6, dy=4, limit=240)
        .encode(x=alt.value(0), y=alt.value(0), text=alt.Text("class:N"))
    )
    return alt.layer(ideal, points(table, BLUE), own, name).add_params(chosen_class())
