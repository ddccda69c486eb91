"""A class-by-class matrix as every lens draws it: blank diagonal, colour for the error, numbers up to 20 classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def matrix_chart(table: pd.DataFrame, *, column: str, value: str, order: list[str], title: str, legend: str) -> Any:
    """Draw `value` of (class, `column`) pairs; rows whose value is NaN (the diagonal, undefined rows) stay blank."""
    import altair as alt

    from imblens.lenses._charts import ERROR_RANGE, base, class_axis, top_axis

    filled = table[table[value].notna()]
    x = alt.X(
        f"{column}:N",
        sort=order,
        title=title,
        axis=top_axis(order),
    )
    y = class_axis(order, title="class")
    cells = (
        base(filled, len(order))
        .mark_rect()
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                f"{value}:Q",
                scale=alt.Scale(range=ERROR_RANGE, domainMin=0),
                legend=alt.Legend(title=legend, format="%"),
            ),
            tooltip=[alt.Tooltip("class:N"), f"{column}:N", alt.Tooltip(f"{value}:Q", format=".1%")],
        )
    )
    if len(order) > 20:
        return cells
    dark = 0.85 * float(filled[value].max()) if len(filled) else 1.0  # beyond it white is easier to read than black
    numbers = (
        base(filled, len(order))
        .mark_text(fontSize=11)
        .encode(
            x=x,
            y=y,
            text=alt.Text(f"{value}:Q", format=".0%"),
            color=alt.condition(f"datum['{value}'] > {dark:.6g}", alt.value("white"), alt.value("black")),
        )
    )
    return alt.layer(cells, numbers)
