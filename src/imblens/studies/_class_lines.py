"""Lines over the classes of a set: the gap (EOS, Fig. 3) and the norms of the head (EOS, Fig. 5)."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from imblens.charts import BLACK
from imblens.studies._jobs import UNTREATED
from imblens.studies._panels import (
    HIGH,
    NARROW,
    WIDE,
    Drawing,
    Results,
    class_places,
    dashes,
    ranked,
    series,
    stack,
    top,
    varies,
)

NETWORK = "network"  # column: the options of a network that differ, such as its loss
FLAT = 0.001  # a line whose values differ by less than this share of the largest is stated, not drawn


def gap(results: Results) -> Drawing | None:
    """Generalization gap of each class for every treatment, beside the line of imbalance (EOS, Fig. 3)."""
    return _by_class(results, "gap", "generalization gap", imbalance=True)


def weight_norm(results: Results) -> Drawing | None:
    """Norm of each class's row of the head for every treatment (EOS, Fig. 5)."""
    return _by_class(results, "weight_norm", "weight norm", imbalance=False)


def _by_class(results: Results, value: str, title: str, *, imbalance: bool) -> Drawing | None:
    """A panel a set with a line for each untreated network, if there are several; then one a network with its treatments."""
    if value not in results.rows or results.rows[value].isna().all():
        return None
    table = ranked(results.mean(["class"], ["train_count", "imbalance", value]), results, without=["treatment"])
    several = varies(table["panel"])
    width = (NARROW - 22 if imbalance else NARROW) if several else WIDE - 25
    drawn, notes = _drawn(table, "panel", "treatment", value)
    of_networks = [
        _panel(part, str(name), "treatment", drawn["treatment"], value, title, imbalance, width, named=not several)
        for name, part in drawn.groupby("panel", sort=False)
    ]
    black = ["Black line: imbalance (right axis)."] if imbalance else []
    chart = stack(of_networks, 2 if several else 1, "\n".join([*black, *notes]))
    over = _untreated(results, table, value, title, imbalance)
    if over is not None:
        chart = alt.vconcat(over, chart, spacing=14).resolve_scale(color="independent", strokeDash="independent")
    return Drawing(chart, table)


def _untreated(results: Results, table: pd.DataFrame, value: str, title: str, imbalance: bool) -> Any | None:
    """Panels of the networks without over-sampling, all of a set in one (subfigures a, f, k and p); None of a single one."""
    rows = table[table["treatment"] == UNTREATED]
    rows = rows.assign(**{NETWORK: results.panel_of(rows, without=["treatment", "data"])})
    if not varies(rows[NETWORK]):
        return None
    drawn, notes = _drawn(rows, "data", NETWORK, value)
    panels = [
        _panel(part, str(data), NETWORK, drawn[NETWORK], value, title, imbalance, WIDE - 25, named=True)
        for data, part in drawn.groupby("data", sort=False)
    ]
    return stack(panels, 1, "\n".join(["Without over-sampling.", *notes]))


def _drawn(table: pd.DataFrame, panel: str, by: str, value: str) -> tuple[pd.DataFrame, list[str]]:
    """The lines of each panel that are drawn, and notes on those that are stated instead.

    The rows of LDAM's normalised head all have its scale as their norm, 30, beside which other norms look the same.
    """
    kept: list[pd.DataFrame] = []
    notes: list[str] = []
    several = varies(table[panel])
    for place, part in table.groupby(panel, sort=False):
        lines = [(str(name), line) for name, line in part.groupby(by, sort=False)]
        flat = [line[value].max() - line[value].min() < FLAT * line[value].max() for _, line in lines]
        for (name, line), is_flat in zip(lines, flat, strict=True):
            if is_flat and not all(flat):
                where = f" in {place}" if several else ""
                notes.append(f"Not drawn{where}: {name}, {line[value].max():.3g} in every class.")
            else:
                kept.append(line)
    return pd.concat(kept), notes


def _panel(
    part: pd.DataFrame,
    name: str,
    by: str,
    all_of: pd.Series[Any],
    value: str,
    title: str,
    imbalance: bool,
    width: int,
    *,
    named: bool,
) -> Any:
    """Lines of one panel, one for each value of the column `by`, of which `all_of` has those of every panel."""
    domain = list(dict.fromkeys(all_of))
    looks = {
        "color": alt.Color(
            f"{by}:N", scale=alt.Scale(domain=domain, range=series(len(domain))), legend=top(2, lines=True)
        ),
        "strokeDash": alt.StrokeDash(
            f"{by}:N", scale=alt.Scale(domain=domain, range=dashes(len(domain))), legend=top(2, lines=True)
        ),
    }
    x = class_places(part, named=named)
    lines = (
        alt.Chart(part)
        .mark_line(point=alt.OverlayMarkDef(size=12))
        .encode(x=x, y=alt.Y(f"{value}:Q", title=title, axis=alt.Axis(tickCount=4)), **looks)
    )
    chart: Any = lines
    if imbalance:
        line = (
            alt.Chart(part.drop_duplicates("class"))
            .mark_line(color=BLACK, strokeWidth=1.5)
            .encode(x=x, y=alt.Y("imbalance:Q", title="imbalance", axis=alt.Axis(tickCount=4, grid=False)))
        )
        chart = alt.layer(lines, line).resolve_scale(y="independent")
    return chart.properties(width=width, height=HIGH, title=name)
