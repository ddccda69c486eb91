"""Estimates without labels: by hand, recovery of planted shares, coverage, refusals, the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from imblens import estimate
from imblens.cli import main
from imblens.decisions import (
    Unlabelled,
    adjusted_probabilities,
    black_box_prior,
    em_prior,
)
from imblens.errors import InputError, MissingError, ShapeError
from imblens.run import Run
from tests.decisions.runs import NAMES, run_of, sample

EQUAL = (400, 400, 400, 400)


def truth(run: Run, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    right = run.head(features).argmax(axis=1) == labels
    return np.array([right[labels == c].mean() for c in range(4)])


def test_em_is_the_maximum_of_the_likelihood() -> None:
    from scipy.optimize import minimize

    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), size=400)
    prior = np.array([0.5, 0.3, 0.2])

    def loss(x: np.ndarray) -> float:
        share = np.exp(x) / np.exp(x).sum()
        return -float(np.log((p * (share / prior)).sum(axis=1)).sum())

    best = minimize(loss, np.zeros(3)).x
    assert em_prior(p, prior, steps=5000, tolerance=1e-9) == pytest.approx(np.exp(best) / np.exp(best).sum(), abs=1e-4)
    with pytest.raises(InputError, match="share of 0"):
        em_prior(p, np.array([0.5, 0.5, 0.0]))
    assert em_prior(p, prior, strength=1e9) == pytest.approx(prior, abs=1e-6)


def test_adjusted_probabilities_follow_bayes() -> None:
    found = adjusted_probabilities(np.array([[0.6, 0.4]]), np.array([0.5, 0.5]), np.array([0.2, 0.8]))
    assert found == pytest.approx(np.array([[0.12, 0.32]]) / 0.44)
    both = adjusted_probabilities(np.array([[0.6, 0.1]]), np.array([0.5, 0.5]), np.array([0.2, 0.5]), multilabel=True)
    assert both == pytest.approx(np.array([[0.12 / 0.44, 0.1]]))


def test_black_box_shares_solve_the_equations() -> None:
    rates = np.array([[0.8, 0.2, 0.0], [0.1, 0.7, 0.2], [0.0, 0.3, 0.7]])
    share = np.array([0.2, 0.3, 0.5])
    assert black_box_prior(1000 * rates, share @ rates) == pytest.approx(share)
    assert np.isnan(black_box_prior(np.diag([5, 3, 0]), share)).all()


def test_planted_shares_are_recovered_by_both_within_their_intervals() -> None:
    run = run_of(val=(400, 300, 200, 100))
    inside, apart = [], []
    for seed, counts in enumerate(((100, 200, 300, 400), (800, 100, 50, 50), (250, 250, 250, 250))):
        features, _ = sample(counts, 70 + seed)
        found = estimate(run, unlabelled=features, seed=seed, draws=60)
        table = found.tables["priors"]
        share = np.array(counts) / sum(counts)
        inside += ((table["share_low"] <= share) & (share <= table["share_high"])).tolist()
        apart.append(np.abs(table["black_box"] - share).max())
        assert np.abs(table["share"] - share).max() < 0.05 and found.verdict == "shown"
        assert not any("disagree" in note for note in found.notes)
    assert np.mean(inside) >= 10 / 12 and max(apart) < 0.08


def test_recall_is_estimated_better_than_from_labels_alone_and_intervals_cover() -> None:
    run = run_of(val=None)
    errors, alone, covered = [], [], []
    for seed in range(6):
        features, labels = sample(EQUAL, 100 + seed)
        known = sample((60, 30, 8, 2), 200 + seed)
        table = estimate(run, unlabelled=features, labels=known, seed=seed, draws=60).tables["estimate"]
        real = truth(run, features, labels)
        errors.append(np.abs(table["recall"] - real))
        alone.append(np.abs(truth(run, *known) - real))
        covered.append((table["recall_low"] <= real) & (real <= table["recall_high"]))
    assert np.mean(errors) < 0.75 * np.mean(alone)
    assert np.mean(covered) >= 0.85


def test_all_measures_are_near_the_truth() -> None:
    run = run_of(val=(600, 400, 300, 200))
    features, labels = sample((500, 400, 300, 800), 5)
    found = estimate(run, unlabelled=features, draws=50)
    predicted = run.head(features).argmax(axis=1)
    table = found.tables["estimate"]
    assert table["recall"].to_numpy() == pytest.approx(truth(run, features, labels), abs=0.05)
    precision = [(labels[predicted == c] == c).mean() for c in range(4)]
    assert table["precision"].to_numpy() == pytest.approx(precision, abs=0.08)
    assert found.summary["accuracy"] == pytest.approx((predicted == labels).mean(), abs=0.03)
    pairs = found.tables["confusion"].set_index(["class", "predicted"])["share"]
    assert pairs["ant", "bee"] == pytest.approx((predicted[labels == 0] == 1).mean(), abs=0.05)
    assert found.summary["label_shift_p"] < 0.01 and "they were estimated (EM)" in " ".join(found.notes)


def test_other_instances_within_classes_are_refused_or_hedged() -> None:
    run = run_of(val=(400, 300, 200, 100))
    features, _ = sample((400, 300, 200, 100), 3)
    found = estimate(run, unlabelled=1.6 * features + 0.8, draws=20)
    assert found.verdict == "refused" and found.tables["estimate"]["recall"].isna().all()
    assert found.summary["accuracy"] is None and found.lines()[0].startswith("refused")
    assert estimate(run, unlabelled=features, draws=20).verdict == "shown"
    slight = features + 0.6 * np.random.default_rng(0).normal(size=features.shape)
    assert estimate(run, unlabelled=slight, draws=20).verdict in ("hedged", "refused")


def test_few_labels_hedge_and_classes_without_labels_are_named() -> None:
    run = run_of(val=None)
    found = estimate(run, unlabelled=sample(EQUAL, 1)[0], labels=sample((12, 6, 3, 0), 2), draws=20)
    assert found.verdict == "hedged" and "cannot be tested" in " ".join(found.notes)
    assert "No labelled instance of dog" in " ".join(found.notes)
    assert found.tables["priors"]["black_box"].isna().all()
    table = found.tables["estimate"]
    assert (table["recall_high"] - table["recall_low"]).idxmax() == 3


def test_multi_label_runs() -> None:
    rng = np.random.default_rng(1)

    def some(n: int, shares: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        y = (rng.random((n, 2)) < shares).astype(int)
        return 1.5 * y - 0.75 + rng.normal(size=y.shape), y

    head = (2.5 * np.eye(2), [0.0, 0.5])
    run = Run.from_arrays(train=some(200, (0.5, 0.2)), val=some(1500, (0.5, 0.2)), head=head, classes=["dark", "wet"])
    features, y = some(4000, (0.3, 0.4))
    found = estimate(run, unlabelled=features, draws=50)
    said = run.head(features) > 0
    table = found.tables["estimate"]
    assert table["recall"].to_numpy() == pytest.approx([said[y[:, c] == 1, c].mean() for c in range(2)], abs=0.05)
    assert table["specificity"].to_numpy() == pytest.approx(
        [(~said[y[:, c] == 0, c]).mean() for c in range(2)], abs=0.05
    )
    assert found.tables["priors"]["share"].to_numpy() == pytest.approx([0.3, 0.4], abs=0.04)
    assert found.tables["priors"]["black_box"].to_numpy() == pytest.approx([0.3, 0.4], abs=0.06)
    assert "confusion" not in found.tables


def test_order_of_instances_and_random_state_do_not_matter() -> None:
    run = run_of()
    features, _ = sample(EQUAL, 1)
    np.random.seed(3)
    state = np.random.get_state()[1].tolist()
    one = estimate(run, unlabelled=features, draws=5).tables["estimate"]
    assert np.random.get_state()[1].tolist() == state
    two = estimate(run, unlabelled=features[::-1], draws=5).tables["estimate"]
    assert one["recall"].to_numpy() == pytest.approx(two["recall"].to_numpy())


def test_input_that_does_not_fit_is_refused() -> None:
    run = run_of(val=None)
    features, labels = sample(EQUAL, 1)
    with pytest.raises(InputError, match="no val split"):
        estimate(run, unlabelled=features)
    with pytest.raises(ShapeError, match="unlabelled features have 5 columns; the run has 6"):
        estimate(run, unlabelled=features[:, :5], labels=(features, labels))
    with pytest.raises(MissingError, match="'cow' is not a class of the run"):
        estimate(run, unlabelled=features, labels=(features[:2], ["ant", "cow"]))
    with pytest.raises(InputError, match="NaN"):
        estimate(run, unlabelled=np.full((9, 6), np.nan), labels=(features, labels))
    with pytest.raises(ShapeError, match="labels has 3 rows"):
        estimate(run, unlabelled=features, labels=(features[:4], labels[:3]))
    named = estimate(run, unlabelled=features, labels=(features[:200], np.array(NAMES)[labels[:200]]), draws=5)
    numbered = estimate(run, unlabelled=features, labels=(features[:200], labels[:200]), draws=5)
    assert named.tables["estimate"].equals(numbered.tables["estimate"])
    with pytest.raises(ShapeError, match="3 ids for 1600 instances"):
        Unlabelled(features, ids=["a", "b", "c"])


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    run_of(val=(400, 300, 200, 100)).save("run")
    features, labels = sample((300, 200, 100, 80), 5)
    np.savez("new.npz", features=features, ids=[f"n{i}" for i in range(680)])
    np.savez("far.npz", features=2 * features + 2)
    np.savez("same.npz", features=features[:99], ids=[f"n{i % 50}" for i in range(99)])
    rows = "\n".join(f"n{i},{NAMES[labels[i]]}" for i in range(60))
    Path("labels.csv").write_text(f"id,label\n{rows}\n")
    Path("unknown.csv").write_text("id,label\nx9,ant\n")
    Path("class.csv").write_text("id,label\nn1,cow\n")
    Path("twice.csv").write_text("id,label\nn1,ant\nn1,bee\n")
    Path("one.csv").write_text("id,label\nn1,ant\n")
    Path("empty.csv").write_text("id,label\n")
    Path("columns.csv").write_text("name,label\nn1,ant\n")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["imblens", "estimate", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return call


def test_the_command_estimates_and_writes(command) -> None:
    code, out, _ = command("run", "--unlabelled", "new.npz", "--labels", "labels.csv", "--out", "estimate")
    assert code == 0 and "shown: estimated balanced accuracy" in out and "estimate: estimate" in out
    assert {path.name for path in Path("estimate/tables").iterdir()} == {"estimate.csv", "priors.csv", "confusion.csv"}
    code, out, _ = command("run", "--unlabelled", "run", "--json")
    assert code == 0 and json.loads(out)["summary"]["verdict"] == "shown"


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["--unlabelled", "far.npz"], "differ from the labelled ones within classes"),
        (["--unlabelled", "gone.npz"], "there is no gone.npz"),
        (["--unlabelled", "new.npz", "--labels", "gone.csv"], "there is no gone.csv"),
        (["--unlabelled", "new.npz", "--labels", "unknown.csv"], "names the id 'x9'"),
        (["--unlabelled", "new.npz", "--labels", "class.csv"], "'cow' is not a class of the run"),
        (["--unlabelled", "new.npz", "--labels", "twice.csv"], "the id 'n1' twice"),
        (["--unlabelled", "same.npz", "--labels", "one.csv"], "several unlabelled instances have the id 'n1'"),
        (["--unlabelled", "new.npz", "--labels", "empty.csv"], "holds no label"),
        (["--unlabelled", "new.npz", "--labels", "columns.csv"], "has no column 'id'"),
        (["--unlabelled", "new.npz", "--choose-on", "train"], "cannot be chosen on 'train'"),
    ],
)
def test_bad_input_ends_with_2_and_writes_nothing(command, words: list[str], fragment: str) -> None:
    code, out, err = command("run", *words, "--out", "estimate")
    assert code == 2 and out == "" and fragment in err
    assert len([line for line in err.splitlines() if line.startswith(("error", "hint"))]) <= 2
    assert not Path("estimate").exists()
