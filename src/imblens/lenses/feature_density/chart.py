"""Chart of shared features."""

from __future__ import annotations

from typing import Any

from imblens.base.wording import ratio
from imblens.charts import matrix_chart, tip
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """Rate of each pair: how often the reference's features are among the adversary's strongest."""
    return {"feature_density": _chart(finding)}


def _chart(finding: Finding) -> Any:
    table = finding.tables["feature_density"]
    pairs = table.groupby(["reference", "adversary"], sort=False, as_index=False)[["ratio", "rate_ratio"]].mean()
    return matrix_chart(
        pairs,
        row="reference",
        column="adversary",
        value="rate_ratio",
        order=pairs["reference"].unique().tolist(),
        title="class whose instances have the features",
        row_title="class whose features they are",
        legend="rate, own = 1",
        write=ratio,
        format=".1f",
        tips=(tip("ratio:Q", ".2f"), tip("rate_ratio:Q", ".2f")),
    )
