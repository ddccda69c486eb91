"""Charts of AUROC and of mean probabilities."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np

from imblens.base.wording import FEW
from imblens.charts import interval_dots, paired_dots, tip
from imblens.lenses._contract import Finding

OVER = {"mean_probability": "all test instances", "mean_probability_positives": "instances of the class"}


def charts(finding: Finding) -> dict[str, Any]:
    """AUROC with its interval, lowest first; mean probability of all and of positive instances."""
    table = finding.tables["ranking"].sort_values("auroc", kind="stable")
    return {"ranking": _auroc(table.dropna(subset=["auroc"])), "probabilities": _probabilities(table)}


def _auroc(table: Any) -> Any:
    low = max(0.0, np.floor(10 * min(0.5, table["auroc_low"].min())) / 10) if len(table) else 0.0
    return interval_dots(
        table,
        "auroc",
        axis=alt.Axis(title="AUROC on the test split, with 95% interval (chance: 0.5)"),
        scale=alt.Scale(domain=[low, 1]),
        few=table.get("groups", table["positives"]) < FEW,
        tips=[
            tip("class:N"),
            tip("positives:Q", ","),
            tip("auroc:Q", ".3f", "AUROC"),
            tip("average_precision:Q", ".3f"),
            tip("prevalence:Q", ".3f"),
            tip("outcome:N"),
        ],
    )


def _probabilities(table: Any) -> Any:
    tips = [tip("class:N"), tip("over:N"), tip("value:Q", ".1%", "mean probability"), tip("positives:Q", ",")]
    few = {"mean_probability": False, "mean_probability_positives": table.get("groups", table["positives"]) < FEW}
    return paired_dots(table, OVER, title="mean predicted probability of the class", few=few, tips=tips, kind="over")
