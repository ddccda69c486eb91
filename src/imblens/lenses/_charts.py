"""What every chart shares: colours that survive colour blindness and print, class order, label limits.

Charts are plain Altair without size in pixels for width ("container"), so that a page decides. A renderer adds fonts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

# Okabe and Ito 2008; order chosen so that neighbours in a stack differ in lightness too
BLUE, ORANGE, GREEN, RED, SKY, PURPLE, YELLOW, BLACK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
    "#F0E442",
    "#000000",
)
GREY = "#767676"
ARCHETYPE_COLOURS = {"safe": BLUE, "border": SKY, "rare": ORANGE, "outlier": RED}
ERROR_RANGE = ["#fff9f3", "#fdd8b3", "#fc9244", "#e4580b", "#9f3303"]  # colour carries the error: none is almost white
CHOSEN = "imblens_class"  # the parameter through which a page says which class it shows; "" for all
LABEL_LIMIT = 180
ROW_HEIGHT = 22


def chosen_class() -> alt.Parameter:
    """The class that is shown, none at first: for charts that draw something of one class alone."""
    import altair as alt

    return alt.param(name=CHOSEN, value="")


def class_axis(order: list[str], *, title: str | None = None, limit: int = LABEL_LIMIT, field: str = "class") -> alt.Y:
    """A vertical axis with one row per class, in the given order.

    The order is the scale's domain: Vega finds the values of a sorted field in an object of JavaScript, which knows
    "constructor" and "valueOf" before any class of that name comes.
    """
    import altair as alt

    return alt.Y(
        f"{field}:N",
        scale=alt.Scale(domain=order),
        title=title,
        axis=alt.Axis(labelLimit=limit, ticks=False, domain=False, labelPadding=8),
    )


def present(order: list[str], names: Iterable[str]) -> list[str]:
    """Those of `order` that occur in `names`: a domain draws a row for each of its classes, with marks or without."""
    found = set(names)
    return [name for name in order if name in found]


def tip(field: str, format: str | None = None, title: str | None = None) -> alt.Tooltip:
    """A line of a tooltip, called as its column is but in words."""
    import altair as alt

    words = title or field.split(":")[0].replace("_", " ")
    return alt.Tooltip(field, title=words, format=alt.Undefined if format is None else format)


def top_axis(order: list[str]) -> alt.Axis:
    """The names of classes above the columns of a matrix; upright, and only those that fit, where classes are many."""
    import altair as alt

    many = len(order) > 20
    return alt.Axis(labelLimit=LABEL_LIMIT, orient="top", labelAngle=-90 if many else -40, labelOverlap=many)


def base(table: pd.DataFrame, rows: int | None = None) -> alt.Chart:
    """A chart on a table, as wide as its container, `rows` rows high. Missing text is drawn as none."""
    import altair as alt

    text = [name for name in table.columns if table[name].dtype.kind not in "biuf" and table[name].isna().any()]
    if text:
        table = table.assign(**{name: table[name].astype(object).where(table[name].notna(), "") for name in text})
    sized: dict[str, Any] = {"width": "container"}
    if rows is not None:
        sized["height"] = alt.Step(ROW_HEIGHT) if rows <= 60 else 60 * ROW_HEIGHT
    return alt.Chart(table).properties(**sized)
