"""Chart of labels that occur together."""

from __future__ import annotations

from typing import Any

import altair as alt

from imblens.base.wording import percent
from imblens.charts import LABEL_LIMIT, class_axis, present, table_chart, tip
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """Share of each label's instances (row) that have the other (column)."""
    return {"co_occurrence": _chart(finding)}


def _chart(finding: Finding) -> Any:
    counts = finding.tables["label_counts"].sort_values("positives", ascending=False, kind="stable")
    order = counts["class"].tolist()
    table = finding.tables["co_occurrence"].dropna(subset=["share"])
    table = table.assign(text=table["share"].map(percent), dark=table["share"] > 0.5)
    columns, order = present(order, table["other"]), present(order, table["class"])
    x = alt.X(
        "other:N",
        scale=alt.Scale(domain=columns),
        title="have this one as well",
        axis=alt.Axis(labelLimit=LABEL_LIMIT, labelAngle=-45),
    )
    y = class_axis(order, title="of those with")
    rows, numbered = table_chart(table, len(order)), len(order) <= 20
    cells = rows.mark_rect().encode(
        x=x,
        y=y,
        color=alt.Color(
            "share:Q",
            scale=alt.Scale(domain=[0, 1], scheme="blues"),
            legend=None if numbered else alt.Legend(title=None, format="%", orient="right"),
        ),
        tooltip=[
            tip("class:N"),
            tip("other:N"),
            tip("count:Q", ",", "instances with both"),
            tip("share:Q", ".1%"),
            tip("expected:Q", ".1%", "of all instances"),
        ],
    )
    if not numbered:
        return cells
    text = rows.mark_text(fontSize=11).encode(
        x=x,
        y=y,
        text=alt.Text("text:N"),
        color=alt.ColorValue("black", condition={"test": "datum.dark", "value": "white"}),
    )
    return alt.layer(cells, text)
