"""A class-by-class matrix: blank diagonal, colour for the value, numbers up to 20 classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imblens.base.wording import FEW, percent
from imblens.charts.parts import ERROR_RANGE, NUMBERED, class_axis, present, table_chart, tip, top_axis

if TYPE_CHECKING:
    from collections.abc import Callable

    import altair as alt
    import pandas as pd


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
        table: where a column `few` is true, the cell is grey and does not count in the colour scale.
        column, row: columns of the table that name the classes.
        value: column of the table with the values.
        order: order of the classes.
        title, row_title, legend: titles of the columns, of the rows and of the colours.
        write: formats the number of a cell; a column `text` of the table takes precedence.
        format: of the numbers in the legend.
        tips: lines of the tooltip after the two names.
    """
    import altair as alt

    filled = table[table[value].notna()]
    if "few" not in filled:
        filled = filled.assign(few=False)
    if "text" not in filled:
        filled = filled.assign(text=filled[value].map(write))
    enough = filled.loc[~filled["few"], value]
    highest = float(enough.max()) if len(enough) and enough.max() > 0 else 1.0
    filled = filled.assign(dark=(filled[value] > 0.85 * highest) & ~filled["few"])  # dark cells have white numbers
    columns, rows = present(order, filled[column]), present(order, filled[row])
    x = alt.X(f"{column}:N", scale=alt.Scale(domain=columns), title=title, axis=top_axis(columns))
    y = class_axis(rows, title=row_title, field=row)
    cells = (
        table_chart(filled, len(rows))
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
        table_chart(filled, len(rows))
        .mark_text(fontSize=11)
        .encode(
            x=x,
            y=y,
            text=alt.Text("text:N"),
            color=alt.ColorValue("black", condition={"test": "datum.dark", "value": "white"}),
        )
    )
    return alt.layer(cells, numbers)


def _grey(value: str) -> str:
    level = f"round(239 - 45 * datum['{value}'])"
    return f"'rgb(' + {level} + ',' + {level} + ',' + {level} + ')'"


def error_chart(table: pd.DataFrame, *, column: str, value: str, errors: str, order: list[str], title: str) -> Any:
    """Draw the classes that the errors of each class go to. Classes with few errors are grey and show counts.

    Args:
        table: with a column `class`; rows whose `value` is NaN stay blank.
        column: column with the class that the errors go to.
        value: column with the share of the errors of `class` that go there.
        errors: column with the number of errors of `class`.
        order: order of the classes.
        title: title of the columns.
    """
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
