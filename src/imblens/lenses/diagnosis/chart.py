"""Chart of the strength of each cause in each class."""

from __future__ import annotations

from typing import Any

import altair as alt

from imblens.charts import ERROR_RANGE, LABEL_LIMIT, NUMBERED, class_axis, present, table_chart, tip
from imblens.lenses._contract import Finding
from imblens.lenses.diagnosis.causes import CAUSES
from imblens.lenses.diagnosis.labels import LABEL_CAUSES


def charts(finding: Finding) -> dict[str, Any]:
    """Strength of each cause in each class; nothing where no class has one."""
    table = finding.tables["diagnosis"]
    named = table[table["strength"] > 0]
    return {"diagnosis": _strengths(named, table["class"].unique().tolist())} if len(named) else {}


def _strengths(named: Any, classes: list[str]) -> Any:
    named = named.assign(cause=named["cause"].map(_in_words))
    order = present(classes, named["class"])
    causes = present([_in_words(name) for name in (*(cause.name for cause in CAUSES), *LABEL_CAUSES)], named["cause"])
    axis = alt.Axis(labelLimit=LABEL_LIMIT, orient="top", labelAngle=-40)
    x = alt.X("cause:N", scale=alt.Scale(domain=causes), title=None, axis=axis)
    rows = table_chart(named, len(order)).encode(x=x, y=class_axis(order))
    cells = rows.mark_rect().encode(
        color=alt.Color(
            "strength:Q", scale=alt.Scale(range=ERROR_RANGE, domain=[0, 1]), legend=alt.Legend(title="strength")
        ),
        tooltip=[tip("class:N"), tip("cause:N"), tip("strength:Q", ".2f"), tip("evidence:N"), tip("treatment:N")],
    )
    if len(order) > NUMBERED:
        return cells
    numbers = rows.mark_text(fontSize=11).encode(
        text=alt.Text("strength:Q", format=".2f"),
        color=alt.ColorValue("black", condition={"test": "datum.strength > 0.85", "value": "white"}),
    )
    return alt.layer(cells, numbers)


def _in_words(cause: str) -> str:
    return cause.replace("_", " ")
