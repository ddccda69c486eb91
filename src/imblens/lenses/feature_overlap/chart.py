"""Charts of shared features."""

from __future__ import annotations

from typing import Any

import altair as alt

from imblens.charts import BLUE, class_axis, matrix_chart, table_chart, tip
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """Shared features of each pair; the strongest features of each class."""
    return {"feature_overlap_pairs": _pairs(finding), "feature_overlap": _strongest(finding)}


def _pairs(finding: Finding) -> Any:
    tables, top = finding.tables, finding.summary["top"]
    pairs = tables["feature_overlap_pairs"]
    return matrix_chart(
        pairs.assign(share=pairs["shared"] / top),
        column="other",
        value="share",
        order=tables["feature_overlap"]["class"].unique().tolist(),
        title="shares features with",
        legend=f"share of the {top} strongest",
    )


def _strongest(finding: Finding) -> Any:
    table = finding.tables["feature_overlap"]
    order = table["class"].unique().tolist()
    numbered = len(order) <= 40
    title = "rank of the feature in its class" + ("; in a cell, the feature's number" if numbered else "")
    rows = table_chart(table, len(order)).encode(
        x=alt.X("rank:O", title=title, axis=alt.Axis(labelAngle=0)), y=class_axis(order)
    )
    cells = rows.mark_rect().encode(
        color=alt.Color(
            "share:Q",
            scale=alt.Scale(range=["#F2F6FA", BLUE], domainMin=0),
            legend=alt.Legend(title="share of the strongest", format="%"),
        ),
        tooltip=[tip("class:N"), tip("rank:O"), tip("feature:O"), tip("share:Q", ".1%")],
    )
    if not numbered:
        return cells
    highest = float(table["share"].max()) if table["share"].notna().any() else 1.0
    numbers = rows.mark_text(fontSize=11).encode(
        text=alt.Text("feature:O"),
        color=alt.ColorValue("black", condition={"test": f"datum.share > {0.85 * highest}", "value": "white"}),
    )
    return alt.layer(cells, numbers)
