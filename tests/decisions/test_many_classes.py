"""Rules and estimates computed in blocks, as of many classes, are those computed at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from imblens import Decision
from imblens.base import blocks
from imblens.decisions import (
    Unlabelled,
    _estimate,
    _measured,
    adjusted_probabilities,
    em_prior,
    estimate,
    fit_calibration,
    fit_sets,
    gate,
)
from imblens.decisions._calibration import calibration_draws
from imblens.decisions._estimate_many import kept_logits, measures_of_many
from imblens.decisions._expected import expected_measures
from imblens.decisions._many_draws import many_calibration_draws
from imblens.errors import ImblensWarning, InputError
from imblens.run import LogitRows
from imblens.treatments import treat
from tests.decisions.runs import run_of, sample


class Refusing(LogitRows):
    """Logits of which no more than ten rows may be asked for at once."""

    def __init__(self, values):
        def rows_of(rows):
            assert len(rows) <= 10
            return values[rows]

        super().__init__(values.shape, rows_of)


@pytest.fixture
def in_small_blocks(monkeypatch):
    monkeypatch.setattr("imblens.run._logit_rows.AT_ONCE", 40)
    monkeypatch.setattr(blocks, "BLOCK_NUMBERS", 40)
    monkeypatch.setattr("imblens.run._split.LOGITS_AT_ONCE", 40)


@pytest.fixture(scope="module")
def run():
    return run_of()


def test_rules_are_those_of_all_logits_at_once(run, monkeypatch, request):
    options = {"coverage": 0.8, "abstain": 0.1, "min_recall": {"cat": 0.7}}
    usual = Decision.fit(run, **options)
    table, measured = usual.expected(run), usual.measured(run.test)
    request.getfixturevalue("in_small_blocks")
    split = run_of().val
    assert isinstance(split.logit_rows, LogitRows)
    found = Decision.fit(run_of(), **options)
    assert found.sets.thresholds == pytest.approx(usual.sets.thresholds, abs=1e-6)
    assert found.calibration.bias == pytest.approx(usual.calibration.bias, abs=1e-4)
    assert found.least == pytest.approx(usual.least, abs=1e-4)
    assert found.shares == pytest.approx(usual.shares, abs=1e-4)
    monkeypatch.setattr(_measured, "DENSE", 1)
    for one, other in ((found.expected(run_of()), table), (found.measured(run_of().test), measured)):
        close = [name for name in table if not name.startswith("precision_")]
        pd.testing.assert_frame_equal(one[close], other[close], rtol=1e-3)
        ends = ["precision_low", "precision_high"]  # of other draws
        assert np.nanmax(np.abs(one[ends].to_numpy() - other[ends].to_numpy())) < 0.06


@pytest.mark.parametrize("own", [False, True])
def test_calibration_asks_for_few_rows_at_once(run, own, in_small_blocks):
    logits = np.asarray(run.val.logits)
    usual = fit_calibration(logits.astype(np.float64), run.val.labels, own=own)
    found = fit_calibration(Refusing(logits), run.val.labels, own=own)
    assert found.temperature == pytest.approx(usual.temperature)
    assert found.bias == pytest.approx(usual.bias, abs=1e-6)


def test_sets_ask_for_few_rows_at_once(run, in_small_blocks):
    logits = np.asarray(run.val.logits)
    multi = np.eye(4, dtype=int)[run.val.labels]
    multi[::3, 0] = 1
    for labels in (run.val.labels, multi):
        true = fit_sets(logits, labels).thresholds
        assert fit_sets(Refusing(logits), labels).thresholds == pytest.approx(true)


def test_estimates_of_many_classes_agree_with_those_of_few(run, monkeypatch, request):
    new, _ = sample((60, 90, 120, 90), seed=77)
    labels = sample((60, 60, 60, 60), seed=78)
    usual = estimate(run, unlabelled=new, labels=labels)
    request.getfixturevalue("in_small_blocks")
    monkeypatch.setattr(_estimate, "MANY", 1)
    found = estimate(run, unlabelled=new, labels=labels)
    assert found.verdict == usual.verdict
    for name in ("estimate", "confusion", "priors"):
        one, other = found.tables[name], usual.tables[name]
        numbers = [column for column in one if one[column].dtype.kind in "fi" and column != "black_box"]
        ends = [column for column in numbers if column.endswith(("_low", "_high"))]
        points = [column for column in numbers if column not in ends]
        if name == "confusion":
            assert one[["class", "predicted"]].equals(other[["class", "predicted"]])
        assert one[points].to_numpy() == pytest.approx(other[points].to_numpy(), abs=1e-3)
        assert np.abs(one[ends].to_numpy() - other[ends].to_numpy()).max() < 0.08
    assert found.tables["priors"]["black_box"].isna().all()
    assert any("left out above" in note for note in found.notes)


def test_estimates_of_many_classes_hold_the_largest_confusions_of_each(run, monkeypatch, tmp_path):
    new, _ = sample((60, 90, 120, 90), seed=77)
    labels = sample((60, 60, 60, 60), seed=78)
    usual = estimate(run, unlabelled=new, labels=labels).tables["confusion"]
    monkeypatch.setattr(_estimate, "MANY", 1)
    monkeypatch.setattr(_estimate, "LARGEST", 3)
    monkeypatch.setattr("imblens.decisions._estimate_many.STRONGEST", 1)
    found = estimate(run, unlabelled=new, labels=labels)
    errors = usual[usual["class"] != usual["predicted"]]
    largest = errors.loc[errors.groupby("class")["share"].idxmax()]
    wanted = set(zip(largest["class"], largest["predicted"], strict=True)) | {(name, name) for name in run.classes}
    table = found.tables["confusion"]
    assert len(table) == 8 and set(zip(table["class"], table["predicted"], strict=True)) == wanted
    tables = found.save(tmp_path / "estimate") / "tables"
    pd.testing.assert_frame_equal(pd.read_parquet(tables / "confusion.parquet"), table, check_dtype=False)
    short = pd.read_csv(tables / "confusion.csv")
    assert (short["class"] != short["predicted"]).all()
    assert short["share"].tolist() == pytest.approx(sorted(largest["share"])[:0:-1])


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_measures_in_blocks_are_those_of_adjusted_probabilities(kind, in_small_blocks):
    rng = np.random.default_rng(0)
    p, weights, mine = rng.dirichlet(np.ones(7), size=90).astype(kind), rng.random(90), rng.integers(1, 6, 90)
    before, share = rng.dirichlet(np.ones(7), size=2)
    q = adjusted_probabilities(p, before, share)
    one = expected_measures(q, mine[:, None] == np.arange(7), weights, multilabel=False)
    other, pairs = measures_of_many(p, mine, weights, share / before)
    for name in ("recall", "precision", "share", "accuracy"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), abs=1e-6, nan_ok=True), name
    assert len(pairs.of) > 20
    assert other.confusion == pytest.approx(one.confusion[pairs.of, pairs.to], abs=1e-6)
    again, _ = measures_of_many(p, mine, weights, share / before, pairs)
    assert again.confusion == pytest.approx(other.confusion, abs=1e-12)
    step = em_prior(p, before, weights=weights, steps=1, start=share)
    assert step == pytest.approx(weights @ q / weights.sum(), abs=1e-6)


def test_logits_that_are_read_often_are_kept_where_they_are_small(monkeypatch, in_small_blocks):
    values = np.arange(60, dtype=np.float32).reshape(15, 4)
    assert np.array_equal(kept_logits(Refusing(values)), values)
    monkeypatch.setattr("imblens.decisions._estimate_many.KEPT", 239)
    assert isinstance(kept_logits(Refusing(values)), LogitRows)


def test_draws_of_many_classes_vary_as_those_of_few():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, 300)
    logits = 2 * rng.normal(size=(300, 6)) + 3 * np.eye(6)[labels]
    fitted = fit_calibration(logits, labels, own=True)
    spreads = []
    for draw in (calibration_draws, many_calibration_draws):
        found = draw(fitted, logits, 3000, np.random.default_rng(1))
        values = np.array([[np.log(one.temperature), *one.bias, *one.own] for one in found])
        spreads.append((values.std(axis=0), np.corrcoef(values.T)))
    assert spreads[1][0] == pytest.approx(spreads[0][0], rel=0.06)
    assert np.abs(spreads[1][1] - spreads[0][1]).max() < 0.1


def test_factors_learned_in_blocks_are_those_learned_at_once(run, monkeypatch, request):
    usual = treat(run, "lws", check_split=False).head
    request.getfixturevalue("in_small_blocks")
    assert treat(run, "lws", check_split=False).head.weight == pytest.approx(usual.weight, rel=1e-3)


def test_unlabelled_logits_of_another_shape_are_refused(run):
    lazy = LogitRows((3, 7), lambda rows: np.zeros((len(rows), 7), np.float32))
    with pytest.raises(InputError, match="7 columns"):
        estimate(run, unlabelled=Unlabelled(logits=lazy), labels=sample((9, 9, 9, 9), seed=3))


def adjusted(run):
    with pytest.warns(ImblensWarning, match="inferred to be balanced"):  # its head has the class means as weight
        return treat(run, "logit_adjustment", tau=1.0, check_split=False)


@pytest.mark.parametrize("same", [True, False])
def test_a_gate_of_many_classes_is_that_of_few(run, same, monkeypatch):
    other = adjusted(run) if same else run_of(seed=5)
    usual = gate(other, run, min_recall={"dog": 0.1}).table
    monkeypatch.setattr("imblens.decisions._gate.AT_ONCE", 1)
    pd.testing.assert_frame_equal(gate(other, run, min_recall={"dog": 0.1}).table, usual)


def test_calibrations_are_compared_without_the_logits_of_all(run, monkeypatch, request):
    better = adjusted(run)
    usual = gate(better, run, calibration=True).table
    request.getfixturevalue("in_small_blocks")
    again = run_of()
    found = gate(adjusted(again), again, calibration=True).table
    pd.testing.assert_frame_equal(found, usual, rtol=1e-5)
