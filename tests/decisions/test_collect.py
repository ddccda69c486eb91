"""What to collect: learning curves by hand and on planted data, the list against random ones, near-duplicates, the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import imblens
from imblens.base.logistic import fit_logistic
from imblens.cli import main
from imblens.decisions import Unlabelled, collect, collection_gain
from imblens.decisions._collect import _Candidates, _greedy
from imblens.decisions._gain import _gains, _thinned
from imblens.decisions._pool_chances import pool_chances
from imblens.errors import InputError, MissingError, ShapeError
from imblens.run import Run
from tests.decisions.runs import CENTRES, head, run_of, sample

POOL = sample((800, 300, 100, 40), 50)


def test_gains_are_those_that_more_instances_bring() -> None:
    """Wide features: a rare class gains much. The gain that is stated for four times as many is that of a larger run."""
    rng = np.random.default_rng(0)
    centres = 0.45 * rng.normal(size=(3, 30))

    def some(*counts: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(3), counts)
        return centres[labels] + rng.normal(size=(len(labels), 30)), labels

    val, stated, real = some(200, 200, 200), [], []
    for seed in range(2):
        small = collection_gain(Run.from_arrays(train=some(200, 200, 24), val=val), seed=seed, draws=100)[0]
        large = collection_gain(Run.from_arrays(train=some(200, 200, 96), val=val), seed=seed, draws=10)[0]
        stated.append(small.loc[2, ["gain_4_low", "gain_4", "gain_4_high"]].to_numpy(dtype=float))
        real.append(large["recall"][2] - small["recall"][2])
        assert small["gain_2"][2] > small["gain_2"][:2].max()
    low, middle, high = np.mean(stated, axis=0)
    assert low < np.mean(real) < high and middle == pytest.approx(np.mean(real), abs=0.1)


def test_what_has_no_curve_is_nan_and_named() -> None:
    table, notes = collection_gain(run_of(train=(200, 90, 40, 5)), draws=20)
    assert table["gain_2"].isna().tolist() == [False, False, False, True]
    assert any("No gain for dog: fewer than 8 training instances" in note for note in notes)
    assert (table["gain_2_low"].dropna() <= table["gain_2"].dropna()).all()
    with pytest.raises(InputError, match="no held-out instances"):
        collection_gain(run_of(val=None, test=None))


def test_heads_of_many_classes_are_fitted_on_fewer_instances_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(train=(200, 90, 70, 60))
    whole, _ = collection_gain(run, draws=20)
    numbers = run.n_classes * run.dim
    fitted: list[int] = []

    def fit(features: np.ndarray, *given: Any, **options: Any) -> Any:
        fitted.append(len(features))
        return fit_logistic(features, *given, **options)

    monkeypatch.setattr("imblens.decisions._gain.fit_logistic", fit)
    monkeypatch.setattr("imblens.decisions._gain.WORK", 300 * numbers)  # 85 + 85 + 70 + 60
    table, notes = collection_gain(run, draws=20)
    assert max(fitted) == 300 and not table["gain_2"].isna().any() and len(notes) == 1
    assert table["train_count"].tolist() == [200, 90, 70, 60] and not table["gain_2"].equals(whole["gain_2"])
    fitted.clear()
    monkeypatch.setattr("imblens.decisions._gain.WORK", 199 * numbers)  # 50 of each would be 200
    table, notes = collection_gain(run, draws=20)
    assert not fitted and table[["recall", "gain_2", "gain_4_high"]].isna().all(axis=None)
    assert notes == [
        "No gains: 4 classes and 6 features are too many to refit heads on 50 instances of each class in bounded time."
    ]


def test_multi_label_gains_are_of_balanced_accuracy() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random((600, 3)) < [0.5, 0.3, 0.06]).astype(int)
    features = labels @ rng.normal(size=(3, 10)) + 1.5 * rng.normal(size=(600, 10))
    run = Run.from_arrays(
        train=(features[:300], labels[:300], features[:300, :3]), val=(features[300:], labels[300:], features[300:, :3])
    )
    table, notes = collection_gain(run, draws=20)
    assert table["recall"].between(0.4, 1).all() and "balanced accuracy" in notes[0]
    found = collect(run, pool=Unlabelled(features, features[:, :3]), count=20, gain=False)
    assert set(found.tables["list"]["for_class"]) == {"2"}


def test_the_list_holds_more_of_the_rare_class_than_a_random_one() -> None:
    features, truth = POOL
    found = collect(run_of(), pool=features, count=60, gain=False)
    table, classes = found.tables["list"], found.tables["classes"].set_index("class")
    rows = table["id"].astype(int).to_numpy()
    rare = (truth[rows] == 3).sum()
    assert rare > 4 * 60 * (truth == 3).mean()
    assert len(set(rows)) == 60 and set(table["for_class"]) == {"dog"}
    assert classes["aimed"].tolist() == [False, False, False, True]
    assert classes["expected"]["dog"] == pytest.approx(rare, abs=10)
    assert classes["expected"]["dog"] == pytest.approx(found.stated.number)
    assert found.stated.low <= rare <= found.stated.high
    assert f"about {found.stated.number:.0f} [{found.stated.low:.0f}, {found.stated.high:.0f}] of" in found.lines()[0]
    assert classes["expected_random"]["dog"] == pytest.approx(60 * (truth == 3).mean(), abs=1.5)
    assert classes["expected"].sum() == pytest.approx(60)
    named = collect(run_of(), pool=features, count=30, classes=["cat", "bee"], gain=False).tables["list"]
    assert set(named["for_class"]) <= {"cat", "bee"} and named["for_class"][0] == "cat"


def test_a_class_that_is_not_found_in_the_pool_keeps_half_of_its_share() -> None:
    features, truth = POOL
    found = collect(run_of(), pool=features[(truth != 3) & (features @ CENTRES[3] < 0)], count=20, gain=False)
    assert any("Hardly any dog was found in the pool" in note for note in found.notes)
    share = found.tables["classes"]["pool_share"][3]
    assert share < 0.1 * 6 / 216  # as found
    chances = pool_chances(run_of(), found_logits(features, truth), np.arange(4) == 3, np.random.default_rng(0))
    assert 0.5 * 6 / 216 - 0.005 < chances.used[3] < 6 / 216 and chances.found[3] == share
    assert found.stated.number < 1 < found.stated.high  # the interval holds for both
    assert not any("Hardly any" in note for note in collect(run_of(), pool=features, count=20, gain=False).notes)


def found_logits(features: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Logits of what looks like no dog."""
    weight, bias = head()
    return features[(truth != 3) & (features @ CENTRES[3] < 0)] @ weight.T + bias


def overstated(
    run: Run, pool: Unlabelled, truth: np.ndarray, *, seeds: int = 6
) -> list[tuple[float, float, float, int]]:
    """Stated number, interval and true number of rare instances in lists of samples of a pool."""
    found = []
    for seed in range(seeds):
        rows = np.random.default_rng(seed).choice(len(truth), len(truth) // 2, replace=False)
        some = Unlabelled(logits=np.asarray(pool.logits)[rows], ids=rows.astype(str))
        result = collect(run, pool=some, count=40, gain=False, seed=seed)
        places = result.tables["list"]["id"].astype(int).to_numpy()
        found.append((*result.stated, int((truth[places] == 3).sum())))
    return found


def test_the_stated_interval_holds_though_probabilities_are_far_from_calibrated() -> None:
    """Probabilities pulled towards one half where they are small: a temperature and biases cannot correct that."""
    features, truth = sample((800, 300, 100, 100), 51)
    val_features, val_labels = sample((400, 200, 100, 60), 52)
    weight, bias = head(1.0)

    def bent(x: np.ndarray) -> np.ndarray:
        z = x @ weight.T + bias
        return np.sign(z) * np.abs(z) ** 0.5

    run = Run.from_arrays(
        train=(*sample((200, 90, 40, 12), 0), bent(sample((200, 90, 40, 12), 0)[0])),
        val=(val_features, val_labels, bent(val_features)),
        classes=["ant", "bee", "cat", "dog"],
    )
    found = overstated(run, Unlabelled(logits=bent(features)), truth)
    assert sum(low <= true <= high for _, low, high, true in found) >= 5
    assert all(high - low < 35 for _, low, high, _ in found)  # of 40


def test_without_a_validation_split_no_number_is_stated() -> None:
    features, truth = POOL
    found = collect(run_of(val=None), pool=features, count=60, gain=False)
    classes = found.tables["classes"]
    assert classes[["pool_share", "expected", "expected_random"]].isna().all(axis=None) and np.isnan(
        found.stated.number
    )
    assert "How many of them are of these classes cannot be stated." in found.lines()[0]
    assert any("No validation split" in note and "Capture a validation split" in note for note in found.notes)
    section = found.section()
    place = section["columns"].index("expected in the list")
    assert {row[place] for row in section["rows"]} == {"unknown"}
    rows = found.tables["list"]["id"].astype(int).to_numpy()
    assert (truth[rows] == 3).sum() > 2 * 60 * (truth == 3).mean()  # the list is still better than a random one


def test_a_class_without_validation_instances_has_no_stated_number() -> None:
    features, _ = POOL
    found = collect(run_of(val=(120, 60, 30, 0)), pool=features, count=20, gain=False)
    assert np.isnan(found.stated.number) and any("has no instance of these classes" in note for note in found.notes)
    named = collect(run_of(val=(120, 60, 30, 0)), pool=features, count=20, classes=["cat"], gain=False)
    assert named.stated.low < named.stated.number < named.stated.high


def test_near_duplicates_are_left_out() -> None:
    features, _ = POOL
    run = run_of()
    doubled = np.concatenate([features, features + 1e-4, run.train.features])
    found = collect(run, pool=doubled, count=50, gain=False)
    rows = found.tables["list"]["id"].astype(int).to_numpy()
    assert (rows < 2 * len(features)).all()  # no training instance
    assert len(set(rows % len(features))) == 50  # no instance twice
    assert (found.tables["list"]["duplicates"] >= 1).all()
    assert any("Near-duplicates of training instances were left out" in note for note in found.notes)


def test_the_order_of_the_pool_and_random_state_do_not_matter() -> None:
    features, _ = POOL
    rows = np.random.default_rng(3).permutation(len(features))
    state = np.random.get_state()[1].copy()
    one = collect(run_of(), pool=features, count=25, gain=False).tables["list"]
    other = collect(run_of(), pool=Unlabelled(features[rows], ids=rows.astype(str)), count=25, gain=False).tables[
        "list"
    ]
    pd.testing.assert_frame_equal(one, other)
    assert (np.random.get_state()[1] == state).all()


def test_without_a_validation_split_a_note_states_what_chances_are() -> None:
    found = imblens.collect(run_of(val=None), pool=POOL[0], count=5000, gain=False)
    assert any("No validation split" in note for note in found.notes)
    assert any("the pool has no other" in note for note in found.notes)
    assert 0 < len(found.tables["list"]) <= len(POOL[0])


@pytest.mark.parametrize(
    ("options", "error", "fragment"),
    [
        ({"count": 0}, InputError, "count=0"),
        ({"classes": ["cow"]}, MissingError, "'cow' is not a class"),
        ({"classes": []}, InputError, "classes is empty"),
        ({"pool": np.zeros((0, 6))}, InputError, "pool"),
        ({"pool": np.zeros((5, 3))}, ShapeError, "3 columns; the run has 6"),
        ({"pool": np.full((5, 6), np.nan)}, InputError, "NaN"),
        ({"pool": Unlabelled(POOL[0][:3], ids=["a", "b", "a"])}, InputError, "have the id 'a'"),
        ({"pool": None}, InputError, "neither a pool nor gains"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict, error: type[Exception], fragment: str) -> None:
    with pytest.raises(error, match=fragment):
        collect(run_of(), **{"pool": POOL[0], "gain": False, **options})


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    run_of(train=(30, 20, 15, 9), val=(30, 20, 15, 9)).save("run")
    np.savez("pool.npz", features=POOL[0], ids=[f"p{i}" for i in range(len(POOL[0]))])
    table = pd.DataFrame({"features": list(POOL[0].astype(float)), "id": [f"p{i}" for i in range(len(POOL[0]))]})
    table.to_parquet("pool.parquet")
    table[["id"]].to_parquet("bare.parquet")
    Path("damaged.parquet").write_bytes(b"PAR1")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["imblens", "collect", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return call


def test_the_command_writes_the_list_and_the_gains(command) -> None:
    code, out, _ = command("run", "--pool", "pool.npz", "--count", "20", "--out", "found")
    assert code == 0 and "list: found/list.csv" in out and "collect: found" in out and "next: imblens audit" in out
    table = pd.read_csv("found/list.csv")
    assert table["rank"].tolist() == list(range(1, 21)) and table["id"].str.startswith("p").all()
    assert "gain_2" in pd.read_csv("found/tables/classes.csv")
    assert json.loads(Path("found/collect.json").read_text())["lines"][0].startswith(
        "20 instances to label next, for dog"
    )
    code, out, _ = command("run", "--pool", "pool.parquet", "--count", "20", "--out", "other", "--no-gain", "--json")
    assert code == 0 and [row["id"] for row in json.loads(out)["list"]] == table["id"].tolist()


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["run", "--pool", "gone.npz", "--out", "found"], "there is no gone.npz"),
        (["run", "--pool", "bare.parquet", "--out", "found"], "neither a column 'features' nor 'logits'"),
        (["run", "--pool", "damaged.parquet", "--out", "found"], "cannot be read"),
        (["run", "--pool", "pool.npz", "--count", "-1", "--out", "found"], "count=-1"),
        (["run", "--pool", "pool.npz", "--class", "dgo", "--out", "found"], "'dgo' is not a class"),
        (["nowhere", "--out", "found"], "no run at nowhere"),
    ],
)
def test_bad_input_ends_with_2_and_writes_nothing(command, words: list[str], fragment: str) -> None:
    code, out, err = command(*words)
    assert code == 2 and out == "" and fragment in err and len(err.strip().splitlines()) <= 2
    assert not Path("found").exists()


def test_labels_after_one_that_is_too_rare_have_their_gains() -> None:
    rng = np.random.default_rng(2)
    labels = (rng.random((400, 3)) < [0.01, 0.3, 0.4]).astype(int)
    features = labels @ rng.normal(size=(3, 6)) + rng.normal(size=(400, 6))
    halves = [(features[rows], labels[rows], features[rows, :3]) for rows in (slice(200), slice(200, 400))]
    table, notes = collection_gain(Run.from_arrays(train=halves[0], val=halves[1]), draws=20)
    assert table["gain_2"].isna().tolist() == [True, False, False]
    assert any("No gain for 0: fewer than 8 training instances" in note for note in notes)


def test_gains_of_a_class_that_is_never_right_start_from_zero() -> None:
    never = np.array([-0.3, -0.2, -0.1])  # what a fit below zero would state
    assert _gains(never, np.array([10.0, 20.0, 40.0]), 40, 1.0).tolist() == pytest.approx([0, 0], abs=0.02)


def test_a_share_of_few_instances_is_one_at_least() -> None:
    rng = np.random.default_rng(0)
    assert [int(_thinned(count, share, rng).sum()) for count, share in ((8, 0.01), (8, 0.5), (3, 0.1))] == [1, 4, 1]


def test_by_default_the_list_is_of_a_hundred() -> None:
    found = imblens.collect(run_of(), pool=sample((2000, 900, 400, 400), 51)[0], gain=False)
    assert len(found.tables["list"]) == 100


def test_the_list_turns_to_the_class_of_which_it_holds_fewest() -> None:
    """Ten and eleven training instances; each choice adds half an instance of its class, and ties go to the first in order."""
    run = run_of(train=(30, 30, 11, 10))
    p = np.zeros((8, 4))
    p[:4, 2] = p[4:, 3] = 0.5
    pool = _Candidates(np.arange(8), p, None, np.full(8, np.nan))
    chosen, _, _ = _greedy(run, pool, np.array([False, False, True, True]), 5, 0.0)
    assert chosen.tolist() == [4, 5, 0, 6, 1]


def test_of_many_classes_few_candidates_are_held_at_once_and_the_list_is_as_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    monkeypatch.setattr("imblens.decisions._collect.COMPARED", 4 * 30)
    monkeypatch.setattr(
        "imblens.decisions._collect._greedy", lambda *given: seen.append(given[1].p.size) or _greedy(*given)
    )
    for count in (10, 50):
        found = imblens.collect(run_of(), pool=POOL[0], count=count, gain=False)
        assert len(found.tables["list"]) == count
    assert seen == [4 * 30, 4 * 50]
