"""Charts of archetypes and of the accuracy in each."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from imblens.base.wording import FEW
from imblens.charts import ARCHETYPE_COLOURS, ROW_HEIGHT, class_axis, present, table_chart, tip
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """Shares of the four archetypes; training accuracy in each."""
    charts = {"archetypes": _share_chart(finding)}
    if finding.tables["archetypes"]["accuracy"].notna().any():
        charts["archetype_accuracy"] = _accuracy_chart(finding)
    return charts


def _share_chart(finding: Finding) -> Any:
    table = finding.tables["archetypes"]
    # the ends of the bars are computed here: Vega stacks by class in a JavaScript object, where "constructor" is taken
    end = table.groupby("class", sort=False)["share"].cumsum()
    table = table.assign(start=end - table["share"], end=end)
    names = list(ARCHETYPE_COLOURS)
    return (
        table_chart(table, table["class"].nunique())
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("start:Q", axis=alt.Axis(format="%", title="share of the class's training instances")),
            x2=alt.X2("end:Q"),
            y=class_axis(_by_count(table)),
            color=alt.Color("archetype:N", scale=alt.Scale(domain=names, range=list(ARCHETYPE_COLOURS.values()))),
            tooltip=[tip("class:N"), tip("archetype:N"), tip("count:Q", ","), tip("share:Q", ".1%")],
        )
    )


def _accuracy_chart(finding: Finding) -> Any:
    table = finding.tables["archetypes"].dropna(subset=["accuracy"])
    table = table.assign(few=table["count"] < FEW)
    order = present(_by_count(finding.tables["archetypes"]), table["class"])
    names = list(ARCHETYPE_COLOURS)
    colours = alt.Scale(domain=names, range=list(ARCHETYPE_COLOURS.values()))
    shapes = alt.Scale(domain=names, range=["circle", "square", "triangle-up", "cross"])
    rows = table_chart(table, len(order))
    if len(order) <= 60:  # a lane per archetype, so that none hides another
        rows = rows.properties(height=alt.Step(2 * ROW_HEIGHT if len(order) <= 20 else 28, **{"for": "position"}))
    y, lane = class_axis(order), alt.YOffset("archetype:N", scale=alt.Scale(domain=names, paddingOuter=0.4))
    axis = alt.Axis(format="%", title="training accuracy by archetype, with 95% interval (hollow: too few to tell)")
    interval = rows.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("accuracy_low:Q", scale=alt.Scale(domain=[0, 1]), axis=axis),
        x2=alt.X2("accuracy_high:Q"),
        y=y,
        yOffset=lane,
        color=alt.Color("archetype:N", scale=colours),
    )
    points = rows.mark_point(size=45, strokeWidth=1.5, opacity=1).encode(
        x=alt.X("accuracy:Q"),
        y=y,
        yOffset=lane,
        color=alt.Color("archetype:N", scale=colours),
        shape=alt.Shape("archetype:N", scale=shapes),
        fill=alt.condition("datum.few", alt.value("white"), alt.Fill("archetype:N", scale=colours)),
        tooltip=[tip("class:N"), tip("archetype:N"), tip("count:Q", ","), tip("accuracy:Q", ".1%")],
    )
    return alt.layer(interval, points)


def _by_count(table: pd.DataFrame) -> list[str]:
    counts = table.groupby("class", sort=False)["count"].sum()
    return counts.sort_values(ascending=False, kind="stable").index.tolist()
