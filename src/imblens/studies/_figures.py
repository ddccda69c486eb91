"""Figures of the papers from the results of a study, as wide as a column of a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from imblens.base.registry import Registry
from imblens.charts import ARCHETYPE_COLOURS, BLACK, BLUE, ORANGE, RED
from imblens.lenses import CLASS_COLOURS
from imblens.run import Run
from imblens.studies._class_lines import gap, weight_norm
from imblens.studies._jobs import UNTREATED
from imblens.studies._panels import (
    HIGH,
    NAMED,
    NARROW,
    WIDE,
    Drawing,
    Results,
    class_places,
    ends,
    percents,
    ranked,
    series,
    share,
    small,
    stack,
    top,
    varies,
)

BINARY = ", finding or none"


@dataclass(frozen=True)
class Kind:
    """A kind of figure.

    Attributes:
        draw: from results to a drawing; None where there is nothing to draw.
        details: name in `DETAILS` of the rows that it needs; "" for numbers alone.
    """

    draw: Callable[[Results], Drawing | None]
    details: str = ""


def class_accuracy(results: Results) -> Drawing | None:
    """Accuracy of each class, largest class first, under the line of its size relative to the largest (IML, Fig. 2)."""
    table = ranked(results.mean(["class"], ["train_count", "accuracy"]), results)
    table["size"] = table["train_count"] / table.groupby("panel")["train_count"].transform("max")
    panels = []
    for name, part in table.groupby("panel", sort=False):
        x = class_places(part)
        bars = (
            alt.Chart(part)
            .mark_bar(color=BLUE)
            .encode(x=x, y=alt.Y("accuracy:Q", scale=share(), axis=percents("accuracy")))
        )
        line = alt.Chart(part).mark_line(color=BLACK, strokeWidth=1.5).encode(x=x, y=alt.Y("size:Q", scale=share()))
        panels.append(alt.layer(bars, line).properties(width=WIDE, height=HIGH, title=str(name)))
    note = "Black line: size of the class relative to the largest."
    return Drawing(stack(panels, 1, note), table)


def archetypes(results: Results) -> Drawing | None:
    """Share of training instances classified correctly, by class and archetype (IML, Fig. 3)."""
    table = ranked(results.mean(["class", "archetype"], ["train_count", "count", "accuracy"]), results)
    table = table[table["accuracy"].notna()]
    if table.empty:
        return None
    table = ends(table)
    kinds = list(ARCHETYPE_COLOURS)
    offset = alt.XOffset("archetype:N", scale=alt.Scale(domain=kinds))
    colour = alt.Color(
        "archetype:N", scale=alt.Scale(domain=kinds, range=list(ARCHETYPE_COLOURS.values())), legend=top(2)
    )
    panels = []
    for name, part in table.groupby("panel", sort=False):
        x = class_places(part)
        y = alt.Y("accuracy:Q", scale=share(), axis=percents("correct in training"))
        bars = alt.Chart(part).mark_bar().encode(x=x, xOffset=offset, y=y, color=colour)
        none = alt.Chart(part[part["accuracy"] == 0]).mark_text(text="0", dy=-4, fontSize=6)
        zeros = none.encode(x=x, xOffset=offset, y=y)
        panels.append(alt.layer(bars, zeros).properties(width=WIDE, height=HIGH, title=str(name)))
    note = "0: none of the instances is correct. No bar: no instance."
    return Drawing(stack(panels, 1, note), table)


def adversaries(results: Results) -> Drawing | None:
    """Where the errors of each class go: observed on the test split, and forecast from nearest adversaries (IML, Fig. 5).

    The forecast drawn is Alg. 1 as published; of cells without it, the one with the rule of ten, which the table has too.
    """
    known = [name for name in ("observed", "forecast", "alg1") if name in results.rows]
    drawn = {"observed": "(a) test errors", known[-1]: "(b) forecast, Alg. 1" if "alg1" in known else "(b) forecast"}
    table = results.mean(["class", "adversary"], known)
    table["panel"] = results.panel_of(table)
    if results.classes:
        table = table[table["class"].isin(results.classes)]
    table = table[table[known].notna().any(axis=1)]
    if table.empty:
        return None
    rows = []
    for name, part in table.groupby("panel", sort=False):
        order = list(dict.fromkeys(part["class"]))[:NAMED]
        part = part[part["class"].isin(order)]
        top = part.groupby("adversary")[list(drawn)].sum().max(axis=1).sort_values(ascending=False).index
        shown = [key for key in dict.fromkeys([*order, *part["adversary"]]) if key in set(top[:NAMED])]
        scale = alt.Scale(domain=shown, range=list(CLASS_COLOURS[: len(shown)]))
        pair = []
        for place, (value, title) in enumerate(drawn.items()):
            shares = part[part[value].notna() & part["adversary"].isin(shown)].copy()
            shares["end"] = shares.groupby("class", sort=False)[value].cumsum()
            shares["start"] = shares["end"] - shares[value]
            axis: Any = None if place else alt.Axis(ticks=False, domain=False, labelLimit=70)
            bars = (
                alt.Chart(shares)
                .mark_bar()
                .encode(
                    x=alt.X("start:Q", scale=share(), axis=percents("share of errors")),
                    x2="end:Q",
                    y=alt.Y("class:N", scale=alt.Scale(domain=order), title=None, axis=axis),
                    color=alt.Color(
                        "adversary:N", scale=scale, legend=alt.Legend(title=None, orient="bottom", columns=4)
                    ),
                )
            )
            pair.append(bars.properties(width=NARROW, height=alt.Step(13), title=title))
        above = {"title": str(name)} if varies(table["panel"]) else {}
        rows.append(alt.hconcat(*pair, spacing=10).properties(**above))
    chart = alt.vconcat(*rows).resolve_scale(color="independent")
    without = table.groupby(["panel", "class"])[known[-1]].apply(lambda shares: shares.isna().all())
    if without.any():
        chart = chart.properties(title=small("No bar in (b): no error in training, so no forecast."))
    return Drawing(chart, table)


def gap_correct(results: Results) -> Drawing | None:
    """Mean gap of correctly classified and of misclassified test instances, of untreated networks (EOS, Fig. 4)."""
    rows = results.rows
    rows = rows[rows["treatment"] == UNTREATED]
    if rows.empty or "gap_correct" not in rows:
        return None
    kinds = {"gap_correct": "correct (true positives)", "gap_wrong": "misclassified (false positives)"}
    named = rows.assign(panel=results.panel_of(rows, without=["treatment"]))
    long = pd.concat(
        [
            named[["panel", column]].set_axis(["panel", "gap"], axis=1).assign(kind=text)
            for column, text in kinds.items()
        ]
    )
    table = long.groupby(["panel", "kind"], sort=False)["gap"].agg(["mean", "min", "max"]).reset_index()
    order, domain = list(dict.fromkeys(table["panel"])), list(kinds.values())
    offset = alt.XOffset("kind:N", scale=alt.Scale(domain=domain))
    x = alt.X(
        "panel:N", scale=alt.Scale(domain=order), title=None, axis=alt.Axis(labelAngle=-30 if len(order) > 2 else 0)
    )
    bars = (
        alt.Chart(table)
        .mark_bar()
        .encode(
            x=x,
            xOffset=offset,
            y=alt.Y("mean:Q", title="mean gap", axis=alt.Axis(tickCount=4)),
            color=alt.Color("kind:N", scale=alt.Scale(domain=domain, range=[BLUE, RED]), legend=top()),
        )
    )
    spread = alt.Chart(table).mark_rule().encode(x=x, xOffset=offset, y="min:Q", y2="max:Q")
    return Drawing(alt.layer(bars, spread).properties(width=WIDE, height=140), table)


def curve(results: Results) -> Drawing | None:
    """Balanced accuracy after each epoch of retraining, training and test; published values dotted (EOS, Fig. 7)."""
    if "epoch" not in results.rows:
        return None
    rows = results.rows[results.rows["epoch"].notna()]
    found = Results(rows, results.group).mean(["epoch"], ["train", "test"])
    table = found.melt(
        id_vars=[*results.group, "epoch"], value_vars=["train", "test"], var_name="split", value_name="value"
    )
    table["panel"] = results.panel_of(table, without=["treatment"])
    table["method"] = table["treatment"].str.split(" ").str[0]
    methods = list(dict.fromkeys(table["method"]))
    colour = alt.Scale(domain=methods, range=series(len(methods)))
    published = _published(results, found)
    panels = []
    for name, part in table.groupby("panel", sort=False):
        lines = (
            alt.Chart(part)
            .mark_line(point=alt.OverlayMarkDef(size=10))
            .encode(
                x=alt.X(
                    "epoch:Q",
                    title="epoch of retraining",
                    scale=alt.Scale(nice=False),
                    axis=alt.Axis(tickMinStep=1, tickCount=6),
                ),
                y=alt.Y(
                    "value:Q",
                    title="balanced accuracy",
                    scale=alt.Scale(zero=False),
                    axis=alt.Axis(format="%", tickCount=5),
                ),
                color=alt.Color("method:N", scale=colour, legend=top(lines=True)),
                strokeDash=alt.StrokeDash(
                    "split:N",
                    scale=alt.Scale(domain=["train", "test"], range=[[4, 2], [1, 0]]),
                    legend=None,
                ),
            )
        )
        layers: list[Any] = [lines]
        known = published[published["panel"] == name] if len(published) else published
        if len(known):
            rule = alt.Chart(known).encode(y="value:Q", color=alt.Color("method:N", scale=colour, legend=None))
            layers.append(rule.mark_rule(strokeDash=[1, 3], strokeWidth=1.5))
            layers.append(rule.mark_text(align="right", x=WIDE - 2, dy=-4, fontSize=7).encode(text="text:N"))
        panels.append(alt.layer(*layers).properties(width=WIDE, height=170, title=str(name)))
    marked = published.assign(epoch=float("nan"), split="published")
    note = "Solid: test. Dashed: real training instances." + (" Dotted: published." if len(published) else "")
    return Drawing(stack(panels, 1, note), pd.concat([table, marked], ignore_index=True) if len(marked) else table)


def _published(results: Results, found: pd.DataFrame) -> pd.DataFrame:
    """Balanced accuracy that the paper's table states for a method, whatever its options other than k_neighbors."""
    columns = ["panel", "method", "value", "text"]
    if results.paper is None or results.paper.empty:
        return pd.DataFrame(columns=columns)
    asked = found.drop_duplicates(list(results.group)).copy()
    asked["panel"] = results.panel_of(asked, without=["treatment"])
    paper = results.paper.assign(method=results.paper["treatment"].astype(str).str.split(" ").str[0])
    keys = [key for key in results.group if key != "treatment" and key in paper]
    asked = asked.assign(method=asked["treatment"].str.split(" ").str[0])
    both = asked[["panel", "method", *keys]].merge(paper, on=["method", *keys])
    both = both.assign(value=both["balanced_accuracy"], text=both["method"] + ", published")
    return both.drop_duplicates(columns)[columns].reset_index(drop=True)


def ranking(results: Results) -> Drawing | None:
    """AUROC, average precision and mean predicted probability under each loss (LOOKING, Fig. 2)."""
    titles = {"auroc": "AUROC", "average_precision": "average precision", "probability": "mean probability"}
    present = [name for name in titles if name in results.rows]
    if not present or "loss" not in results.group:
        return None
    means = results.mean([], present)
    means["shown"] = ["unhealthy" if str(name).endswith(BINARY) else "average of labels" for name in means["data"]]
    means["set"] = [str(name).removesuffix(BINARY) for name in means["data"]]
    table = means.melt(
        id_vars=[*results.group, "shown", "set"], value_vars=present, var_name="measure", value_name="value"
    )
    others = [key for key in results.group if key not in ("data", "loss", "treatment") and varies(table[key])]
    table["panel"] = table[["set", *others]].astype(str).agg(", ".join, axis=1)
    losses, colours = list(dict.fromkeys(table["loss"])), {"average of labels": BLUE, "unhealthy": ORANGE}
    kinds = [kind for kind in colours if kind in set(table["shown"])]
    hues = alt.Scale(domain=kinds, range=[colours[kind] for kind in kinds])
    rows = []
    for name, part in table.groupby("panel", sort=False):
        panels = []
        for measure in present:
            own = part[part["measure"] == measure]
            chart = (
                alt.Chart(own)
                .mark_bar()
                .encode(
                    x=alt.X("loss:N", scale=alt.Scale(domain=losses), title=None, axis=alt.Axis(labelAngle=-60)),
                    xOffset=alt.XOffset("shown:N", scale=alt.Scale(domain=kinds)),
                    y=alt.Y("value:Q", title=None, scale=share(), axis=alt.Axis(tickCount=5)),
                    color=alt.Color("shown:N", scale=hues, legend=top()),
                )
            )
            panels.append(chart.properties(width=70, height=HIGH, title=titles[measure]))
        rows.append(alt.hconcat(*panels, spacing=8).properties(title=str(name)))
    return Drawing(alt.vconcat(*rows, spacing=12), table)


def maps(results: Results) -> Drawing | None:
    """Activation maps of the networks of every loss on the same images, a row an image (LOOKING, Fig. 1)."""
    from imblens.report import maps_figure

    panels: dict[str, tuple[list[Run], list[str]]] = {}
    rows = []
    for key, folder in results.networks:
        name = ", ".join(str(value) for option, value in key.items() if option != "loss")
        runs, names = panels.setdefault(name, ([], []))
        runs.append(Run.load(folder))
        names.append(str(key.get("loss", folder.name)))
        rows.append({**key, "network": folder.name})
    svg = maps_figure(list(panels.values()))
    return Drawing(svg, pd.DataFrame(rows)) if svg else None


FIGURES = Registry(
    "figure",
    {
        "class_accuracy": Kind(class_accuracy, "classes"),
        "archetypes": Kind(archetypes, "archetypes"),
        "adversaries": Kind(adversaries, "adversaries"),
        "gap": Kind(gap, "classes"),
        "gap_correct": Kind(gap_correct),
        "weight_norms": Kind(weight_norm, "classes"),
        "curve": Kind(curve, "curve"),
        "ranking": Kind(ranking),
        "maps": Kind(maps),
    },
)
