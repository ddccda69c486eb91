"""What figures of studies share: results and their means, panels of a column's width, axes and legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd

from imblens.charts import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, SKY

SERIES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK)
WIDE, NARROW, HIGH = 250, 104, 90  # pixels of a panel that has a row to itself or shares it, and its height
NAMED, ENDS = 20, 5  # classes up to which all are drawn by name; of more, so many of the largest and of the smallest
DASHES = ([1, 0], [5, 2], [2, 2], [6, 2, 2, 2], [1, 3], [8, 3])


@dataclass(frozen=True)
class Results:
    """What a figure is drawn from.

    Attributes:
        rows: the kept rows of every cell behind its key; `results.csv` for figures that need no more.
        group: columns that identify a cell, seeds and cuts apart: data, what is varied, treatment.
        classes: to be drawn; all without.
        paper: the published table of the study, empty without.
        networks: folders of the captured networks of the first seed and cut, each with its part of `group`.
    """

    rows: pd.DataFrame
    group: Sequence[str]
    classes: Sequence[str] = ()
    paper: pd.DataFrame | None = None
    networks: Sequence[tuple[Mapping[str, Any], Path]] = ()

    def mean(self, by: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
        """Mean over seeds and cuts of each group and of `by`, in order of appearance."""
        keys = [*self.group, *by]
        return self.rows.groupby(keys, sort=False, dropna=False)[list(values)].mean().reset_index()

    def panel_of(self, table: pd.DataFrame, without: Sequence[str] = ()) -> pd.Series[str]:
        """Title of the panel of each row: data, and the options that differ."""
        left = [key for key in self.group if key not in without and (key == "data" or varies(table[key]))]
        rows = table[left].astype(str).to_dict("records")
        return pd.Series([", ".join(filter(None, map(_shown, row, row.values()))) for row in rows], table.index)


@dataclass(frozen=True)
class Drawing:
    """A figure: a chart (or a drawing as SVG), and the table that it draws."""

    chart: Any
    table: pd.DataFrame = field(repr=False)


def _shown(option: str, value: str) -> str:
    """A value in a title; of an option that is on or off its name where it is on."""
    return {"True": option, "False": ""}.get(value, value)


def varies(column: pd.Series[Any]) -> bool:
    """Whether a column holds more than one value."""
    return len(column.unique()) > 1


def ranked(table: pd.DataFrame, results: Results, without: Sequence[str] = ()) -> pd.DataFrame:
    """Add the panel of each row, and order the classes of a panel by their training instances, largest first."""
    table = table.assign(panel=results.panel_of(table, without=without))
    if results.classes:
        table = table[table["class"].isin(results.classes)]
    place = {name: at for at, name in enumerate(dict.fromkeys(table["panel"]))}
    order = table.assign(at=table["panel"].map(place), size=-table["train_count"])
    return order.sort_values(["at", "size"], kind="stable").drop(columns=["at", "size"]).reset_index(drop=True)


def ends(table: pd.DataFrame) -> pd.DataFrame:
    """The largest and the smallest classes of a panel with more than `NAMED`."""
    kept = []
    for _, part in table.groupby("panel", sort=False):
        names = list(dict.fromkeys(part["class"]))
        shown = names if len(names) <= NAMED else [*names[:ENDS], *names[-ENDS:]]
        kept.append(part[part["class"].isin(shown)])
    return pd.concat(kept, ignore_index=True)


def class_places(part: pd.DataFrame, *, named: bool = True) -> Any:
    """The axis of classes, largest first: by name where they are few, else without labels."""
    order = list(dict.fromkeys(part["class"]))
    few = named and len(order) <= NAMED
    axis = alt.Axis(labelAngle=-50, labelLimit=60, labels=few, ticks=few)
    return alt.X("class:N", scale=alt.Scale(domain=order), title=None if few else "classes, largest first", axis=axis)


def series(n: int) -> list[str]:
    """Colours of so many lines."""
    return [SERIES[i % len(SERIES)] for i in range(n)]


def stack(panels: Sequence[Any], columns: int, note: str = "") -> Any:
    """Panels side by side in so many columns, under a note."""
    chart = alt.concat(*panels, columns=columns, spacing=10)
    return chart.properties(title=small(note)) if note else chart


def small(note: str) -> Any:
    """A note above a figure; it may have several lines."""
    return alt.TitleParams(note.split("\n") if "\n" in note else note, anchor="start", fontSize=8, fontWeight="normal")


def dashes(n: int) -> list[list[int]]:
    """Dashes of so many lines, so that lines on top of each other are seen."""
    return [DASHES[i % len(DASHES)] for i in range(n)]


def share() -> Any:
    """The scale of a share."""
    return alt.Scale(domain=[0, 1], nice=False)


def percents(title: str) -> Any:
    """The axis of a share."""
    return alt.Axis(format="%", title=title, tickCount=5)


def top(columns: int = 4, *, lines: bool = False) -> Any:
    """A legend above the panels; of lines with a piece of each."""
    symbol: dict[str, Any] = {"symbolType": "stroke", "symbolStrokeWidth": 2, "symbolSize": 300} if lines else {}
    return alt.Legend(title=None, orient="top", columns=columns, **symbol)
