"""Charts of accuracy and of the confusion matrix."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np

from imblens.base.wording import FEW, ratio
from imblens.charts import BLUE, LABEL_LIMIT, class_axis, error_chart, table_chart, tip
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """Accuracy with interval, rarest class last; confusion with the diagonal blank, if there are errors."""
    charts = {"class_accuracy": _accuracy_chart(finding)}
    if "confusion" in finding.tables and finding.tables["confusion"]["share"].notna().any():
        charts["confusion"] = _confusion_chart(finding)
    return charts


def _accuracy_chart(finding: Finding) -> Any:
    table = finding.tables["class_accuracy"].sort_values("train_count", ascending=False, kind="stable")
    order = [_row_name(row) for row in table.itertuples()]
    table = table.assign(
        **{"name": table["class"], "class": order, "few": table.get("test_groups", table["test_count"]) < FEW}
    )
    table["remark"] = table["few"].map({True: "too few to tell", False: ""})
    y = class_axis(order, limit=LABEL_LIMIT + 60)
    what = "accuracy" if "specificity" not in table else "sensitivity"
    share = alt.Axis(format="%", title=f"{what} on the test split, with 95% interval", grid=True)
    rows = table_chart(table, len(table))
    interval = rows.mark_rule(strokeWidth=2, color=BLUE).encode(
        x=alt.X("accuracy_low:Q", scale=alt.Scale(domain=[0, 1]), axis=share), x2=alt.X2("accuracy_high:Q"), y=y
    )
    points = rows.mark_point(size=70, strokeWidth=2, color=BLUE, opacity=1).encode(
        x=alt.X("accuracy:Q"),
        y=y,
        fill=alt.FillValue(BLUE, condition={"test": "datum.few", "value": "white"}),
        tooltip=[
            tip("name:N", title="class"),
            tip("train_count:Q", ",", "training instances"),
            tip("test_count:Q", ",", "test instances"),
            tip("accuracy:Q", ".1%"),
        ],
    )
    remark = rows.mark_text(align="left", dx=8, fontSize=11).encode(
        x=alt.X("accuracy_high:Q"), y=y, text=alt.Text("remark:N")
    )
    return alt.layer(interval, points, remark)


def _row_name(row: Any) -> str:
    if hasattr(row, "specificity"):
        return (
            f"{row[1]} ({row.train_count:,}, 1 in {ratio(row.imbalance + 1)})" if row.train_count else f"{row[1]} (0)"
        )
    if not np.isfinite(row.imbalance) or row.imbalance < 1.05:
        return f"{row[1]} ({row.train_count:,})"
    return f"{row[1]} ({row.train_count:,}, {ratio(row.imbalance)}x rarer)"


def _confusion_chart(finding: Finding) -> Any:
    order = (
        finding.tables["class_accuracy"].sort_values("train_count", ascending=False, kind="stable")["class"].tolist()
    )
    return error_chart(
        finding.tables["confusion"],
        column="predicted",
        value="share",
        errors="error_count",
        order=order,
        title="predicted class",
    )
