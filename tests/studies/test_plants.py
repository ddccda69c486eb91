"""Plants in stored features change what their names state, and the study counts what the diagnosis makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imblens.errors import InputError, MissingError, NotApplicable
from imblens.studies import PLANTS, Arrays, _planted_arrays, find_study, planted_in, run_study

COUNTS, TESTED = (1200, 600, 400, 240, 60), 80


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    rng = np.random.default_rng(0)
    labels, tested = np.repeat(np.arange(5), COUNTS), np.repeat(np.arange(5), TESTED)
    centres = 4 * np.eye(5, 12)
    features, test = (centres[own] + rng.normal(size=(len(own), 12)) for own in (labels, tested))
    return Arrays(features.astype(np.float32), labels, test.astype(np.float32), tested, tuple("abcde"))


def by_row(one: Arrays) -> dict[bytes, int]:
    """Return the class name of every training instance, by its features."""
    return {row.tobytes(): one.classes[label] for row, label in zip(one.train, one.train_labels, strict=True)}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("plant", [name for name, (cause, _) in PLANTS.items() if cause == "label_noise"])
def test_wrong_labels_are_the_share_they_promise(arrays: Arrays, plant: str, seed: int) -> None:
    found = planted_in(arrays, plant, seed)
    before, after = by_row(arrays), by_row(found.arrays)
    wrong = {row for row, name in after.items() if name != before[row]}
    (name,) = found.planted
    assert {after[row] for row in wrong} == {name}
    share = len(wrong) / np.count_nonzero(found.arrays.train_labels == arrays.classes.index(name))
    assert share == pytest.approx(float(plant.split("%")[0]) / 100, abs=0.003)
    sources = {before[row] for row in wrong}
    assert (sources == set(found.touched)) if "one" in plant else (len(sources) > 1 or len(wrong) < 5)
    assert found.cured is arrays and np.array_equal(found.arrays.test_labels, arrays.test_labels)


@pytest.mark.parametrize("seed", range(4))
def test_groups_are_merged_thinned_or_absent(arrays: Arrays, seed: int) -> None:
    counts = dict(zip("abcde", COUNTS, strict=True))
    for plant, share in (("merged", 0.05), ("merged alike", 0.1)):
        found = planted_in(arrays, plant, seed)
        (name,) = found.planted
        assert len(found.arrays.classes) == 4
        n = len(found.arrays.rows(found.arrays.classes.index(name)))
        assert 0 < n - counts[name] <= max(10, round(share / (1 - share) * counts[name]))
        assert len(found.cured.train) >= len(found.arrays.train)
        assert np.array_equal(found.cured.test, found.arrays.test)
    absent = planted_in(arrays, "group absent", seed)
    (name,) = absent.planted
    label = absent.arrays.classes.index(name)
    assert len(absent.arrays.rows(label)) == counts[name] and len(absent.arrays.test_rows(label)) == 2 * TESTED
    for plant, left in (("part thinned", 0.1), ("part absent", 0.0)):
        found = planted_in(arrays, plant, seed)
        (name,) = found.planted
        removed = counts[name] - len(found.arrays.rows(found.arrays.classes.index(name)))
        assert 0.1 * (1 - left) * counts[name] - 1 <= removed < 0.6 * counts[name]
        assert np.array_equal(found.arrays.test, arrays.test)
    few = planted_in(arrays, "few", seed)
    assert sorted(np.bincount(few.arrays.train_labels))[0] in (10, 12)


def test_two_names_hold_one_class(arrays: Arrays) -> None:
    split, twice = planted_in(arrays, "split", 0), planted_in(arrays, "near duplicates", 0)
    for found, times in ((split, 1.0), (twice, 1.5)):
        name, new = found.planted
        assert new == f"{name} (2)" and new not in found.cured.classes
        n = sum(len(found.arrays.rows(found.arrays.classes.index(one))) for one in found.planted)
        assert n == times * COUNTS["abcde".index(name)]
    label = twice.arrays.classes.index(twice.planted[0])
    new = twice.arrays.train[twice.arrays.rows(5)]
    own = twice.arrays.train[twice.arrays.rows(label)]
    nearest = ((new[:, None] - own[None]) ** 2).mean(axis=2).min(axis=1)
    assert np.sqrt(nearest).max() < 0.2 * own.std()


def test_plants_that_no_class_allows_name_the_reason(arrays: Arrays) -> None:
    small = arrays.without(np.flatnonzero(arrays.train_labels < 4))
    with pytest.raises(NotApplicable, match="200 training and 40 test instances"):
        planted_in(small, "split", 0)
    with pytest.raises(InputError, match="one file name"):
        find_study("diagnosis", arrays=["a/x.npz", "b/x.npz"])
    with pytest.raises(MissingError, match="reads no stored features"):
        find_study("eos-gap", arrays=["x.npz"])


def test_a_treatment_is_compared_with_another_by_network_and_class() -> None:
    own = {"planted": "overlap", "plant": "split", "place": 0, "first": "overlap", "did": "refit"}
    rows = [
        {**own, "network": network, "seed": seed, "class": name, "remedy": remedy, "lift": lift, "others": -0.01}
        for network, name, seed, lifts in (
            ("n", "a", 0, (0.2, 0.1)), ("n", "a", 1, (0.4, 0.1)), ("n", "b", 0, (0.1, 0.2)), ("m", "a", 0, (0.2, 0.0)),
        )
        for remedy, lift in zip(("advised", "another"), lifts, strict=True)
    ]  # fmt: skip
    table = _planted_arrays.advice(pd.DataFrame(rows)).set_index(["diagnosed", "remedy"])
    assert table.loc[("overlap", "advised"), ["trials", "classes", "better"]].tolist() == [4, 3, 1]
    assert table.loc[("all", "advised"), "mean_lift"] == pytest.approx((0.3 + 0.1 + 0.2) / 3)
    row = table.loc[("overlap", "difference")]
    means = np.array([0.2, -0.1, 0.2])
    assert row["mean_lift"] == pytest.approx(0.1) and row["better"] == 0.75 and row["others"] == pytest.approx(0)
    assert row["lift_high"] - 0.1 == pytest.approx(4.302653 * means.std(ddof=1) / np.sqrt(3))


def test_what_is_tried_is_what_the_diagnosis_advises_and_only_treatments_of_the_head(arrays: Arrays) -> None:
    run = arrays.fitted(0)
    table = pd.DataFrame(
        [("a", "overlap", "best"), ("b", "label_noise", "check its label suspects, then train without them")],
        columns=["class", "cause", "treatment"],
    )
    job = _planted_arrays.PlantedArrays("net.npz", "split", 0, advice=True)
    assert [cell.get("remedy") for cell in job.cells] == [None, None, "advised", "another"]
    tried = job._tried(run, table, "a", "advised")
    assert tried["did"] == "best" and abs(tried["lift"]) < 0.1
    assert job._tried(run, table, "a", "another")["did"] in ("crt", "eos", "refit")
    assert job._tried(run, table, "b", "advised")["failed"] == "no treatment of the head is advised."
    assert _planted_arrays.jobs(["net.npz"], quick=True, seeds=None)[0].cells[-1].get("remedy") is None


@pytest.mark.slow
def test_the_study_counts_first_causes_and_false_alarms(arrays: Arrays, tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    np.savez(
        path,
        train_features=arrays.train,
        train_labels=arrays.train_labels,
        test_features=arrays.test,
        test_labels=arrays.test_labels,
        class_names=np.array(arrays.classes),
    )
    study = find_study("diagnosis", arrays=[path], quick=True)
    assert len(study.jobs) == len(PLANTS)
    result = run_study(study, tmp_path / "out", workers=1)
    table = result.tables["study"].set_index("planted")
    assert table["classes"].to_dict() == {
        "label_noise": 6,
        "sub_concepts": 3,
        "overlap": 4,
        "uncovered_range": 2,
        "few_examples": 1,
    }
    assert table.loc["overlap", "right"] >= 0.5 and table.loc["overlap", "costly"] >= 2
    causes = [name for name in table.columns if name in (*table.index, "few_features", "none found", "too few to tell")]
    assert (table[causes].sum(axis=1) == table["classes"]).all()
    alarms = result.tables["false_alarms"].set_index("cause")
    assert alarms.loc["any", "harmless_of"] == 5 and 0 <= alarms.loc["any", "harmless"] <= 1
    again = run_study(study, tmp_path / "out", workers=1, progress=lambda line: None)
    assert again.text == result.text and "By plant:" in result.text
