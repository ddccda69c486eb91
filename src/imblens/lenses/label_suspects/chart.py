"""Chart of label suspects."""

from __future__ import annotations

from typing import Any

import altair as alt

from imblens.charts import ORANGE, class_bars, tip
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """Share of each class that is suspect."""
    table = finding.tables["label_suspect_counts"].sort_values("share", ascending=False, kind="stable")
    axis = alt.Axis(format="%", title="training instances for which the evidence favours another label")
    tips = [
        tip("class:N"),
        tip("suspects:Q", ","),
        tip("share:Q", ".2%"),
        tip("often:N", title="mostly suggested"),
    ]
    return {"label_suspects": class_bars(table, "share", axis=axis, tips=tips, colour=ORANGE)}
