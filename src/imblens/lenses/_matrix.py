"""A class-by-class matrix as every lens draws it: blank diagonal, colour for the error, numbers up to 20 classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imblens.base.wording import percent

if TYPE_CHECKING:
    from collections.abc import Callable

    import altair as alt
    import pandas as pd

NUMBERED = 20  # classes up to which the cells of a matrix carry numbers


def matrix_chart(
    table: pd.DataFrame,
    *,
    column: str,
    value: str,
    order: list[str],
    title: str,
    legend: str | list[str],
    row: str = "class",
    row_title: str = "class",
    write: Callable[[float], str] = percent,
    format: str = "%",
    tips: tuple[alt.Tooltip, ...] = (),
) -> Any:
    """Draw `value` of (`row`, `column`) pairs; rows whose value is NaN (the diagonal, undefined rows) stay blank.

    Args:
        table: where it has `few`, cells of which that is true are grey and count for nothing in the scale of colours.
        column, row: the columns that name the classes.
        value: the column that is drawn.
        order: of the classes.
        title, row_title, legend: what columns, rows and colours are.
        write: how a cell's number is written; a column `text` of the table goes before it.
        format: of the legend's numbers.
        tips: lines of the tooltip after both names.
    """
    import altair as alt

    from imblens.lenses._charts import ERROR_RANGE, base, class_axis, present, tip, top_axis

    filled = table[table[value].notna()]
    if "few" not in filled:
        filled = filled.assign(few=False)
    if "text" not in filled:
        filled = filled.assign(text=filled[value].map(write))
    enough = filled.loc[~filled["few"], value]
    highest = float(enough.max()) if len(enough) and enough.max() > 0 else 1.0
    filled = filled.assign(
        dark=(filled[value] > 0.85 * highest) & ~filled["few"]
    )  # white reads better on it than black
    columns, rows = present(order, filled[column]), present(order, filled[row])
    x = alt.X(f"{column}:N", scale=alt.Scale(domain=columns), title=title, axis=top_axis(columns))
    y = class_axis(rows, title=row_title, field=row)
    cells = (
        base(filled, len(rows))
        .mark_rect()
        .encode(
            x=x,
            y=y,
            color=alt.condition(
                "datum.few",
                alt.value(alt.ExprRef(_grey(value))),
                alt.Color(
                    f"{value}:Q",
                    scale=alt.Scale(range=ERROR_RANGE, domain=[0, highest]),
                    legend=alt.Legend(title=legend, titleLimit=0, format=format),
                ),
            ),
            tooltip=[tip(f"{row}:N"), tip(f"{column}:N"), *(tips or (tip(f"{value}:Q", ".1%"),))],
        )
    )
    if len(order) > NUMBERED:
        return cells
    numbers = (
        base(filled, len(rows))
        .mark_text(fontSize=11)
        .encode(
            x=x,
            y=y,
            text=alt.Text("text:N"),
            color=alt.condition("datum.dark", alt.value("white"), alt.value("black")),
        )
    )
    return alt.layer(cells, numbers)


def _grey(value: str) -> str:
    level = f"round(239 - 45 * datum['{value}'])"
    return f"'rgb(' + {level} + ',' + {level} + ',' + {level} + ')'"


def error_chart(table: pd.DataFrame, *, column: str, value: str, errors: str, order: list[str], title: str) -> Any:
    """Draw where the errors of each class go; a class of too few errors is grey, and its cells hold numbers of errors.

    Args:
        table: with a column `class`; rows whose `value` is NaN stay blank.
        column: names the class that they go to.
        value: names the share of the class's errors that do.
        errors: names the number of errors of the class.
        order: of the classes.
        title: of the columns.
    """
    from imblens.base.wording import FEW
    from imblens.lenses._charts import tip

    table = table[table[value].notna()]
    total = table[errors].astype(int)
    count = (table[value] * total).round().astype(int)
    few = total < FEW
    text = (count.astype(str) + "/" + total.astype(str)).where(count > 0, "").where(few, table[value].map(percent))
    legend = ["share of errors", *([f"(grey: fewer than {FEW} errors, too few to tell)"] if few.any() else [])]
    tips = (
        tip(f"{value}:Q", ".1%", "share of errors"),
        tip("count:Q", ",", "errors that go there"),
        tip("total:Q", ",", "errors of the class"),
    )
    table = table.assign(few=few, text=text, count=count, total=total)
    return matrix_chart(table, column=column, value=value, order=order, title=title, legend=legend, tips=tips)
