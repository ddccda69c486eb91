"""Matrices of forecast and observed errors."""

from __future__ import annotations

from typing import Any

from imblens.charts import error_chart, matrix_chart
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """The leading forecast, and observed errors."""
    charts = {"adversaries": _chart(finding, finding.summary["leading"], "forecast from training data")}
    if finding.tables["adversaries"]["observed"].notna().any():
        charts["adversaries_observed"] = _observed_chart(finding)
    return charts


def _chart(finding: Finding, value: str, title: str) -> Any:
    order = finding.tables["adversaries"]["class"].unique().tolist()
    legend = "share of errors"
    return matrix_chart(
        finding.tables["adversaries"], column="adversary", value=value, order=order, title=title, legend=legend
    )


def _observed_chart(finding: Finding) -> Any:
    table = finding.tables["adversaries"]
    order = table["class"].unique().tolist()
    return error_chart(
        table,
        column="adversary",
        value="observed",
        errors="test_error_count",
        order=order,
        title="predicted class on the test split",
    )
