"""What all charts share: colours that survive colour blindness and print, axes of classes, tooltips.

Charts are plain Altair and as wide as their container, so that a page decides on the size and the fonts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

# Okabe and Ito 2008; neighbours in a stack also differ in lightness
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
ERROR_RANGE = ["#fff9f3", "#fdd8b3", "#fc9244", "#e4580b", "#9f3303"]  # colour shows the error: none is almost white
CHOSEN = "imblens_class"  # the parameter by which a page sets the class to show; "" for all
LABEL_LIMIT = 180
ROW_HEIGHT = 22
NUMBERED = 20  # classes up to which the cells of a matrix hold numbers


def chosen_class() -> alt.Parameter:
    """The parameter for charts that draw something for one class only; at first no class is chosen."""
    import altair as alt

    return alt.param(name=CHOSEN, value="")


def class_axis(order: list[str], *, title: str | None = None, limit: int = LABEL_LIMIT, field: str = "class") -> alt.Y:
    """A vertical axis with one row per class, in the given order.

    The order is the domain of the scale. A sort order would fail: Vega looks up sorted values in a JavaScript object,
    which has members such as "constructor" and "valueOf" whether or not there is a class of that name.
    """
    import altair as alt

    return alt.Y(
        f"{field}:N",
        scale=alt.Scale(domain=order),
        title=title,
        axis=alt.Axis(labelLimit=limit, ticks=False, domain=False, labelPadding=8),
    )


def present(order: list[str], names: Iterable[str]) -> list[str]:
    """Those of `order` that occur in `names`. A domain draws a row for each of its classes, even without a mark."""
    known = set(names)
    return [name for name in order if name in known]


def tip(field: str, format: str | None = None, title: str | None = None) -> alt.Tooltip:
    """A line of a tooltip. Its title is by default the name of the column, in words."""
    import altair as alt

    words = title or field.split(":")[0].replace("_", " ")
    return alt.Tooltip(field, title=words, format=alt.Undefined if format is None else format)


def top_axis(order: list[str]) -> alt.Axis:
    """Class names above the columns of a matrix. Above 20 classes: vertical, and only those that fit."""
    import altair as alt

    many = len(order) > 20
    return alt.Axis(labelLimit=LABEL_LIMIT, orient="top", labelAngle=-90 if many else -40, labelOverlap=many)


def table_chart(table: pd.DataFrame, rows: int | None = None) -> alt.Chart:
    """A chart of a table, as wide as its container and `rows` rows high. Missing text is drawn as empty."""
    import altair as alt

    text = [name for name in table.columns if table[name].dtype.kind not in "biuf" and table[name].isna().any()]
    if text:
        table = table.assign(**{name: table[name].astype(object).where(table[name].notna(), "") for name in text})
    sized: dict[str, Any] = {"width": "container"}
    if rows is not None:
        sized["height"] = alt.Step(ROW_HEIGHT) if rows <= 60 else 60 * ROW_HEIGHT
    return alt.Chart(table).properties(**sized)
