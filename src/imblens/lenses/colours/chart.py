"""Chart of the colours of salient pixels."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np

from imblens.charts import GREY, class_axis, present, stacked, table_chart, tip
from imblens.lenses._contract import Finding

_LETTER, _MARGIN = 6.2, 6  # pixels of a letter of a band's name and around it: wide bars show the name


def charts(finding: Finding) -> dict[str, Any]:
    """Shares of the bands in each class, drawn in the bands' mean colours."""
    return {"colours": _chart(finding)}


def _chart(finding: Finding) -> Any:
    table = finding.tables["colours"]
    summary = finding.summary["bands"]
    order = table.drop_duplicates("class").sort_values("image_count", ascending=False, kind="stable")["class"].tolist()
    shown = [name for name, known in summary.items() if known["colour"]]
    table = table[table["share"] > 0]
    table = table.assign(position=table["band"].map({name: i for i, name in enumerate(shown)}))
    table = table.sort_values("position", kind="stable")
    table = stacked(table).assign(
        pixels=_LETTER * table["band"].str.len() + _MARGIN,
        dark=table["band"].map({name: _is_dark(summary[name]["colour"]) for name in shown}),
    )
    order = present(order, table["class"])
    y = class_axis(order)
    whole = alt.Scale(domain=[0, 1], nice=False)
    rows = table_chart(table, len(order))
    bars = rows.mark_bar(stroke=GREY, strokeWidth=0.5).encode(
        x=alt.X("start:Q", scale=whole, axis=alt.Axis(format="%", title="share of the most salient pixels")),
        x2=alt.X2("end:Q"),
        y=y,
        color=alt.Color(
            "band:N",
            scale=alt.Scale(domain=shown, range=[summary[name]["colour"] for name in shown]),
            legend=alt.Legend(title=None, orient="top", columns=4, symbolStrokeColor=GREY, symbolStrokeWidth=0.5),
        ),
        tooltip=[
            tip("class:N"),
            tip("band:N"),
            tip("share:Q", ".1%"),
            tip("others:Q", ".1%", "on average in other classes"),
        ],
    )
    names = rows.mark_text(fontSize=11).encode(
        x=alt.X("middle:Q"),
        y=y,
        text=alt.condition("datum.share * width > datum.pixels", alt.Text("band:N"), alt.value("")),
        color=alt.ColorValue("black", condition={"test": "datum.dark", "value": "white"}),
    )
    return alt.layer(bars, names)


def _is_dark(colour: str) -> bool:
    """Whether white text reads better on it than black (WCAG relative luminance)."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722])) < 0.179
