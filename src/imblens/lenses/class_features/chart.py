"""Charts of features in effect, of shifts and of the strongest features."""

from __future__ import annotations

from typing import Any

import altair as alt

from imblens.base.wording import FEW
from imblens.charts import BLUE, RED, class_axis, present, table_chart, tip
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """Effective number of features; shift of test magnitudes; the strongest features of each class."""
    charts = {"class_diversity": _diversity_chart(finding)}
    if finding.tables["magnitude_match"]["correct_shift"].notna().any():
        charts["magnitude_match"] = _match_chart(finding)
    charts["class_features"] = _feature_chart(finding)
    return charts


def _diversity_chart(finding: Finding) -> Any:
    table = finding.tables["class_diversity"].sort_values("count", ascending=False, kind="stable")
    order = [f"{row[1]} ({row.count:,})" for row in table.itertuples()]
    table = table.assign(**{"name": table["class"], "class": order, "few": table["count"] < FEW})
    table = table.dropna(subset=["effective_number"])
    order = table["class"].tolist()
    return (
        table_chart(table, len(table))
        .mark_point(size=70, strokeWidth=2, color=BLUE, opacity=1)
        .encode(
            x=alt.X("effective_number:Q", scale=alt.Scale(zero=True), title="features in effect (exp of entropy)"),
            y=class_axis(order),
            fill=alt.FillValue(BLUE, condition={"test": "datum.few", "value": "white"}),
            tooltip=[
                tip("name:N", title="class"),
                tip("effective_number:Q", ".1f", "features in effect"),
                tip("needed_mean:Q", ".1f", "needed by a prediction on average"),
                tip("distinct:Q", title="distinct features"),
                tip("distinct_equal_n:Q", ".1f", f"distinct in {finding.summary['equal_n']} instances"),
                tip("top10_share:Q", ".1%", "share of the ten largest"),
            ],
        )
    )


def _match_chart(finding: Finding) -> Any:
    order = finding.tables["class_diversity"].sort_values("count", ascending=False, kind="stable")["class"].tolist()
    table = finding.tables["magnitude_match"]
    long = table.melt(["class"], ["correct_shift", "wrong_shift"], "prediction", "shift")
    long["instances"] = table.melt(["class"], ["correct_count", "wrong_count"])["value"]
    long["prediction"] = long["prediction"].map({"correct_shift": "correct", "wrong_shift": "misclassified"})
    long["few"] = long["instances"] < FEW
    long = long.dropna(subset=["shift"])
    order = present(order, long["class"])
    names: dict[str, Any] = {"domain": ["correct", "misclassified"]}
    top = alt.Legend(title="test instances that are", orient="top")
    return (
        table_chart(long, len(order))
        .mark_point(size=70, strokeWidth=2, opacity=1)
        .encode(
            x=alt.X(
                "shift:Q", scale=alt.Scale(zero=True), title="shift of the class's strongest features (training s.d.)"
            ),
            y=class_axis(order),
            color=alt.Color("prediction:N", scale=alt.Scale(range=[BLUE, RED], **names), legend=top),
            shape=alt.Shape("prediction:N", scale=alt.Scale(range=["circle", "diamond"], **names), legend=top),
            fill=alt.Fill("prediction:N", scale=alt.Scale(range=[BLUE, RED], **names), legend=top),
            fillOpacity=alt.FillOpacityValue(1, condition={"test": "datum.few", "value": 0}),
            tooltip=[
                tip("class:N"),
                tip("prediction:N"),
                tip("shift:Q", ".2f"),
                tip("instances:Q", ",", "test instances"),
            ],
        )
    )


def _feature_chart(finding: Finding) -> Any:
    order = finding.tables["class_diversity"].sort_values("count", ascending=False, kind="stable")["class"].tolist()
    table = finding.tables["class_features"].dropna(subset=["magnitude"])
    table = table.assign(rank=table.groupby("class", sort=False)["magnitude"].rank(ascending=False, method="first"))
    table = table[table["rank"] <= 10].astype({"rank": int})
    order = present(order, table["class"])
    numbered = len(order) <= 20
    title = "the class's strongest features, strongest first" + (
        "; in a cell, the feature's number" if numbered else ""
    )
    cells = (
        table_chart(table, len(order))
        .mark_rect()
        .encode(
            x=alt.X("rank:O", title=title, axis=alt.Axis(labelAngle=0)),
            y=class_axis(order),
            color=alt.Color(
                "frequency:Q",
                scale=alt.Scale(scheme="blues", domain=[0, 1]),
                legend=alt.Legend(title="needed by", format="%"),
            ),
            tooltip=[
                tip("class:N"),
                tip("feature:Q"),
                tip("magnitude:Q", ".3f"),
                tip("frequency:Q", ".1%", "needed by"),
            ],
        )
    )
    if not numbered:
        return cells
    numbers = (
        table_chart(table, len(order))
        .mark_text(fontSize=11)
        .encode(
            x=alt.X("rank:O"),
            y=class_axis(order),
            text=alt.Text("feature:Q"),
            color=alt.ColorValue("black", condition={"test": "datum.frequency > 0.55", "value": "white"}),
        )
    )
    return alt.layer(cells, numbers)
