"""Charts of a comparison. None computes: they draw the comparison's tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from imblens.charts import BLUE, GREEN, ORANGE, PURPLE, RED, SKY, class_axis, table_chart

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)
SHAPES = ("circle", "diamond", "square", "triangle-up", "cross", "triangle-down")
ROW = 22


class _Drawn(NamedTuple):
    """What the charts draw: names of the runs, the table of classes, the table of measures."""

    names: tuple[str, ...]
    classes: pd.DataFrame
    measures: pd.DataFrame


def charts(
    names: tuple[str, ...], classes: pd.DataFrame, measures: pd.DataFrame, titles: Mapping[str, str]
) -> dict[str, Any]:
    """Accuracy, change, and each measure that differs between the runs.

    Args:
        names: of the runs; the first is the reference.
        classes: table `comparison`.
        measures: table `comparison_measures`.
        titles: of the measures, by name.
    """
    drawn = _Drawn(names, classes, measures)
    found: dict[str, Any] = {}
    if classes["accuracy"].notna().any():
        found["comparison"] = _accuracy(drawn)
    if classes["change"].notna().any():
        found["comparison_change"] = _change(drawn)
    for measure, title in titles.items():
        changes = measures.loc[measures["measure"] == measure, "change"].dropna()
        if (changes != 0).any():
            found[f"comparison_{measure}"] = _measure(drawn, measure, title)
    return found


def _order(drawn: _Drawn) -> list[str]:
    table = drawn.classes
    first = table[table["run"] == drawn.names[0]]
    return first.sort_values("train_count", ascending=False, kind="stable")["class"].tolist()


def _encodings(drawn: _Drawn, names: tuple[str, ...]) -> dict[str, Any]:
    """Colour, shape and a lane of its own within the class's row, the same for a run in every chart."""
    place = [drawn.names.index(name) % len(COLOURS) for name in names]
    domain = list(names)
    colours, shapes = [COLOURS[i] for i in place], [SHAPES[i] for i in place]
    found: dict[str, Any] = {
        "color": alt.Color("run:N", scale=alt.Scale(domain=domain, range=colours), legend=alt.Legend(title=None)),
        "shape": alt.Shape("run:N", scale=alt.Scale(domain=domain, range=shapes), legend=alt.Legend(title=None)),
    }
    if len(names) > 1:
        found["yOffset"] = alt.YOffset("run:N", scale=alt.Scale(domain=domain, paddingOuter=0.3))
    return found


def _rows(table: Any, names: tuple[str, ...]) -> Any:
    classes = max(1, table["class"].nunique())
    step = max(ROW, 9 * len(names) + 6) if classes <= 60 else 10
    return table_chart(table).properties(height=alt.Step(step, **({"for": "position"} if len(names) > 1 else {})))


def _accuracy(drawn: _Drawn) -> Any:
    names = drawn.names
    table = drawn.classes
    shared = _encodings(drawn, names)
    y = class_axis(_order(drawn))
    rows = _rows(table, names)
    lane = {key: value for key, value in shared.items() if key == "yOffset"}
    interval = rows.mark_rule(strokeWidth=2).encode(
        x=alt.X(
            "accuracy_low:Q",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", title=f"{_accuracy_of(table)} on the test split, with 95% interval", grid=True),
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


def _change(drawn: _Drawn) -> Any:
    names = drawn.names[1:]
    table = drawn.classes
    table = table[table["change"].notna()]
    table = table.assign(clear=(table["change_low"] > 0) | (table["change_high"] < 0))
    shared = _encodings(drawn, names)
    y = class_axis(_order(drawn))
    rows = _rows(table, names)
    lane = {key: value for key, value in shared.items() if key == "yOffset"}
    zero = (
        alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color="#4d5866", strokeDash=[3, 3]).encode(x=alt.X("zero:Q"))
    )
    title = f"change of {_accuracy_of(table)} from {drawn.names[0]}, with 95% interval"
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


def _measure(drawn: _Drawn, measure: str, title: str) -> Any:
    table = drawn.measures
    table = table[(table["measure"] == measure) & table["value"].notna()]
    return (
        _rows(table, drawn.names[:1])
        .mark_point(size=60, filled=True, opacity=1)
        .encode(
            x=alt.X("value:Q", axis=alt.Axis(title=title, grid=True), scale=alt.Scale(zero=False)),
            y=class_axis(_order(drawn)),
            tooltip=[alt.Tooltip("run:N"), alt.Tooltip("class:N"), alt.Tooltip("value:Q", format=".4g")],
            **{key: value for key, value in _encodings(drawn, drawn.names).items() if key != "yOffset"},
        )
    )
