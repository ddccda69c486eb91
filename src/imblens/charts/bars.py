"""Bars per class: one value, or parts of a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imblens.charts.parts import BLUE, class_axis, table_chart

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt
    import pandas as pd


def class_bars(
    table: pd.DataFrame, value: str, *, axis: alt.Axis, tips: Sequence[alt.Tooltip], colour: str = BLUE, **mark: Any
) -> alt.Chart:
    """Draw one bar per class, in the order of the table.

    Args:
        table: one row per class.
        value: column to draw.
        axis: horizontal axis.
        tips: lines of the tooltip.
        colour: of the bars.
        mark: further properties of the bars.
    """
    import altair as alt

    return (
        table_chart(table, len(table))
        .mark_bar(color=colour, **mark)
        .encode(x=alt.X(f"{value}:Q", stack=None, axis=axis), y=class_axis(table["class"].tolist()), tooltip=list(tips))
    )


def stacked(table: pd.DataFrame, value: str = "share") -> pd.DataFrame:
    """Add the ends of stacked bars, `start` and `end`, and their `middle`: the values of a class follow each other.

    Vega's own stack keeps classes in a JavaScript object, which fails for names such as "constructor".

    Example:
        >>> import pandas as pd
        >>> stacked(pd.DataFrame({"class": ["a", "a"], "share": [0.25, 0.75]}))[["start", "middle", "end"]].values.tolist()
        [[0.0, 0.125, 0.25], [0.25, 0.625, 1.0]]
    """
    end = table.groupby("class", sort=False)[value].cumsum()
    return table.assign(start=end - table[value], middle=end - table[value] / 2, end=end)
