"""Chart of the embedding map."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from imblens.charts import ARCHETYPE_COLOURS, GREY, RED, tip
from imblens.lenses._contract import Finding

# Okabe and Ito 2008, then Tol's muted set; a run with more classes is coloured by archetype
CLASS_COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#000000"),
    *("#882255", "#117733", "#332288", "#999933", "#661100", "#6699CC", "#888888", "#44AA99"),
    *("#DDCC77", "#AA4499", "#88CCEE", "#CC6677"),
)
SHAPES = ("circle", "square", "triangle-up", "cross", "diamond", "triangle-down", "triangle-right", "triangle-left")


def charts(finding: Finding) -> dict[str, Any]:
    """The map, coloured by class (by archetype beyond 20 classes), archetype or prediction as the reader chooses."""
    return {"embedding_map": map_chart(finding.tables["embedding_map"])}


def map_chart(table: pd.DataFrame, frame: Sequence[tuple[float, float]] | None = None) -> Any:
    """Draw a map, the rarest class on top, coloured by class, archetype or prediction as the reader chooses.

    Up to eight classes differ in shape too, and so do the values of every other choice.

    Args:
        table: rows of an `embedding_map`.
        frame: (lowest, highest) x and y to draw; by default what the points need.
    """
    import altair as alt

    counts = table["class"].value_counts()
    rarest_last = np.argsort(-counts[table["class"]].to_numpy(), kind="stable")
    predictions = table["correct"].map({True: "correct", False: "misclassified"}).fillna("unknown")
    archetypes = table["archetype"].fillna("not in training")
    drawn = table.assign(archetype=archetypes, prediction=predictions).iloc[rarest_last]
    drawn = drawn[["id", "split", "class", "archetype", "prediction", "x", "y"]].round({"x": 2, "y": 2})
    choices = _colour_choices(table, counts.index.tolist())
    # keys include their kind, so that a class named "safe" has its own colour; they are trimmed, because a report adds a
    # space to some names
    keys = {
        f"{kind}: {value}".strip(): colour for kind, colours in choices.items() for value, colour in colours.items()
    }
    sizes = map(len, choices.values())
    shapes = [shape for n in sizes for shape in (SHAPES[:n] if n <= len(SHAPES) else SHAPES[:1] * n)]
    of_kind = {kind: [f"{kind}: {value}".strip() for value in colours] for kind, colours in choices.items()}
    colour_by = alt.param(
        name="colour_by", value=next(iter(choices)), bind=alt.binding_select(options=list(choices), name="colour by ")
    )
    legend = alt.Legend(
        title=None,
        orient="top",
        columns=4,
        symbolOpacity=1,
        symbolSize=60,
        labelExpr="slice(datum.label, length(colour_by) + 2)",
        values=alt.ExprRef(f"({json.dumps(of_kind)})[colour_by]"),
    )
    scales = [alt.Scale(zero=False)] * 2 if frame is None else [alt.Scale(domain=list(ends)) for ends in frame]
    return (
        alt.Chart(alt.InlineData(values=drawn.to_dict("records")))  # inline: no limit on rows applies
        .transform_calculate(shown="trim(colour_by + ': ' + datum[colour_by])")
        .mark_point(size=14, opacity=0.7, filled=True)
        .encode(
            x=alt.X("x:Q", axis=None, scale=scales[0]),
            y=alt.Y("y:Q", axis=None, scale=scales[1]),
            color=alt.Color("shown:N", scale=alt.Scale(domain=list(keys), range=list(keys.values())), legend=legend),
            shape=alt.Shape("shown:N", scale=alt.Scale(domain=list(keys), range=shapes), legend=legend),
            tooltip=[tip(f"{name}:N") for name in ("id", "split", "class", "archetype", "prediction")],
        )
        .add_params(colour_by)
        .properties(width="container", height=520)
    )


def classes_chart(
    table: pd.DataFrame, classes: Sequence[str], frame: Sequence[tuple[float, float]], size: int = 30
) -> Any:
    """Draw the map of a few classes: colour is the class; training instances are dots on smaller, paler synthetic crosses.

    Args:
        table: rows of a `common_map` of these classes.
        classes: in the order of their colours.
        frame: (lowest, highest) x and y to draw.
        size: of a training instance; a synthetic one has half of it.
    """
    import altair as alt

    kinds = {"train": "training", "synthetic": "synthetic"}
    drawn = table.assign(kind=table["split"].map(kinds)).sort_values("kind", kind="stable")  # synthetic ones first
    drawn = drawn[["id", "class", "kind", "x", "y"]].round({"x": 2, "y": 2})
    colours = [CLASS_COLOURS[i % len(CLASS_COLOURS)] for i in range(len(classes))]
    shapes = alt.Scale(domain=list(kinds.values()), range=["circle", "cross"])
    axes = [alt.Scale(domain=list(ends)) for ends in frame]
    real = alt.datum["kind"] == "training"
    return (
        alt.Chart(alt.InlineData(values=drawn.to_dict("records")))
        .mark_point(filled=True)
        .encode(
            x=alt.X("x:Q", axis=None, scale=axes[0]),
            y=alt.Y("y:Q", axis=None, scale=axes[1]),
            color=alt.Color(
                "class:N",
                scale=alt.Scale(domain=list(classes), range=colours),
                legend=alt.Legend(title=None, orient="top", symbolOpacity=1),
            ),
            shape=alt.Shape("kind:N", scale=shapes, legend=alt.Legend(title=None, orient="top", symbolOpacity=1)),
            size=alt.condition(real, alt.value(size), alt.value(size / 2)),
            opacity=alt.condition(real, alt.value(1), alt.value(0.35)),
            tooltip=[tip(f"{name}:N") for name in ("id", "kind", "class")],
        )
        .properties(width="container", height=420)
    )


def _colour_choices(table: pd.DataFrame, classes: list[str]) -> dict[str, dict[str, str]]:
    """What the map can be coloured by, and the colour of each value that occurs; the first is shown at the start."""
    pale = "#BBBBBB"
    choices: dict[str, dict[str, str]] = {}
    if len(classes) <= len(CLASS_COLOURS):
        choices["class"] = dict(zip(classes, CLASS_COLOURS, strict=False))
    if table["archetype"].notna().any():
        choices["archetype"] = {**ARCHETYPE_COLOURS, "not in training": pale}
        if table["archetype"].notna().all():
            del choices["archetype"]["not in training"]
    if table["correct"].notna().any():
        choices["prediction"] = {"correct": pale, "misclassified": RED, "unknown": GREY}
        if table["correct"].notna().all():
            del choices["prediction"]["unknown"]
    splits = {"train": GREY, "test": RED, "synthetic": pale}
    choices["split"] = {name: colour for name, colour in splits.items() if (table["split"] == name).any()}
    return choices
