"""Dots per class: a value with its interval, or two values side by side. Few instances give a hollow dot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imblens.charts.parts import BLACK, BLUE, ORANGE, class_axis, present, table_chart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import altair as alt
    import pandas as pd


def interval_dots(
    table: pd.DataFrame,
    value: str,
    *,
    axis: alt.Axis,
    few: Any,
    tips: Sequence[alt.Tooltip],
    scale: alt.Scale | None = None,
    mark: str | None = None,
) -> Any:
    """Draw `value` of each class with its 95% interval, in the order of the table.

    Args:
        table: one row per class, with the columns class, VALUE, VALUE_low and VALUE_high; rows without a value are left out.
        value: column to draw.
        axis: horizontal axis.
        few: (rows of the table,) whether a class has too few instances.
        tips: lines of the tooltip.
        scale: horizontal scale; from 0 by default.
        mark: column that is drawn as a vertical tick.

    Example:
        >>> import altair as alt, pandas as pd
        >>> table = pd.DataFrame({"class": ["a"], "share": [0.5], "share_low": [0.2], "share_high": [0.8]})
        >>> chart = interval_dots(table, "share", axis=alt.Axis(title="share"), few=[True], tips=[])
        >>> [layer["mark"]["type"] for layer in chart.to_dict()["layer"]]
        ['rule', 'point']
    """
    import altair as alt

    table = table.assign(few=few)
    table = table[table[value].notna()]
    y = class_axis(table["class"].tolist())
    x_scale = alt.Scale(zero=True) if scale is None else scale
    rows = table_chart(table, len(table)).encode(y=y)
    layers = [
        rows.mark_rule(strokeWidth=2, color=BLUE).encode(
            x=alt.X(f"{value}_low:Q", scale=x_scale, axis=axis), x2=alt.X2(f"{value}_high:Q")
        ),
        rows.mark_point(size=70, strokeWidth=2, color=BLUE, opacity=1).encode(
            x=alt.X(f"{value}:Q"),
            fill=alt.FillValue(BLUE, condition={"test": "datum.few", "value": "white"}),
            tooltip=list(tips),
        ),
    ]
    if mark is not None:
        tick = rows.mark_tick(thickness=2, color=BLACK, height={"band": 0.7})
        layers.append(tick.encode(x=alt.X(f"{mark}:Q"), tooltip=list(tips)))
    return alt.layer(*layers)


def paired_dots(
    table: pd.DataFrame,
    pair: Mapping[str, str],
    *,
    title: str,
    few: Mapping[str, Any],
    tips: Sequence[alt.Tooltip],
    kind: str = "measure",
) -> alt.Chart:
    """Draw two shares of each class on one row: the first as a diamond, the second as a circle.

    Args:
        table: one row per class, in the order to draw; missing values are left out.
        pair: two columns of the table and what they are called in the legend.
        title: of the horizontal axis.
        few: for each of the two columns, (rows of the table,) whether the dot is hollow.
        tips: lines of the tooltip; it may use the columns of the table, `kind` and `value`.
        kind: name of the column that holds the name of the value.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"class": ["a"], "before": [0.2], "after": [0.4]})
        >>> pair = {"before": "share before", "after": "share after"}
        >>> chart = paired_dots(table, pair, title="share", few={"before": [False], "after": [True]}, tips=[])
        >>> chart.to_dict()["encoding"]["shape"]["scale"]["domain"]
        ['share before', 'share after']
    """
    import altair as alt
    import pandas as pd

    parts = [table.assign(**{kind: name, "value": table[column], "few": few[column]}) for column, name in pair.items()]
    long = pd.concat(parts, ignore_index=True).drop(columns=list(pair)).dropna(subset=["value"])
    names: dict[str, Any] = {"domain": list(pair.values())}
    colours = alt.Scale(range=[ORANGE, BLUE], **names)
    legend = alt.Legend(title=None, orient="top")
    rows = table_chart(long, len(table)).mark_point(size=70, strokeWidth=2, opacity=1)
    return rows.encode(
        x=alt.X("value:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", title=title)),
        y=class_axis(present(table["class"].tolist(), long["class"])),
        color=alt.Color(f"{kind}:N", scale=colours, legend=legend),
        fill=alt.condition("datum.few", alt.value("transparent"), alt.Fill(f"{kind}:N", scale=colours, legend=None)),
        shape=alt.Shape(f"{kind}:N", scale=alt.Scale(range=["diamond", "circle"], **names), legend=legend),
        tooltip=list(tips),
    )
