"""What the functions beside the lenses return, and how lenses refuse, is what is stored."""

# a case is read as one line

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from imblens import lenses
from imblens.errors import NotApplicable
from imblens.lenses._moments import class_moments
from imblens.lenses.adversaries import (
    divergence,
    fisher_forecast,
    neighbour_forecast,
    quasi_symmetric,
    sampling_floor,
    shares,
)
from imblens.lenses.archetypes import archetype_members, instance_archetypes, medoid, medoids
from imblens.lenses.class_features import rarefied
from imblens.lenses.colours import standing_out
from imblens.lenses.diagnosis import MEASURES, equal_error_rate, noise, regions, strengths
from imblens.lenses.embedding_map import shown_class, thin
from imblens.lenses.errors import listed_errors, near_classes
from imblens.lenses.generalization_gap.quality import embedding_quality
from imblens.lenses.label_suspects import class_evidence, label_scores, suggested_labels, suspect_scores
from imblens.lenses.ranking import areas, auroc_interval, best_threshold, outcome, ranking_changes, share_interval
from imblens.lenses.shortcuts import relied_on
from imblens.run import Run, common_rows
from tests import golden
from tests.lenses import golden_runs
from tests.lenses.test_golden import LENSES, RUNS, without_places

RNG = np.random.default_rng(29)
SCORES, TRUTH = RNG.normal(size=(40, 6)).round(3), RNG.random(40) < 0.35
COUNTS = RNG.integers(0, 9, (5, 5)) * (1 - np.eye(5, dtype=int))
"""What stands for the errors of five classes."""


def changes(make: Callable[[], Run]) -> Any:
    """Change of the ranking from a run to a better one."""
    run = make()
    assert run.test is not None
    other = golden_runs.better(run)
    rows = common_rows(run.test, other.test)
    places = [(c, c) for c in range(run.n_classes)]
    return ranking_changes(run.test, other.test, *rows, places)


def maps(**options: Any) -> Any:
    """Maps of a run, of its other head, and of another network."""
    run = RUNS["untested"][0]()
    head = replace(run.head, weight=run.head.weight[::-1].copy())
    same = Run.from_arrays(
        train=(run.train.features, run.train.labels), test=(run.test.features, run.test.labels),
        head=(head.weight, head.bias), classes=run.classes,
    )  # fmt: skip
    found = lenses.common_map([run, same, golden_runs.better(run)], n_points=150, **options)
    panels = lenses.map_panels(found, columns=3) if options.get("classes") else "none"
    return without_places(golden.plain({**golden.finding(found), "panels": panels}))


def fresh_measures(run: str, cause: str) -> Any:
    """Strength and evidence of every class, for one cause."""
    stated: dict[str, Any] = {}
    made = RUNS[run][0]()
    error = golden.raised(lambda: stated.update(MEASURES[cause](made)))
    return stated or error


def long_tail() -> Run:
    return golden_runs.long_tail()


PARTS: dict[str, Callable[[], Any]] = {
    "shares": lambda: [shares(COUNTS), shares(COUNTS[2:4], 2)],
    "divergence": lambda: [divergence(COUNTS, COUNTS.T), divergence(COUNTS, np.ones((5, 5))), sampling_floor(COUNTS)],
    "quasi_symmetric": lambda: quasi_symmetric(shares(COUNTS)),
    "fisher_forecast": lambda: fisher_forecast(class_moments(long_tail())),
    "neighbour_forecast": lambda: [
        (found.counts.toarray(), found.of_errors)
        for found in (neighbour_forecast(long_tail(), 4), neighbour_forecast(golden_runs.grouped(), 3, 2))
    ],
    "members": lambda: [archetype_members(RUNS[run][0](), k) for run, k in (("long_tail", 5), ("several", 3))],
    "instances": lambda: [instance_archetypes(long_tail(), k) for k in (1, 2, 5, 9)],
    "medoids": lambda: [medoids(SCORES, np.arange(3, 33), most) for most in (1, 3)] + [medoid(SCORES, np.arange(9))],
    "rarefied": lambda: rarefied(np.array([[1, 4, 0], [3, 3, 2]]), np.array([5, 3]), 2),
    "standing_out": lambda: standing_out(LENSES["colours"](golden_runs.pictured()).tables["colours"]),
    "relied_on": lambda: relied_on(LENSES["shortcuts"](golden_runs.pictured()).tables["shortcuts"]),
    "strengths": lambda: [
        [(cause.name, strength) for cause, strength in strengths(measured)]
        for measured in (
            {"overlap": 0.9, "few_examples": 0.6, "label_noise": 0.4, "sub_concepts": 0.3},
            {"overlap": 0.5, "uncovered_range": 0.7, "few_examples": 1.0, "few_features": 0.8},
            {"shortcut": 0.4, "shortcut_colours": 0.9, "overlap": 1.0},
        )
    ],
    "equal_error_rate": lambda: [equal_error_rate(SCORES[TRUTH, i] + 0.3 * i, SCORES[~TRUTH, i]) for i in range(6)],
    "regions": lambda: [regions.uncovered(long_tail()), regions.clusters(long_tail())],
    "noise": lambda: noise.label_noise(long_tail()),
    "shown_class": lambda: [shown_class(RUNS[run][0]().train) for run in ("long_tail", "several")],
    "thin": lambda: [
        thin(np.repeat([0, 1, 2], [30, 9, 2]), n, 1, keep) for n in (8, 20) for keep in (None, TRUTH[[0] * 41])
    ],
    "listed_errors": lambda: [listed_errors(RUNS[run][0](), k=3, limit=9) for run in ("long_tail", "several")],
    "near_classes": lambda: near_classes(long_tail(), 2, np.array([0, 5, 9, 40])),
    "embedding_quality": lambda: [embedding_quality(RUNS[run][0]()) for run in ("long_tail", "grouped")],
    "suspects": lambda: [
        suspect_scores(long_tail()),
        suggested_labels(long_tail()),
        label_scores(golden_runs.several()),
    ],
    "class_evidence": lambda: [part for _, part in class_evidence(long_tail())],
    "areas": lambda: areas(TRUTH, SCORES[:, 0], np.stack([np.ones(40), np.arange(40) % 3], axis=1).astype(np.float32)),
    "auroc_interval": lambda: [auroc_interval(TRUTH, SCORES[:, 1], group) for group in (None, np.arange(40) // 3)],
    "share_interval": lambda: [share_interval(v, 0.02 * SCORES[:, 2] + v, 40) for v in (0.02, 0.5, 0.97)],
    "best_threshold": lambda: [best_threshold(TRUTH, 1 / (1 + np.exp(-SCORES[:, i] - TRUTH))) for i in range(6)],
    "outcome": lambda: [outcome(a, a - 0.05, a + 0.04, n) for a in (0.5, 0.6, 0.8, 0.93, 0.97) for n in (9, 10, 500)],
    "ranking_changes": lambda: [changes(RUNS[run][0]) for run in ("long_tail", "grouped", "several")],
    "common_map": maps,
    "common_map_of_classes": lambda: maps(classes=["sea", "ice"]),
    "class_measures": lambda: {
        name: one[2:]
        for name, one in lenses.class_measures(
            lenses.run_lenses(golden_runs.grouped(), skip=["embedding_map"])[0]
        ).items()
    },
    "html": lambda: LENSES["class_accuracy"](golden_runs.grouped())._repr_html_(),
    "compared": lambda: golden.finding(lenses.compare_class_features(*_pair(), k=4)),
    "compared_itself": lambda: golden.finding(lenses.compare_class_features(_pair()[0], _pair()[0], split="test")),
    "pages": lambda: {name: list(lenses.lens_page(name)) for name in LENSES},
    "declared": lambda: {
        name: [info.question, info.order, info.needs, [[m.name, m.better, m.rows, m.table] for m in info.measures]]
        for name, info in ((name, lenses.lens_info(function)) for name, function in LENSES.items())
    },
}


def _pair() -> tuple[Run, Run]:
    run = golden_runs.long_tail()
    other = golden_runs.better(run)
    weight = np.asarray(run.head.weight)[:, ::-1] * np.linspace(0.4, 1.6, run.dim)
    other = Run.from_arrays(
        train=(other.train.features, other.train.labels), test=(other.test.features, other.test.labels),
        head=(weight, run.head.bias), classes=run.classes,
    )  # fmt: skip
    return run, other


def refusals() -> dict[str, dict[str, str]]:
    """Errors of options that no lens takes."""
    run = golden_runs.grouped()
    found: dict[str, dict[str, str]] = {}
    bad: dict[str, tuple[Any, ...]] = {
        "k": (0, -1, 1.5, "2", 10**9), "prototypes": (0, 999), "n_bins": (0, 1, 10**9), "top": (0, -3, 10**6),
        "split": ("no", 3), "n_points": (0, 9), "perplexity": (0, -1.0, float("nan")), "per_pair": (0, -2),
        "limit": (0, -1), "per_class": (0,), "least_errors": (-1, 0), "random_state": (-1, "a"),
    }  # fmt: skip
    from inspect import signature

    for lens, function in LENSES.items():
        for option in list(signature(function).parameters)[1:]:
            for value in bad.get(option, ()):
                found.setdefault(lens, {})[f"{option} {value}"] = golden.raised(
                    partial(function, run, **{option: value})
                )
    return found


def misuse() -> dict[str, str]:
    """Errors of what is asked of several lenses or runs."""
    run, other = golden_runs.grouped(), RUNS["untested"][0]()
    asked: dict[str, Callable[[], Any]] = {
        "no such lens": lambda: lenses.find_lens("archetype"),
        "no such lens to run": lambda: lenses.run_lenses(run, ["class_acuracy"]),
        "no such option": lambda: lenses.run_lenses(run, ["archetypes"], {"archetypes": {"kk": 3}}),
        "no options": lambda: lenses.run_lenses(run, ["weight_norms"], {"weight_norms": {"k": 3}}),
        "not a lens": lambda: lenses.lens_info(len),
        "one map": lambda: lenses.common_map([run]),
        "names of maps": lambda: lenses.common_map([run, run], names=["a"]),
        "equal names of maps": lambda: lenses.common_map([run, run], names=["a", "a"]),
        "maps of others": lambda: lenses.common_map([run, other]),
        "maps of a class": lambda: lenses.common_map([run, run], classes=["oka"]),
        "panels": lambda: lenses.map_panels(lenses.common_map([other, other], n_points=60)),
        "features of others": lambda: lenses.compare_class_features(run, other),
        "features without a split": lambda: lenses.compare_class_features(other, other, split="val"),
        "features of no k": lambda: lenses.compare_class_features(other, other, k=0),
        "not a run": lambda: LENSES["archetypes"]("run"),
        "no page": lambda: lenses.lens_page("nothing"),
    }
    return {name: golden.raised(call) for name, call in asked.items()}


def skipped() -> Any:
    """What is left out, with the reasons, in the order of a report."""
    told: list[str] = []
    found, left = lenses.run_lenses(golden_runs.bare(), skip={"archetypes": "not today"}, progress=told.append)
    return [list(found), left, told, lenses.run_lenses(golden_runs.bare(), "feature_density", skip="archetypes")[1]]


CASES: dict[str, Callable[[], Any]] = {f"parts/{name}": call for name, call in PARTS.items()}
CASES |= {
    f"causes/{run} {cause}": partial(fresh_measures, run, cause)
    for run in ("long_tail", "pictured", "untested", "grouped")
    for cause in MEASURES
}
CASES |= {"refusals/options": refusals, "refusals/misuse": misuse, "refusals/skipped": skipped}


@pytest.mark.parametrize("case", CASES)
def test_a_function_returns_what_is_stored(case: str) -> None:
    golden.check("lenses", case, CASES[case]())


@pytest.mark.parametrize("lens", LENSES)
def test_a_lens_that_does_not_apply_says_what_is_missing(lens: str) -> None:
    empty = golden_runs.bare()
    try:
        LENSES[lens](empty)
    except NotApplicable as reason:
        assert str(reason).startswith(f"{lens}: ") and str(reason).endswith(".")
