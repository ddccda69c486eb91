"""Chart of the shares of evidence that cues hold."""

from __future__ import annotations

from typing import Any

import altair as alt

from imblens.base.wording import FEW
from imblens.charts import interval_dots, tip
from imblens.lenses._contract import Finding
from imblens.lenses.shortcuts.relied_on import judged_by


def charts(finding: Finding) -> dict[str, Any]:
    """The cue that holds most of the evidence of each class above the usual, with its interval; the usual as a tick."""
    table = finding.tables["shortcuts"]
    table = table.assign(above=table["explained"] - table["usual"]).sort_values("above", ascending=False, kind="stable")
    table = table.drop_duplicates("class")
    tips = [
        tip("class:N"),
        tip("cue:N"),
        tip("explained:Q", ".0%", "share of the evidence"),
        tip("drop:Q", ".0%", "accuracy lost"),
        tip("usual:Q", ".0%", "usual, at most"),
        tip("image_count:Q", ",", "images"),
    ]
    axis = alt.Axis(format="%", title="share of the evidence explained by the cue (dot), usual for this network (tick)")
    few = (judged_by(table) < FEW).tolist()
    return {"shortcuts": interval_dots(table, "explained", axis=axis, few=few, tips=tips, mark="usual")}
