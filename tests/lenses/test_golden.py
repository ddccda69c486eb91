"""All that each lens states on a few runs is what is stored: tables, summaries, notes, lines and charts."""

# a case is read as one line

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from imblens.lenses import BUILT_IN, lens_info
from imblens.run import Run
from tests import golden
from tests.lenses import golden_runs

LENSES = {lens_info(function).name: function for function in BUILT_IN}
FEW_LABELS = ("class_accuracy", "headroom", "calibration", "ranking", "label_suspects", "diagnosis")
OF_IMAGES = (
    "errors",
    "co_occurrence",
    "colours",
    "shortcuts",
    "alignment",
    "concepts",
    "generalization_gap",
    "diagnosis",
)
UNTESTED = (
    "class_accuracy",
    "adversaries",
    "class_features",
    "calibration",
    "label_suspects",
    "embedding_map",
    "diagnosis",
)
RUNS: dict[str, tuple[Callable[[], Run], tuple[str, ...]]] = {
    "long_tail": (golden_runs.long_tail, ()),
    "grouped": (golden_runs.grouped, ()),
    "several": (golden_runs.several, ()),
    "alone": (partial(golden_runs.several, whose=False, val=False), FEW_LABELS),
    "many": (golden_runs.many, ()),
    "bare": (golden_runs.bare, ()),
    "untested": (golden_runs.without_tested, UNTESTED),
    "pictured": (golden_runs.pictured, ()),
    "pictured_labels": (partial(golden_runs.pictured, "multilabel"), OF_IMAGES),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "adversaries": {"k": 3, "least_errors": 4},
    "archetypes": {"k": 8, "prototypes": 2},
    "calibration": {"n_bins": 6},
    "class_features": {"split": "test", "top": 3},
    "colours": {"k": 3},
    "embedding_map": {"n_points": 90, "perplexity": 8.0, "random_state": 3},
    "errors": {"k": 3, "per_pair": 1, "limit": 7},
    "feature_density": {"top": 4},
    "feature_overlap": {"top": 4},
    "label_suspects": {"k": 3, "per_class": 2, "limit": 6},
}
PLACED = ("long_tail", "many", "several")  # their maps take seconds: of these, a few points are placed


def of_lens(make: Callable[[], Run], lens: str, options: dict[str, Any]) -> dict[str, Any] | str:
    """What a lens states, or why it does not apply."""
    run, stated = make(), {}
    error = golden.raised(lambda: stated.update(golden.finding(LENSES[lens](run, **options))))
    return without_places(golden.plain(stated)) if stated else error


def without_places(stated: Any) -> Any:
    """Places on a map are found by descent: machines differ, so that they are not compared."""
    if isinstance(stated, dict):
        return {name: without_places(part) for name, part in stated.items() if name not in (*golden.PLACES, "domain")}
    return stated


CASES: dict[str, Callable[[], Any]] = {}
for run, (make, some) in RUNS.items():
    for lens in some or LENSES:
        options = {"n_points": 80} if lens == "embedding_map" and run in PLACED else {}
        CASES[f"{run}/{lens}"] = partial(of_lens, make, lens, options)
for run in ("pictured", "grouped"):
    for lens, given in OPTIONS.items():
        CASES[f"options_{run}/{lens}"] = partial(of_lens, RUNS[run][0], lens, given)


@pytest.mark.parametrize("case", CASES)
def test_a_lens_states_what_is_stored(case: str) -> None:
    golden.check("lenses", case, CASES[case]())
