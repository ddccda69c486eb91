"""Charts of named classes in every run. None computes: they draw the tables of `class_tables`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from imblens.charts import BLACK, BLUE, GREY, class_axis, table_chart, tip
from imblens.comparison._charts import COLOURS
from imblens.comparison._of_classes import DENSITY, ERRORS, STRONGEST

MOST = 20  # classes beside the named one; of more, those that matter most
LANE, PALE = 15, "#E3E7EB"  # pixels of a run's bar; the colour of features that are not shared
RANKS = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#882255", "#117733", "#999933"),
)
DARK = (0, 7, 8)  # places of those on which white is read
LETTER = 5.5  # pixels of a letter in a bar
DIGIT = 5  # of a digit of a feature's number
LIMIT = 300  # pixels of the title of a legend: the names of the runs are cut beyond


def class_charts(names: Sequence[str], tables: Mapping[str, pd.DataFrame], label: str, place: int) -> dict[str, Any]:
    """Missed and false positives, forecast beside observed errors, strongest features and their density, of one class.

    Args:
        names: of the runs.
        tables: of `class_tables`.
        label: the class.
        place: its number among the named ones, part of the charts' names.
    """
    errors = tables[ERRORS][tables[ERRORS]["class"] == label]
    found: dict[str, Any] = {}
    titles = {
        "missed": f"test instances of {label} classified as",
        "false_positives": f"test instances classified as {label}",
    }
    for column, title in titles.items():
        counted = errors[errors[column].notna()]
        if (counted[column] > 0).any():
            found[f"class_{column}_{place}"] = _counts(names, counted, column, title)
    if errors["forecast"].notna().any():
        found[f"class_forecast_{place}"] = _forecast(names, errors, label)
    strongest = tables[STRONGEST][tables[STRONGEST]["class"] == label]
    found[f"class_strongest_{place}"] = _strongest(names, strongest, label)
    density = tables[DENSITY][tables[DENSITY]["class"] == label]
    if density["ratio"].notna().any():
        found[f"class_density_{place}"] = _density(names, density, label)
    return found


def _largest(table: pd.DataFrame, key: str, value: str) -> list[str]:
    """Classes in order of their largest `value` in any run, those without any left out; at most `MOST`."""
    best = table.groupby(key, sort=False)[value].max().sort_values(ascending=False, kind="stable")
    return [str(name) for name in best[best > 0].index[:MOST]]


def _lanes(
    names: Sequence[str], table: pd.DataFrame, lane: int = LANE, hidden: Any = None
) -> tuple[Any, dict[str, Any]]:
    """Rows of classes with a lane for each run, and the encodings of lane and colour; `hidden` rows have no mark."""
    shown = [name for name in names if name in set(table["run"])]
    colours = [COLOURS[list(names).index(name) % len(COLOURS)] for name in shown]
    scale = alt.Scale(domain=shown, range=colours)
    rows = table_chart(table if hidden is None else table[~hidden]).properties(
        height=alt.Step(lane, **{"for": "offset"})
    )
    return rows, {
        "color": alt.Color("run:N", scale=scale, legend=alt.Legend(title=None, orient="top")),
        "yOffset": alt.YOffset("run:N", scale=alt.Scale(domain=shown, paddingOuter=0.15)),
    }


def _counts(names: Sequence[str], table: pd.DataFrame, column: str, title: str) -> Any:
    order = _largest(table, "other", column)
    table = table[table["other"].isin(order)]
    rows, lanes = _lanes(names, table, hidden=table[column] == 0)
    y = class_axis(order, field="other")
    count = alt.X(f"{column}:Q", title=title, axis=alt.Axis(tickMinStep=1, format="d"))
    bars = rows.mark_bar().encode(
        x=count, y=y, tooltip=[tip("run:N"), tip("other:N"), tip(f"{column}:Q", ",", "test instances")], **lanes
    )
    numbers = rows.mark_text(align="left", dx=3, fontSize=10).encode(
        x=count, y=y, text=alt.Text(f"{column}:Q", format=",d"), yOffset=lanes["yOffset"]
    )
    return alt.layer(bars, numbers)


def _forecast(names: Sequence[str], table: pd.DataFrame, label: str) -> Any:
    kinds = {"forecast": "forecast", "observed": "observed in test"}
    long = pd.concat([table.assign(kind=text, value=table[column]) for column, text in kinds.items()])
    long = long[long["value"].notna()]
    order = _largest(long, "other", "value")
    rows, lanes = _lanes(names, long[long["other"].isin(order)], lane=10)
    shapes = alt.Scale(domain=list(kinds.values()), range=["diamond", "circle"])
    return rows.mark_point(filled=True, size=60, opacity=1).encode(
        x=alt.X("value:Q", title=f"share of the errors of {label}", axis=alt.Axis(format="%")),
        y=class_axis(order, field="other"),
        shape=alt.Shape("kind:N", scale=shapes, legend=alt.Legend(title=None, orient="top")),
        tooltip=[tip("run:N"), tip("other:N"), tip("kind:N", title="what"), tip("value:Q", ".1%", "share")],
        **lanes,
    )


def _strongest(names: Sequence[str], table: pd.DataFrame, label: str) -> Any:
    """A bar of each class's strongest features, those of the named class in the run's colour (IML, Fig. 6)."""
    shared = table[table["other"] != label].groupby(["other", "run"], sort=False)["shared"].sum()
    best = shared.groupby("other", sort=False).max().sort_values(ascending=False, kind="stable")
    order = [label, *(str(name) for name in best.index[: MOST - 1])]
    table = table[table["other"].isin(order)]
    k = int(table["rank"].max())
    if table["share"].isna().any():  # negative means have no shares: equal parts
        table = table.assign(share=1 / k)
    end = table.groupby(["run", "other"], sort=False)["share"].cumsum()
    table = table.assign(end=end, start=end - table["share"], middle=end - table["share"] / 2)
    text = table["feature"].astype(str)
    table = table.assign(text=text, pixels=DIGIT * text.str.len() + 1)
    on_blue = table["run"].map(lambda name: COLOURS[list(names).index(name) % len(COLOURS)] == BLUE)
    rows, lanes = _lanes(names, table.assign(white=table["shared"] & on_blue))
    y = class_axis(order, field="other")
    whole = alt.Scale(domain=[0, 1], nice=False)
    bars = rows.mark_bar(stroke="white", strokeWidth=1).encode(
        x=alt.X(
            "start:Q",
            scale=whole,
            axis=alt.Axis(
                format="%", title=f"the {k} strongest features, by mean; coloured: also among those of {label}"
            ),
        ),
        x2="end:Q",
        y=y,
        color=alt.condition("datum.shared", lanes["color"], alt.value(PALE)),
        yOffset=lanes["yOffset"],
        tooltip=[tip("run:N"), tip("other:N", title="class"), tip("rank:Q"), tip("feature:N"), tip("share:Q", ".1%")],
    )
    numbers = rows.mark_text(fontSize=9).encode(
        x=alt.X("middle:Q"),
        y=y,
        yOffset=lanes["yOffset"],
        text=alt.condition("datum.share * width > datum.pixels", alt.Text("text:N"), alt.value("")),
        color=alt.ColorValue(BLACK, condition={"test": "datum.white", "value": "white"}),
    )
    return alt.layer(bars, numbers)


def _density(names: Sequence[str], table: pd.DataFrame, label: str) -> Any:
    """A bar of each other class: how much denser each strongest feature of the named class is in it (IML, Fig. 10)."""
    table = table.assign(ratio=table["ratio"].fillna(0.0))
    total = table.groupby(["adversary", "run"], sort=False)["ratio"].sum().reset_index()
    order = _largest(total, "adversary", "ratio")
    table = table[table["adversary"].isin(order)]
    k = int(table["rank"].max())
    longest = float(total["ratio"].max())
    features = table.drop_duplicates(["run", "rank"]).sort_values("rank", kind="stable")
    feature = features.groupby("rank")["feature"].agg(lambda own: " / ".join(str(one) for one in own))
    end = table.groupby(["run", "adversary"], sort=False)["ratio"].cumsum()
    table = table.assign(end=end, start=end - table["ratio"], middle=end - table["ratio"] / 2)
    table = table.assign(named=table["rank"].map(feature), text=table["ratio"].map(lambda value: f"{value:.1f}"))
    table = table.assign(room=table["ratio"] / max(longest, float(k)), pixels=LETTER * table["text"].str.len() + 3)
    table = table.assign(dark=(table["rank"] - 1).mod(len(RANKS)).isin(DARK))
    rows, lanes = _lanes(names, table)
    y = class_axis(order, field="adversary")
    runs = [name for name in names if name in set(table["run"])]
    title = ["feature"] if len(runs) < 2 else [f"feature in {' / '.join(runs)};", "bars of a class in this order"]
    colour = alt.Color(
        "named:N",
        scale=alt.Scale(domain=feature.tolist(), range=[RANKS[i % len(RANKS)] for i in range(k)]),
        legend=alt.Legend(title=title, titleLimit=LIMIT, orient="top", columns=5),
    )
    bars = rows.mark_bar(stroke="white", strokeWidth=0.5).encode(
        x=alt.X("start:Q", title=f"instances with each strongest feature of {label}, over its own"),
        x2="end:Q",
        y=y,
        color=colour,
        yOffset=lanes["yOffset"],
        tooltip=[
            *(tip(f"{name}:N") for name in ("run", "adversary", "feature")),
            tip("ratio:Q", ".2f"),
            tip("rate_ratio:Q", ".2f", "ratio, for classes of one size"),
        ],
    )
    numbers = rows.mark_text(fontSize=10).encode(
        x=alt.X("middle:Q"),
        y=y,
        yOffset=lanes["yOffset"],
        text=alt.condition("datum.room * width > datum.pixels", alt.Text("text:N"), alt.value("")),
        color=alt.ColorValue(BLACK, condition={"test": "datum.dark", "value": "white"}),
    )
    own = alt.Chart(pd.DataFrame({"start": [float(k)]})).mark_rule(color=GREY, strokeDash=[4, 3]).encode(x="start:Q")
    return alt.layer(bars, numbers, own)
