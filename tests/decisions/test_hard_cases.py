"""Decisions where classes, instances or scales are unusual: refused, hedged or served, never wrong without a word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import imblens
from imblens.decisions import Decision, estimate, estimated_shares, gate
from imblens.errors import ImblensWarning, InputError
from imblens.run import Run

RNG = np.random.default_rng(0)
CENTRES = np.random.default_rng(1).normal(size=(3, 8)) * 2
WEIGHT, BIAS = CENTRES, -(CENTRES**2).sum(axis=1) / 2


def drawn(counts: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(3), counts)
    return CENTRES[labels] + np.random.default_rng(seed).normal(size=(len(labels), 8)), labels


def run_of(val: tuple[int, ...] = (60, 60, 60), test: tuple[int, ...] = (60, 60, 60), offset: float = 0.0) -> Run:
    def placed(seed: int, counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        features, labels = drawn(counts, seed)
        return features + offset, labels

    return Run.from_arrays(
        train=placed(0, (200, 80, 30)),
        val=placed(1, val),
        test=placed(2, test),
        head=(WEIGHT, BIAS - offset * WEIGHT.sum(axis=1)),
        classes=["a", "b", "c"],
    )


def test_features_with_a_large_offset_are_predicted_as_without(tmp_path: Path) -> None:
    features = drawn((50, 50, 50), 7)[0]
    plain, moved = Decision.fit(run_of()), Decision.fit(run_of(offset=1e6))
    path = moved.save(tmp_path / "rules.safetensors")
    for rules in (moved, Decision.load(path)):
        found = rules.predict(features + 1e6)
        assert (found["prediction"] == plain.predict(features)["prediction"]).mean() > 0.98
    found_run = estimate(run_of(offset=1e6), unlabelled=features + 1e6)
    assert found_run.verdict != "refused"


def test_shares_of_a_few_instances_are_not_estimated() -> None:
    with pytest.raises(InputError, match="class shares cannot be estimated"):
        estimated_shares(run_of(), drawn((2, 2, 1), 5)[0])


def test_a_class_without_labelled_instances_is_hedged_and_named() -> None:
    found = estimate(run_of(val=(80, 80, 0)), unlabelled=drawn((80, 80, 20), 5)[0])
    assert found.verdict != "shown" and any("No labelled instance of c" in note for note in found.notes)


def test_a_prediction_outside_its_set_goes_to_a_person() -> None:
    rules = Decision.fit(run_of(), costs=[[0, 1, 1], [1, 0, 1], [30, 30, 0]])
    found = rules.predict(3 * RNG.normal(size=(400, 8)))
    outside = np.array([row.prediction not in row.set for row in found.itertuples()])
    assert outside.any() and found.loc[outside, "abstain"].all()


def test_the_gate_refuses_a_test_split_that_lost_a_class() -> None:
    full, lost = run_of(), run_of(test=(60, 60, 0))
    with pytest.raises(InputError, match="no instance of c"):
        gate(lost, full)
    back = gate(full, lost)
    results = back.table.set_index(["class", "check"])["result"]
    assert results["c", "calibration"] == "skipped"


def test_options_are_not_chosen_on_a_validation_split_that_is_the_test_split() -> None:
    run = run_of()
    with pytest.raises(InputError, match="validation is the test split"):
        imblens.treat(replace(run, val=replace(run.test, name="val")), "best")


def test_a_class_without_training_instances_is_named() -> None:
    features, labels = drawn((60, 60, 60), 3)
    run = Run.from_arrays(
        train=drawn((90, 60, 0), 0), test=(features, labels), head=(WEIGHT, BIAS), classes=["a", "b", "c"]
    )
    with pytest.warns(ImblensWarning, match="no training instance of c"):
        imblens.treat(run, "eos", k_neighbors=5)
