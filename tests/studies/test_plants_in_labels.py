"""Plants in one label of stored features change what their names state, and the study counts what the diagnosis finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imblens.errors import InputError, NotApplicable
from imblens.run import UNKNOWN
from imblens.studies import _planted_labels, find_study, run_study
from imblens.studies._plants_in_labels import LabelArrays, planted_in_label

N, TESTED = 900, 500


@pytest.fixture(scope="module")
def arrays() -> LabelArrays:
    rng = np.random.default_rng(0)
    labels, tested = ((rng.random((n, 3)) < (0.5, 0.3, 0.05)).astype(np.int64) for n in (N, TESTED))
    features, test = (rng.normal(size=(len(own), 8)) + 3.2 * own @ np.eye(3, 8) for own in (labels, tested))
    for values in (features, test):
        values[:, 7] += 7 * (rng.random(len(values)) < 0.3)
    groups = {"train": np.arange(N), "test": np.arange(TESTED)}
    return LabelArrays(features.astype(np.float32), labels, test.astype(np.float32), tested, tuple("abc"), groups)


def test_labels_that_are_large_enough_are_taken_in_turn(arrays: LabelArrays) -> None:
    assert [planted_in_label(arrays, "5% flipped", seed).planted for seed in range(4)] == [
        ("a",),
        ("b",),
        ("a",),
        ("b",),
    ]
    few = arrays.without(np.arange(100, N))
    with pytest.raises(NotApplicable, match="100 positive training and 40 positive test instances"):
        planted_in_label(few, "5% flipped", 0)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("percent", [2, 5, 10])
def test_as_many_negatives_as_positives_are_flipped_in_one_label(arrays: LabelArrays, percent: int, seed: int) -> None:
    found = planted_in_label(arrays, f"{percent}% flipped", seed)
    before, after = arrays.train_labels, found.arrays.train_labels
    assert np.array_equal(before[:, 1 - seed], after[:, 1 - seed]) and np.array_equal(before[:, 2], after[:, 2])
    change = after[:, seed] - before[:, seed]
    n = round(percent / 100 * before[:, seed].sum())
    assert (change == 1).sum() == (change == -1).sum() == n
    assert np.array_equal(found.arrays.test_labels, arrays.test_labels)


@pytest.mark.parametrize("seed", range(4))
def test_a_part_of_the_positives_is_absent_with_its_groups(arrays: LabelArrays, seed: int) -> None:
    found = planted_in_label(arrays, "part absent", seed)
    kept = found.arrays.groups["train"]  # each instance is a group of its own
    gone = np.setdiff1d(np.arange(N), kept)
    label = "abc".index(found.planted[0])
    assert (arrays.train_labels[gone, label] == 1).all()
    assert 0.1 <= len(gone) / arrays.train_labels[:, label].sum() <= 0.6
    assert np.array_equal(found.arrays.train, arrays.train[kept])
    lost = 1 - found.arrays.train_labels.sum(axis=0) / arrays.train_labels.sum(axis=0)
    assert {"abc"[c] for c in range(3) if c != label and lost[c] >= 0.05} == set(found.touched)


def test_the_head_separates_labels_and_uncertain_ones_are_refused(arrays: LabelArrays) -> None:
    run = arrays.fitted()
    assert run.test is not None
    assert ((np.asarray(run.test.logits) > 0) == arrays.test_labels).mean() > 0.9
    (part,) = run.train.parts
    unsure = list(np.eye(1, 3, dtype=np.uint8).repeat(N, axis=0))
    doubtful = replace(run.train, parts=(replace(part, table=pd.DataFrame({UNKNOWN: unsure})),))
    with pytest.raises(NotApplicable, match="no label is uncertain"):
        LabelArrays.of(replace(run, train=doubtful))


def test_what_is_at_fault_is_no_reason() -> None:
    table = pd.DataFrame(
        [("a", "ranking", 0.5), ("a", "overlap", 0.4), ("b", "threshold", 0.5), ("c", "too few to tell", 0.0)],
        columns=["class", "cause", "strength"],
    )
    found = _planted_labels.reasons(table).set_index("class")
    assert found["cause"].to_dict() == {"a": "overlap", "b": "none found", "c": "too few to tell"}
    assert found.loc["b", "strength"] == 0


def test_the_study_of_labels_counts_first_reasons(arrays: LabelArrays, tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    np.savez(
        path,
        class_names=np.array(arrays.classes),
        train_features=arrays.train,
        train_labels=arrays.train_labels,
        test_features=arrays.test,
        test_labels=arrays.test_labels,
    )
    study = find_study("diagnosis", arrays=[path], quick=True)
    result = run_study(study, tmp_path / "out", workers=1)
    by_plant = result.tables["plants"].set_index("plant")
    assert by_plant.loc[["10% flipped", "part absent"], "right"].tolist() == [1.0, 1.0]
    named = result.tables["false_alarms"].set_index("cause")["named"]
    assert named["label_noise"] == 0 and named["any"] == 0
    assert "Unplanted labels for which a reason is named" in result.text
    np.savez(tmp_path / "one.npz", train_features=arrays.train, train_labels=arrays.train_labels[:, 0])
    with pytest.raises(InputError, match="single-label and multi-label features cannot be combined"):
        find_study("diagnosis", arrays=[path, tmp_path / "one.npz"])
