"""Chart of weight norms."""

from __future__ import annotations

from typing import Any

import altair as alt

from imblens.charts import class_bars, tip
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """Norm of each class, largest class first."""
    table = finding.tables["weight_norms"].set_index("class")
    drawn = [name for name in finding.summary["order"] if name in table.index]  # a report may leave out classes
    table = table.loc[drawn].reset_index()
    tips = [tip("class:N"), tip("norm:Q", ".3f")]
    axis = alt.Axis(title="norm of the classifier weights")
    return {"weight_norms": class_bars(table, "norm", axis=axis, tips=tips, height={"band": 0.6})}
