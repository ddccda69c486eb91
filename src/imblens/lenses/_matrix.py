"""A class-by-class matrix as every lens draws it: blank diagonal, colour for the error, numbers up to 20 classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def matrix_chart(table: pd.DataFrame, *, column: str, value: str, order: list[str], title: str, legend: str) -> Any:
    """Draw `value` of (class, `column`) pairs; rows whose value is NaN (the diagonal, undefined rows) stay blank."""
    import altair as alt

    from imblens.lenses._charts import ERROR_SCHEME, LABEL_LIMIT, base, class_axis

    filled = table[table[value].notna()]
    x = alt.X(
        f"{column}:N",
        sort=order,
        title=title,
        axis=alt.Axis(labelLimit=LABEL_LIMIT, orient="top", labelAngle=-40),
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
                scale=alt.Scale(scheme=ERROR_SCHEME, domainMin=0),
                legend=alt.Legend(title=legend, format="%"),
            ),
            tooltip=["class:N", f"{column}:N", alt.Tooltip(f"{value}:Q", format=".1%")],
        )
    )
    if len(order) > 20:
        return cells
    numbers = (
        base(filled, len(order))
        .mark_text(fontSize=11)
        .encode(
            x=x,
            y=y,
            text=alt.Text(f"{value}:Q", format=".0%"),
            color=alt.condition(f"datum['{value}'] > 0.55", alt.value("white"), alt.value("black")),
        )
    )
    return alt.layer(cells, numbers)
