"""What figures need of a run beside its numbers: rows per class, archetype, pair of classes or epoch, kept with a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from imblens.base.wording import number
from imblens.errors import NotApplicable
from imblens.lenses import adversaries, archetypes, class_accuracy, generalization_gap, weight_norms
from imblens.run import Run

Rows = list[dict[str, Any]]


def classes(run: Run) -> Rows:
    """Training instances, imbalance, accuracy, gap (with synthetic instances) and weight norm of each class."""
    table = class_accuracy(run).tables["class_accuracy"][["class", "train_count", "imbalance", "accuracy"]]
    gap = generalization_gap(run).tables["generalization_gap"].set_index("class")
    table["gap"] = (gap["gap_after"] if "gap_after" in gap else gap["gap"]).reindex(table["class"]).to_numpy()
    try:
        norms = weight_norms(run).tables["weight_norms"].set_index("class")["norm"]
    except NotApplicable:
        return _rows(table)
    return _rows(table.assign(weight_norm=norms.reindex(table["class"]).to_numpy()))


def archetype_recall(run: Run) -> Rows:
    """Count and recall of the training instances of each archetype of each class."""
    table = archetypes(run).tables["archetypes"][["class", "archetype", "count", "accuracy"]]
    counts = dict(zip(run.classes, run.train.class_counts.tolist(), strict=True))
    return _rows(table.assign(train_count=table["class"].map(counts)))


def errors_and_forecast(run: Run) -> Rows:
    """Observed shares of the test errors of each class, and forecasts from neighbours: rule of ten, and Alg. 1 of IML."""
    pair = ["class", "adversary"]
    table = adversaries(run).tables["adversaries"][[*pair, "observed", "forecast"]]
    alg1 = adversaries(run, least_errors=0).tables["adversaries"][[*pair, "forecast"]]
    return _rows(table.merge(alg1.rename(columns={"forecast": "alg1"}), on=pair, how="left"))


def curve(run: Run) -> Rows:
    """Balanced accuracy after each epoch of a treatment's training; nothing for a run without such a record."""
    treatment = run.meta.get("treatment")
    facts = treatment.get("facts", {}) if isinstance(treatment, Mapping) else {}
    return [dict(row) for row in facts.get("curve", [])]


DETAILS: dict[str, Callable[[Run], Rows]] = {
    "classes": classes,
    "archetypes": archetype_recall,
    "adversaries": errors_and_forecast,
    "curve": curve,
}


def _rows(table: pd.DataFrame) -> Rows:
    """Plain rows, for JSON: None where a value is unknown."""
    return [
        {key: value if isinstance(value, str) else number(value) for key, value in row.items()}
        for row in table.to_dict("records")
    ]
