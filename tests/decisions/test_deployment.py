"""Class shares, costs and recall constraints as decision rules."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from imblens import Decision
from imblens.cli import main
from imblens.cli.audit import to_try
from imblens.decisions import adjusted_probabilities, decision_section, recall_threshold
from imblens.errors import InputError, MissingError
from imblens.report import audit, summary
from imblens.run import Run
from tests.decisions.runs import NAMES, run_of, sample

SHARES = {"ant": 0.1, "bee": 0.2, "cat": 0.3, "dog": 0.4}


def test_probabilities_for_other_shares_follow_bayes_and_decide() -> None:
    run = run_of()
    usual, other = Decision.fit(run), Decision.fit(run, prior=SHARES)
    p = adjusted_probabilities(usual.calibration(run.test.logits), usual.shares, np.array(list(SHARES.values())))
    assert other.calibration(run.test.logits) == pytest.approx(p)
    found = other.predict(run.test.features)
    assert found["prediction"].tolist() == [NAMES[c] for c in p.argmax(axis=1)]
    assert any("stated class shares" in note for note in other.notes)
    multi = (np.random.default_rng(0).random((300, 2)) < [0.5, 0.2]).astype(int)
    z = 2.0 * multi - 1 + np.random.default_rng(1).normal(size=multi.shape)
    two = Run.from_arrays(train=(z, multi, z), val=(z, multi, z), classes=["dark", "wet"])
    before, after = Decision.fit(two), Decision.fit(two, prior={"dark": 0.1, "wet": 0.6})
    expected = adjusted_probabilities(before.calibration(z), before.shares, np.array([0.1, 0.6]), multilabel=True)
    assert after.calibration(z) == pytest.approx(expected)


def test_stated_shares_raise_accuracy_where_they_hold_and_expected_values_come_true() -> None:
    run = run_of(val=(800, 600, 400, 400))
    features, labels = sample((100, 200, 300, 4400), 31)
    shares = dict(zip(NAMES, np.bincount(labels) / len(labels), strict=True))
    usual, stated = Decision.fit(run), Decision.fit(run, prior=shares)
    right = [(rule.decide(features).predicted == labels).mean() for rule in (usual, stated)]
    assert right[1] > right[0] + 0.02
    expected = stated.expected(run)
    predicted = stated.decide(features).predicted
    real = [((predicted == c) & (labels == c)).sum() / (predicted == c).sum() for c in range(4)]
    assert expected["precision"].to_numpy()[2:] == pytest.approx(real[2:], abs=0.08)
    assert expected["share"].to_numpy() == pytest.approx(list(shares.values()))


def test_the_least_expected_cost_is_predicted() -> None:
    run = run_of(val=(600, 400, 300, 200))
    costs = np.ones((4, 4)) - np.eye(4)
    costs[3, :3] = 25.0  # a missed dog
    rule, usual = Decision.fit(run, costs=costs), Decision.fit(run)
    p = usual.calibration(run.test.logits)
    by_hand = [min(range(4), key=lambda k: sum(row[c] * costs[c, k] for c in range(4))) for row in p]
    assert rule.decide(run.test.features).predicted.tolist() == by_hand
    features, labels = sample((600, 400, 300, 200), 8)
    paid = [costs[labels, rule.decide(features).predicted].mean() for rule in (usual, rule)]
    assert paid[1] < paid[0]


def test_the_threshold_is_the_tolerance_limit() -> None:
    values = np.random.default_rng(0).permutation(np.linspace(0.01, 1, 100))
    k = round(recall_threshold(values, 0.9) * 100)
    assert 1 - stats.binom.cdf(k - 1, 100, 0.1) >= 0.95 > 1 - stats.binom.cdf(k, 100, 0.1)
    assert recall_threshold(np.linspace(0.2, 0.9, 59), 0.95) == 0.2
    with pytest.raises(InputError, match=r"cannot be guaranteed from 58 held-out instances. 59 instances"):
        recall_threshold(np.linspace(0.2, 0.9, 58), 0.95)


def test_thresholds_keep_the_recall_at_the_stated_rate() -> None:
    large, labels = sample((4000, 2000, 1000, 4000), 1)
    kept = []
    for seed in range(60):
        run = run_of(val=(120, 60, 30, 90), test=None, seed=seed)
        rule = Decision.fit(run, min_recall={"dog": 0.9})
        predicted = rule.decide(large).predicted
        kept.append((predicted[labels == 3] == 3).mean() >= 0.9)
    assert np.sum(kept) >= stats.binom.ppf(0.001, 60, 0.95)
    assert rule.thresholds is not None and np.isnan(rule.thresholds[:3]).all()
    precision = (labels[predicted == 3] == 3).mean()
    assert precision > 0.5


def test_multi_label_thresholds() -> None:
    rng = np.random.default_rng(1)
    y = (rng.random((2000, 2)) < [0.5, 0.2]).astype(int)
    z = 2.0 * y - 1 + 1.5 * rng.normal(size=y.shape)
    run = Run.from_arrays(train=(z, y, z), val=(z[:1000], y[:1000], z[:1000]), classes=["dark", "wet"])
    rule = Decision.fit(run, min_recall={"wet": 0.95})
    predicted = rule.decide(None, z[1000:].astype(np.float32)).predicted
    assert predicted[y[1000:, 1] == 1, 1].mean() >= 0.94
    assert (predicted[:, 0] == (z[1000:, 0] > 0)).all()
    with pytest.raises(InputError, match="single-label runs"):
        Decision.fit(run, costs=[[0, 1], [1, 0]])


def test_rules_with_costs_and_shares_are_stored(tmp_path: Path) -> None:
    run = run_of(val=(120, 60, 40, 60))
    rule = Decision.fit(run, prior="equal", costs=1 - np.eye(4), min_recall={"dog": 0.9})
    again = Decision.load(rule.save(tmp_path / "rules.safetensors"))
    pd.testing.assert_frame_equal(again.predict(run.test.features), rule.predict(run.test.features))
    with pytest.raises(InputError, match="cannot be adapted"):
        again.with_shares(np.full(4, 0.25))


@pytest.mark.parametrize(
    ("options", "error", "fragment"),
    [
        ({"prior": {**SHARES, "dog": 0.6}}, InputError, "sum to 1.2, not to 1"),
        ({"prior": {**SHARES, "dog": np.nan}}, InputError, "is nan, not between 0 and 1"),
        ({"prior": {"ant": 1.0}}, MissingError, "no share of 'bee'"),
        ({"prior": {**SHARES, "cow": 0.0}}, MissingError, "'cow' is not a class"),
        ({"prior": "uniform"}, InputError, "neither equal, training"),
        ({"costs": np.eye(4)}, InputError, "costs as much as any error"),
        ({"costs": np.full((4, 4), np.nan)}, InputError, "not a finite number"),
        ({"costs": np.eye(3)}, InputError, r"shape \(3, 3\) for 4 classes"),
        ({"min_recall": {"cow": 0.9}}, MissingError, "'cow' is not a class"),
        ({"min_recall": {"dog": 0.9}}, InputError, "cannot be guaranteed from 6 held-out instances"),
        ({"min_recall": {"ant": 1.0}}, InputError, "is impossible"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict, error: type[Exception], fragment: str) -> None:
    with pytest.raises(error, match=fragment):
        Decision.fit(run_of(), **options)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    run_of(val=(400, 300, 200, 100)).save("run")
    np.savez("new.npz", features=sample((100, 100, 100, 300), 5)[0])
    Path("shares.csv").write_text("class,share\n" + "".join(f"{name},{share}\n" for name, share in SHARES.items()))
    Path("sum.csv").write_text("class,share\nant,0.5\nbee,0.5\ncat,0.5\ndog,0.1\n")
    Path("twice.csv").write_text("class,share\nant,0.5\nant,0.5\ncat,0.5\ndog,0.1\n")
    Path("words.csv").write_text("class,share\nant,many\nbee,0.5\ncat,0.5\ndog,0.1\n")
    Path("costs.csv").write_text("true,dog,bee,cat,ant\nant,1,1,1,0\nbee,1,0,1,1\ncat,1,1,0,1\ndog,0,9,9,9\n")
    Path("other.csv").write_text("true,ant,cow\nant,0,1\ncow,1,0\n")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["imblens", "predict", "run", "new.npz", "--out", "p.parquet", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return call


def test_the_command_takes_shares_costs_and_constraints(command) -> None:
    code, out, _ = command("--prior", "shares.csv", "--costs", "costs.csv", "--min-recall", "dog=0.9")
    assert code == 0 and "expected with these rules" in out
    code, out, _ = command("--prior", "estimated", "--force")
    assert code == 0 and "stated class shares" in out
    shares = [float(line.split()[1]) for line in out.splitlines() if line.split()[0] in NAMES]
    assert shares == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2], abs=0.06)


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["--prior", "sum.csv"], "sum to 1.6, not to 1"),
        (["--prior", "twice.csv"], "the class 'ant' twice"),
        (["--prior", "words.csv"], "holds 'many' in the column 'share'"),
        (["--prior", "gone.csv"], "there is no gone.csv"),
        (["--costs", "other.csv"], "has no row for 'bee'"),
        (["--costs", "shares.csv"], "has no column for 'ant'"),
        (["--min-recall", "dog"], "is not CLASS=SHARE"),
        (["--min-recall", "cow=0.9"], "'cow' is not a class"),
        (["--prior", "estimated", "--min-recall", "dog=0.9"], "exclude each other"),
    ],
)
def test_bad_input_ends_with_2_and_writes_nothing(command, words: list[str], fragment: str) -> None:
    code, out, err = command(*words)
    assert code == 2 and out == "" and fragment in err and not Path("p.parquet").exists()


@pytest.mark.parametrize("path", [3, None, b"rules.safetensors", ["rules.safetensors"]])
def test_a_path_that_is_none_is_named(path: object) -> None:
    with pytest.raises(InputError, match="path"):
        Decision.load(path)  # type: ignore[arg-type]


def labelled() -> tuple[Run, np.ndarray]:
    """Two labels that are ranked well, whose logits are far below 0; logits of the test split."""

    def split(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        labels = (rng.random((400, 2)) < [0.5, 0.1]).astype(int)
        z = 3.0 * labels - 6 + rng.normal(size=labels.shape)
        return z, labels, z

    return Run.from_arrays(train=split(0), val=split(1), test=split(2), classes=["dark", "wet"]), split(2)[2]


@pytest.mark.parametrize("measure", ["f1", "balanced"])
def test_thresholds_of_labels_are_those_of_the_largest_measure_on_val(measure: str) -> None:
    run, logits = labelled()
    rules = Decision.fit(run, thresholds=measure)
    assert rules.thresholds is not None and run.val is not None
    p = rules.calibration(run.val.logits)
    for column in range(2):
        own = run.val.labels[:, column] == 1

        def value(least: float, own: np.ndarray = own, column: int = column) -> float:
            said = p[:, column] >= least
            recall, kept = said[own].mean(), (~said[~own]).mean()
            return float(2 * (said & own).sum() / (said.sum() + own.sum()) if measure == "f1" else (recall + kept) / 2)

        assert value(rules.thresholds[column]) == pytest.approx(max(value(one) for one in p[:, column]))
    before, after = Decision.fit(run).measured(run.test), rules.measured(run.test)
    assert (before["recall"] < 0.05).all() and (after["recall"] > 0.6).all() and (after["specificity"] > 0.85).all()
    assert (after["specificity_low"] < after["specificity"]).all()
    predicted = rules.predict(logits=logits)["prediction"]
    assert (
        np.mean([("dark" in names) == one for names, one in zip(predicted, run.test.labels[:, 0], strict=True)]) > 0.85
    )
    both = Decision.fit(run, thresholds=measure, min_recall={"wet": 0.8})
    assert both.thresholds[0] == rules.thresholds[0] and both.thresholds[1] != rules.thresholds[1]


def test_thresholds_of_labels_are_refused_where_they_mean_nothing() -> None:
    with pytest.raises(InputError, match="is for multi-label runs"):
        Decision.fit(run_of(), thresholds="f1")
    with pytest.raises(InputError, match="thresholds 'f2' are not known"):
        Decision.fit(labelled()[0], thresholds="f2")


def test_the_command_of_thresholds_shows_what_they_do_and_a_report_shows_it_on_test(
    tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    run, logits = labelled()
    run.save("run")
    np.savez("new.npz", logits=logits)
    given = ["predict", "run", "new.npz", "--thresholds", "f1", "--save", "rules.safetensors", "--out", "p.parquet"]
    monkeypatch.setattr(sys, "argv", ["imblens", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    text = capsys.readouterr().out
    assert ended.value.code in (None, 0) and "specificity" in text and "largest F1 on the val split" in text
    assert "next: imblens audit run --deploy rules.safetensors --out audit" in text
    found = decision_section(Decision.load("rules.safetensors"), run)
    assert found["lines"][0].startswith("With these thresholds, mean sensitivity is ")
    assert found["columns"][2:4] == ["sensitivity", "specificity"]


def test_an_audit_that_advises_a_threshold_ends_in_the_command_that_chooses_it(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run, _ = labelled()
    advice = import_module("imblens.lenses.diagnosis.advice")
    monkeypatch.setattr(advice, "_exhausted", lambda *_: True)
    found = audit(run, lenses=["class_accuracy", "ranking", "diagnosis"])
    line = to_try(found, Path("run"), "run-2")
    assert (
        line == "next: imblens predict run NEW.npz --thresholds f1 --save rules.safetensors --out predictions.parquet"
    )
    stated = summary(found)
    assert stated["commands"]["next"].startswith("imblens predict RUN NEW.npz --thresholds f1")
    rows = [row for row in stated["class_table"] if row["cause"] == "threshold"]
    assert rows and all("(specificity " in row["evidence"] and row["command"] for row in rows)
