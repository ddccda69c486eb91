"""Chart of the three heads."""

from __future__ import annotations

from typing import Any

import altair as alt

from imblens.charts import interval_dots, tip
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """The ceiling of each class with its interval, the present head as a tick; least ceiling first."""
    table = finding.tables["headroom"].dropna(subset=["ceiling"]).sort_values("ceiling", kind="stable")
    what = "recall" if finding.summary["task"] == "multiclass" else "balanced accuracy"
    tips = [
        tip("class:N"),
        tip("accuracy:Q", ".0%", "present head"),
        tip("best_head:Q", ".0%", "refitted on training features"),
        tip("ceiling:Q", ".0%", "best linear head"),
        tip("test_count:Q", ",", "test instances"),
    ]
    axis = alt.Axis(format="%", title=f"{what}: best linear head (dot), present head (tick)")
    mark = "accuracy" if table["accuracy"].notna().any() else None
    return {
        "headroom": interval_dots(
            table, "ceiling", axis=axis, few=[False] * len(table), tips=tips, mark=mark, scale=alt.Scale(domain=[0, 1])
        )
    }
