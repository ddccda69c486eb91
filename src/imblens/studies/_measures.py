"""Measures of a run in studies: named groups of numbers, all from the lenses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from imblens.base.registry import Registry
from imblens.lenses import adversaries, alignment, calibration, class_accuracy, concepts, generalization_gap, ranking
from imblens.run import Run

Values = dict[str, float | None]


def accuracy(run: Run) -> Values:
    """Balanced accuracy, geometric mean, macro F1, accuracy of the rarest third of the classes, calibration error."""
    found = class_accuracy(run)
    table = found.tables["class_accuracy"].sort_values("train_count", kind="stable")
    rare = table["accuracy"].head(max(1, len(table) // 3)).mean()
    names = ("balanced_accuracy", "geometric_mean", "macro_f1")
    return {
        **{name: found.summary[name] for name in names},
        "rare_accuracy": float(rare),
        "ece": calibration(run).summary["ece"],
    }


def gap(run: Run) -> Values:
    """Generalization gap: mean over classes, also of correct and of misclassified instances, and against rarity.

    `gap_rare` and `gap_frequent` are the means over the rarer and the more frequent half of the classes, `rarity` is
    Spearman's correlation of a class's gap with its imbalance. In a treated run all take the range of real and
    synthetic instances; `gap_correct` and `gap_wrong` that of real ones.
    """
    from scipy.stats import spearmanr

    table = generalization_gap(run).tables["generalization_gap"].sort_values("train_count", kind="stable")
    column = table["gap_after"] if "gap_after" in table else table["gap"]
    half = len(table) // 2
    constant = table["train_count"].nunique() < 2 or column.nunique() < 2
    return {
        "gap": float(column.mean()),
        "gap_rare": float(column.head(half).mean()),
        "gap_frequent": float(column.tail(len(table) - half).mean()),
        "gap_correct": float(table["gap_correct"].mean()),
        "gap_wrong": float(table["gap_wrong"].mean()),
        "rarity": None if constant else float(spearmanr(-table["train_count"], column).statistic),
    }


def forecast(run: Run) -> Values:
    """KL(observed errors, forecast) of every forecast of the adversaries lens, in nats; also over the rarer half of classes.

    `kl_alg1` is the forecast without the rule of ten (IML, Alg. 1 as published), `random_over_alg1` the paper's factor, and
    `kl_ratio` the soft forecast over the better of the paper's two.
    """
    found, alg1 = adversaries(run).summary, adversaries(run, least_errors=0).summary
    kl, rare = found["kl"], found["kl_rare"]
    return {
        **{f"kl_{name}": value for name, value in kl.items()},
        "kl_alg1": alg1["kl"]["forecast"],
        "random_over_alg1": alg1["random_over_forecast"],
        "kl_floor": found["kl_floor"],
        "kl_ratio": _ratio(kl),
        **{f"kl_{name}_rare": rare[name] for name in ("forecast", "fisher", "soft")},
        "kl_ratio_rare": _ratio(rare),
    }


def _ratio(kl: Mapping[str, float | None]) -> float | None:
    ours, others = kl["soft"], [value for value in (kl["forecast"], kl["fisher"]) if value is not None]
    return None if ours is None or not others or min(others) <= 0 else ours / min(others)


def ranks(run: Run) -> Values:
    """AUROC, average precision and mean predicted probability of positives, means over labels.

    Of a network with one output they are those of its positive class ("Unhealthy" in LOOKING, Fig. 2).
    """
    head = run.meta.get("head")
    if isinstance(head, Mapping) and head.get("one_logit"):
        row = ranking(run).tables["ranking"].iloc[1]
        columns = {"probability": "mean_probability", "probability_positives": "mean_probability_positives"}
        same = {name: name for name in ("auroc", "average_precision")}
        return {name: float(row[column]) for name, column in {**same, **columns}.items()}
    found = ranking(run).summary
    return {
        "auroc": found["macro_auroc"],
        "average_precision": found["macro_average_precision"],
        "probability": found["macro_mean_probability"],
        "probability_positives": found["macro_mean_probability_positives"],
    }


def aligned(run: Run) -> Values:
    """Activation maps against boxes, means over images and their labels."""
    found = alignment(run).summary
    return {name: found[f"mean_{name}"] for name in ("iobb", "ior", "iou", "pointing")}


def counted(run: Run) -> Values:
    """Disjoint and unique concepts, means over images and their labels."""
    found = concepts(run).summary
    return {"disjoint": found["mean_disjoint"], "unique": found["mean_unique"]}


_BUILT_IN: dict[str, Callable[[Run], Values]] = {
    "accuracy": accuracy,
    "gap": gap,
    "forecast": forecast,
    "ranking": ranks,
    "alignment": aligned,
    "concepts": counted,
}
MEASURES = Registry("measure", _BUILT_IN)


def measured(run: Run, names: tuple[str, ...]) -> dict[str, Any]:
    """Return all numbers of the named groups; None where one is undefined."""
    values: dict[str, Any] = {}
    for name in names:
        for key, value in MEASURES[name](run).items():
            values[key] = None if value is None or not math.isfinite(value) else float(np.round(value, 6))
    return values
