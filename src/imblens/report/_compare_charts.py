"""Charts of a comparison. None computes: they draw the comparison's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from imblens.charts import BLUE, GREEN, ORANGE, PURPLE, RED, SKY, class_axis, table_chart

if TYPE_CHECKING:
    from imblens.report._compare import Comparison

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)
SHAPES = ("circle", "diamond", "square", "triangle-up", "cross", "triangle-down")
ROW = 22


def charts(comparison: Comparison) -> dict[str, Any]:
    """Accuracy, change, and each measure that differs between the runs."""
    from imblens.report._compare import MEASURES

    found: dict[str, Any] = {}
    table = comparison.tables["comparison"]
    if table["accuracy"].notna().any():
        found["comparison"] = _accuracy(comparison)
    if table["change"].notna().any():
        found["comparison_change"] = _change(comparison)
    measures = comparison.tables["comparison_measures"]
    for measure, (*_, title) in MEASURES.items():
        rows = measures[measures["measure"] == measure]
        if np.abs(rows["change"].dropna()).max() > 0 if rows["change"].notna().any() else False:
            found[f"comparison_{measure}"] = _measure(comparison, measure, title)
    if comparison.maps is not None:
        found |= comparison.maps.charts()
    return found


def _order(comparison: Comparison) -> list[str]:
    table = comparison.tables["comparison"]
    first = table[table["run"] == comparison.names[0]]
    return first.sort_values("train_count", ascending=False, kind="stable")["class"].tolist()


def _encodings(comparison: Comparison, names: tuple[str, ...]) -> dict[str, Any]:
    """Colour, shape and a lane of its own within the class's row, the same for a run in every chart."""
    import altair as alt

    place = [comparison.names.index(name) % len(COLOURS) for name in names]
    domain = list(names)
    colours, shapes = [COLOURS[i] for i in place], [SHAPES[i] for i in place]
    found: dict[str, Any] = {
        "color": alt.Color("run:N", scale=alt.Scale(domain=domain, range=colours), legend=alt.Legend(title=None)),
        "shape": alt.Shape("run:N", scale=alt.Scale(domain=domain, range=shapes), legend=alt.Legend(title=None)),
    }
    if len(names) > 1:
        found["yOffset"] = alt.YOffset("run:N", scale=alt.Scale(domain=domain, paddingOuter=0.3))
    return found


def _rows(comparison: Comparison, table: Any, names: tuple[str, ...]) -> Any:
    import altair as alt

    classes = max(1, table["class"].nunique())
    step = max(ROW, 9 * len(names) + 6) if classes <= 60 else 10
    return table_chart(table).properties(height=alt.Step(step, **({"for": "position"} if len(names) > 1 else {})))


def _accuracy(comparison: Comparison) -> Any:
    import altair as alt

    names = comparison.names
    table = comparison.tables["comparison"]
    shared = _encodings(comparison, names)
    y = class_axis(_order(comparison))
    rows = _rows(comparison, table, names)
    lane = {key: value for key, value in shared.items() if key == "yOffset"}
    interval = rows.mark_rule(strokeWidth=2).encode(
        x=alt.X(
            "accuracy_low:Q",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", title=f"{_accuracy_of(table)} on the test split, with 95 % interval", grid=True),
        ),
        x2=alt.X2("accuracy_high:Q"),
        y=y,
        color=shared["color"],
        **lane,
    )
    dots = rows.mark_point(size=55, filled=True, opacity=1).encode(
        x=alt.X("accuracy:Q"),
        y=y,
        tooltip=[
            alt.Tooltip("run:N"),
            alt.Tooltip("class:N"),
            alt.Tooltip("test_count:Q"),
            alt.Tooltip("accuracy:Q", format=".1%"),
        ],
        **shared,
    )
    return alt.layer(interval, dots)


def _accuracy_of(table: Any) -> str:
    return "mean of recall and specificity" if "recall" in table else "accuracy"


def _change(comparison: Comparison) -> Any:
    import altair as alt
    import pandas as pd

    names = comparison.names[1:]
    table = comparison.tables["comparison"]
    table = table[table["change"].notna()]
    table = table.assign(clear=(table["change_low"] > 0) | (table["change_high"] < 0))
    shared = _encodings(comparison, names)
    y = class_axis(_order(comparison))
    rows = _rows(comparison, table, names)
    lane = {key: value for key, value in shared.items() if key == "yOffset"}
    zero = (
        alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color="#4d5866", strokeDash=[3, 3]).encode(x=alt.X("zero:Q"))
    )
    title = f"change of {_accuracy_of(table)} from {comparison.names[0]}, with 95 % interval"
    interval = rows.mark_rule(strokeWidth=2).encode(
        x=alt.X("change_low:Q", axis=alt.Axis(format="+.0%", title=title, grid=True)),
        x2=alt.X2("change_high:Q"),
        y=y,
        color=shared["color"],
        **lane,
    )
    dots = rows.mark_point(size=60, strokeWidth=2, opacity=1).encode(
        x=alt.X("change:Q"),
        y=y,
        fill=alt.condition("datum.clear", shared["color"], alt.value("white")),
        tooltip=[
            alt.Tooltip("run:N"),
            alt.Tooltip("class:N"),
            alt.Tooltip("change:Q", format="+.1%"),
            alt.Tooltip("change_low:Q", format="+.1%"),
            alt.Tooltip("change_high:Q", format="+.1%"),
        ],
        **shared,
    )
    return alt.layer(zero, interval, dots)


def _measure(comparison: Comparison, measure: str, title: str) -> Any:
    import altair as alt

    table = comparison.tables["comparison_measures"]
    table = table[(table["measure"] == measure) & table["value"].notna()]
    return (
        _rows(comparison, table, comparison.names[:1])
        .mark_point(size=60, filled=True, opacity=1)
        .encode(
            x=alt.X("value:Q", axis=alt.Axis(title=title, grid=True), scale=alt.Scale(zero=False)),
            y=class_axis(_order(comparison)),
            tooltip=[alt.Tooltip("run:N"), alt.Tooltip("class:N"), alt.Tooltip("value:Q", format=".4g")],
            **{key: value for key, value in _encodings(comparison, comparison.names).items() if key != "yOffset"},
        )
    )
