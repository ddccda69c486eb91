"""Forecast and observed errors: by hand, against loops, and at the edges."""

from __future__ import annotations

import itertools
from importlib import import_module

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from imblens.errors import InputError, NotApplicable
from imblens.lenses import adversaries
from imblens.lenses.adversaries import (
    divergence,
    fisher_forecast,
    neighbour_forecast,
    quasi_symmetric,
    sampling_floor,
    shares,
)
from imblens.run import ClassMoments, Moments, Run
from tests.lenses.made import NAMES, TRAIN, make_run
from tests.oracles import class_lenses_loop as oracle

COLUMNS = [
    "class",
    "adversary",
    "neighbour_count",
    "forecast",
    "fisher",
    "soft",
    "observed",
    "basis",
    "test_error_count",
    "train_error_count",
]


def matrix(finding, column):
    table = finding.tables["adversaries"]
    names = list(dict.fromkeys(table["class"]))
    found = np.full((len(names), len(names)), np.nan)
    for row in table.to_dict("records"):
        found[names.index(row["class"]), names.index(row["adversary"])] = row[column]
    return found


def test_by_hand():
    # on a line, one neighbour each: a at 0, 1 and 10; b at 11; c at 20 and 12.5
    features = np.array([[0.0], [1.0], [10.0], [11.0], [20.0], [12.5]])
    labels = [0, 0, 0, 1, 2, 2]
    logits = np.log(
        [[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.1, 0.1, 0.8]]
    )
    answers = np.eye(3)[[0, 1, 2, 1]]
    run = Run.from_arrays(
        train=(features, labels, logits), test=(np.zeros((4, 1)), [0, 0, 0, 1], answers), classes=["a", "b", "c"]
    )
    finding = adversaries(run, k=1)
    table = finding.tables["adversaries"].set_index(["class", "adversary"])
    assert table["neighbour_count"].to_dict() == {
        ("a", "b"): 1,  # 10 is next to 11; 0 and 1 are next to each other
        ("a", "c"): 0,
        ("b", "a"): 1,
        ("b", "c"): 0,
        ("c", "a"): 0,
        ("c", "b"): 1,  # 12.5 is next to 11, 20 next to 12.5
    }
    assert table["forecast"].tolist() == [1, 0, 1, 0, 0, 1]
    assert table.loc["a", "observed"].tolist() == [0.5, 0.5]
    assert table.loc["b", "observed"].isna().all()  # its only test instance is right
    assert table.loc["c", "observed"].isna().all()  # it has none
    assert set(table["basis"]) == {"all"}
    # means 11/3, 11, 16.25; variances 20.222, 0, 14.0625
    ab, ac = 20 + 2 / 9, 20 + 2 / 9 + 14.0625
    one, two = ab / (11 - 11 / 3) ** 2, ac / (16.25 - 11 / 3) ** 2
    assert table.loc["a", "fisher"].tolist() == pytest.approx([one / (one + two), two / (one + two)])
    # no draw goes astray, so the mean softmax stands, one part in twenty by the counts of b and c, 1 and 2
    # and half of it is what the quasi-symmetric fit makes of all three rows
    direct = 0.95 * 0.75 + 0.05 / 3
    assert table.loc[("a", "b"), "soft"] == pytest.approx(direct, abs=0.2)
    assert finding.summary["classes_compared"] == 1
    p, q = np.array([0.501, 0.501]) / 1.002, np.array([1.001, 0.001]) / 1.002
    assert finding.summary["kl"]["forecast"] == pytest.approx((p * np.log(p / q)).sum())
    assert finding.summary["kl"]["uniform"] == pytest.approx(0)
    assert any("No test error to compare with: b, c" in note for note in finding.notes)


@pytest.mark.parametrize(("seed", "k"), [(0, 5), (1, 5), (2, 1), (3, 12)])
def test_against_loops(seed, k):
    run = make_run(seed=seed)
    finding = adversaries(run, k=k)
    features, labels, n = run.train.features, run.train.labels, len(NAMES)
    counts, basis = oracle.neighbour_forecast(features, labels, run.train.predictions, n, k)
    off = ~np.eye(n, dtype=bool)
    assert np.array_equal(matrix(finding, "neighbour_count")[off], counts[off])
    assert finding.tables["adversaries"].groupby("class", sort=False)["basis"].first().tolist() == basis
    assert "all" in basis
    total = counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(matrix(finding, "forecast")[off], (counts / np.where(total, total, np.nan))[off])
    fisher = np.array([[oracle.fisher(features, labels, i, j) if i != j else 0 for j in range(n)] for i in range(n)])
    np.testing.assert_allclose(
        matrix(finding, "fisher")[off], (fisher / fisher.sum(axis=1, keepdims=True))[off], rtol=1e-9
    )
    soft = matrix(finding, "soft")
    rng = np.random.default_rng(seed)
    slow = np.array([oracle.soft(run.train.logits, labels, i, rng) for i in range(n)])
    np.testing.assert_allclose(soft[off], (slow + quasi_symmetric(slow))[off] / 2, atol=0.06)
    confusion = confusion_matrix(run.test.labels, run.test.predictions).astype(float)
    np.fill_diagonal(confusion, 0)
    wrong = confusion.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(matrix(finding, "observed")[off], (confusion / np.where(wrong, wrong, np.nan))[off])
    prior = np.tile(np.array(TRAIN, dtype=float), (n, 1))
    rivals = {"forecast": counts, "fisher": fisher, "soft": soft, "uniform": np.ones((n, n)), "prior": prior}
    for name, forecast in rivals.items():
        assert finding.summary["kl"][name] == pytest.approx(oracle.kl(confusion.tolist(), forecast.tolist(), n))
        rarer = np.where((np.array(TRAIN) <= sorted(TRAIN)[n // 2])[:, None], confusion, 0)  # of five classes, three
        assert finding.summary["kl_rare"][name] == pytest.approx(oracle.kl(rarer.tolist(), forecast.tolist(), n))
    assert finding.summary["classes_compared"] == int((wrong > 0).sum())


def test_the_quasi_symmetric_fit_keeps_its_margins_and_has_no_direction_of_cycles():
    direct = shares(np.random.default_rng(0).gamma(0.7, size=(6, 6)))
    found = quasi_symmetric(direct)
    one, two = np.nan_to_num(direct), np.nan_to_num(found)
    np.testing.assert_allclose(two.sum(axis=0), one.sum(axis=0), rtol=1e-6)
    np.testing.assert_allclose(two + two.T, one + one.T, rtol=1e-6, atol=1e-9)
    assert abs(np.log(one[0, 1] * one[1, 2] * one[2, 0] / (one[0, 2] * one[2, 1] * one[1, 0]))) > 0.1
    for i, j, k in itertools.combinations(range(6), 3):
        assert two[i, j] * two[j, k] * two[k, i] == pytest.approx(two[i, k] * two[k, j] * two[j, i], rel=1e-5)
    np.testing.assert_allclose(quasi_symmetric(found)[~np.eye(6, dtype=bool)], found[~np.eye(6, dtype=bool)], rtol=1e-5)


def test_a_class_without_misclassified_draws_shows_its_mean_softmax():
    logits = np.array([[90.0, 30, 0], [90, 30, 0], [0, 90, 0], [0, 90, 1], [0, 0, 90], [0, 0, 90]])
    run = Run.from_arrays(train=(np.arange(6.0)[:, None], [0, 0, 1, 1, 2, 2], logits), classes=list("abc"))
    table = adversaries(run, k=2).tables["adversaries"].set_index(["class", "adversary"])
    assert table.loc[("a", "b"), "soft"] > 0.75
    assert table["soft"].notna().all()


def test_the_floor_is_what_the_truth_itself_would_score():
    truth = np.array([[0, 0.7, 0.3], [0.5, 0, 0.5], [0.2, 0.8, 0]])
    rng = np.random.default_rng(0)
    scores, floors = [], []
    for _ in range(200):
        counts = np.array([rng.multinomial(30, row) for row in truth]).astype(float)
        scores.append(divergence(shares(counts), shares(truth)))
        floors.append(sampling_floor(counts))
    assert np.mean(floors) == pytest.approx(np.mean(scores), rel=0.15)
    assert sampling_floor(np.zeros((3, 3))) is None


def test_many_errors_and_few():
    finding = adversaries(make_run())
    basis = finding.tables["adversaries"].groupby("class")["basis"].first()
    assert set(basis) == {"errors", "all"}
    few = ", ".join(name for name in NAMES if basis[name] == "all")
    assert any(f"neighbours of all instances count: {few}." in note for note in finding.notes)


def test_rows_are_all_ordered_pairs_and_shares_add_up_to_one():
    table = adversaries(make_run()).tables["adversaries"]
    assert list(table.columns) == COLUMNS
    assert list(zip(table["class"], table["adversary"], strict=True)) == [
        (a, b) for a in NAMES for b in NAMES if a != b
    ]
    for column in ("fisher", "soft"):
        assert table.groupby("class")[column].sum().to_numpy() == pytest.approx(1)


def test_a_class_without_enemy_neighbours_is_unknown_and_counts_as_uniform():
    features = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2], [5.0]])
    labels = [0, 0, 0, 1, 1, 1, 2]
    wrong = np.eye(3)[[1, 0, 0]]
    run = Run.from_arrays(train=(features, labels), test=(np.zeros((3, 1)), [0, 0, 1], wrong), classes=list("abc"))
    finding = adversaries(run, k=2)
    forecast = matrix(finding, "forecast")
    assert np.isnan(forecast[0]).all() and np.isnan(forecast[1]).all()
    assert matrix(finding, "neighbour_count")[0, 1:].tolist() == [0, 0]
    p = np.array([1.001, 0.001]) / 1.002
    assert finding.summary["kl"]["forecast"] == pytest.approx((p * np.log(p / 0.5)).sum())


def test_without_answers_in_training():
    run = make_run(logits=False, head=False)
    finding = adversaries(run)
    table = finding.tables["adversaries"]
    assert table["soft"].isna().all() and table["observed"].isna().all()
    assert set(table["basis"]) == {"all"}
    assert finding.summary["leading"] == "forecast"
    assert set(finding.summary["kl"].values()) == {None}
    assert finding.summary["classes_compared"] == 0
    counts, _ = oracle.neighbour_forecast(run.train.features, run.train.labels, None, 5, 5)
    off = ~np.eye(5, dtype=bool)
    assert np.array_equal(matrix(finding, "neighbour_count")[off], counts[off])
    assert set(finding.charts()) == {"adversaries"}


@pytest.mark.parametrize(("n_classes", "k"), [(3, 5), (12, 2)])
def test_counts_of_few_and_of_many_classes_for_their_instances_are_those_of_loops(n_classes, k):
    rng = np.random.default_rng(n_classes)
    features, labels = rng.normal(size=(30, 4)).astype(np.float32), np.arange(30) % n_classes
    found = neighbour_forecast(Run.from_arrays(train=(features, labels)), k).counts
    counts, _ = oracle.neighbour_forecast(features, labels, None, n_classes, k)
    assert found.dtype == np.int64 and found.nnz == np.count_nonzero(counts)
    assert np.array_equal(found.toarray(), counts)


def test_without_a_test_split():
    run = make_run()
    alone = Run.from_arrays(train=(run.train.features, run.train.labels, run.train.logits), classes=NAMES)
    finding = adversaries(alone)
    assert finding.tables["adversaries"]["observed"].isna().all()
    assert set(finding.summary["kl"].values()) == {None}
    assert any("there are no observed errors" in note for note in finding.notes)


def moments(mean, variance, count=None):
    mean, variance = np.array(mean, dtype=float), np.array(variance, dtype=float)
    return Moments(np.array(count or [2] * len(mean)), mean, variance)


def test_fisher_where_nothing_varies():
    # both constant: feature 0 differs between a and b (no overlap), is equal in a and c (left out)
    found = fisher_forecast(moments([[0, 1], [5, 2], [0, 3]], [[0, 1], [0, 1], [0, 1]]))
    assert found[0, 1:].tolist() == [0, 1]
    assert found[2, :2].tolist() == [1, 0]
    assert np.isnan(found[1]).all()  # b overlaps with none


def test_fisher_in_float32_is_that_in_float64(monkeypatch):
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(300, 12)) + 30, np.arange(300) % 30
    features[labels == 4, :3] = features[labels == 9, :3] = 31.0  # constant and the same in two classes
    run = Run.from_arrays(train=(features, labels))
    moments = run.train.reduce(lambda: ClassMoments(run.n_classes, run.dim))
    usual = fisher_forecast(moments)
    monkeypatch.setattr(import_module("imblens.lenses.adversaries.fisher"), "MANY", 0)
    assert fisher_forecast(moments) == pytest.approx(usual, rel=1e-4, nan_ok=True)


def test_fisher_of_classes_that_nothing_separates():
    found = fisher_forecast(moments([[1], [1], [4], [1]], [[2], [1], [1], [0]]))
    assert found[0, 1:].tolist() == [0.5, 0, 0.5]  # all the overlap there is, shared evenly
    np.testing.assert_allclose(np.nansum(found, axis=1), 1)
    everything = fisher_forecast(moments([[1], [1], [1]], [[0], [0], [0]]))
    assert everything[0, 1:].tolist() == [0.5, 0.5]


def test_fisher_of_constant_classes_apart_is_unknown():
    found = fisher_forecast(moments([[1], [2], [3]], [[0], [0], [0]]))
    assert np.isnan(found).all()  # no class overlaps with any other


def test_fisher_leaves_absent_classes_out():
    found = fisher_forecast(moments([[1], [np.nan], [3], [4]], [[1], [np.nan], [1], [1]], [2, 0, 2, 2]))
    assert np.isnan(found[1]).all() and np.isnan(found[:, 1]).all()
    assert found[0, 2:].tolist() == pytest.approx([(2 / 4) / (2 / 4 + 2 / 9), (2 / 9) / (2 / 4 + 2 / 9)])


def test_divergence_of_a_forecast_from_itself_is_zero():
    observed = shares(np.random.default_rng(0).random((6, 6)))
    assert divergence(observed, observed) == pytest.approx(0, abs=1e-15)
    assert divergence(np.full((3, 3), np.nan), shares(np.ones((3, 3)))) is None


def test_lines_state_what_was_expected_and_what_came():
    finding = adversaries(make_run())
    soft = matrix(finding, "soft")
    for name, line in finding.lines().items():
        row = np.nan_to_num(soft[NAMES.index(name)])
        assert row.max() >= 0.3
        assert f"Errors of {name} are expected to go to {NAMES[row.argmax()]}" in line
    assert finding.lines()


def test_two_classes():
    features = np.arange(8.0)[:, None]
    finding = adversaries(Run.from_arrays(train=(features, [0, 1, 0, 1, 0, 0, 0, 0], np.zeros((8, 2)))))
    assert finding.tables["adversaries"]["forecast"].tolist() == [1, 1]
    assert [finding.charts()[name].to_dict() for name in finding.charts()]


def test_refusals():
    with pytest.raises(InputError, match="k=-1"):
        adversaries(make_run(), k=-1)
    with pytest.raises(NotApplicable, match="multi-label"):
        adversaries(Run.from_arrays(train=(np.zeros((2, 1)), np.eye(2, dtype=int))))


def test_random_rows_and_the_factor_of_table_two():
    """With two other classes and errors all to one of them, random shares u and 1 - u give -E[log u], smoothed."""
    features = np.array([[0.0], [1], [2], [10], [11], [20], [21]])
    labels = [0, 0, 0, 1, 1, 2, 2]
    logits = np.eye(3)[[0, 0, 0, 1, 1, 2, 2]] * 9.0
    wrong = np.eye(3)[[1, 1, 1, 1, 1, 2, 2]] * 9.0
    run = Run.from_arrays(train=(features, labels, logits), test=(features + 0.1, labels, wrong), classes=list("abc"))
    kl = adversaries(run).summary["kl"]
    rng = np.random.default_rng(5)
    drawn = rng.random((100_000, 2))
    q = drawn / drawn.sum(axis=1, keepdims=True) + 0.001
    q /= q.sum(axis=1, keepdims=True)
    p = np.array([1.001, 0.001]) / 1.002
    assert kl["random"] == pytest.approx(float((p * np.log(p)).sum() - np.log(q).mean(axis=0) @ p), rel=0.15)
    summary = adversaries(run).summary
    assert summary["random_over_forecast"] == pytest.approx(kl["random"] / kl["forecast"])


def test_alg_1_counts_the_neighbours_of_errors_only():
    """One training error of a, at 9, whose two neighbours are of b; with the rule of ten all of a count."""
    features = np.array([[0.0], [1], [9], [10], [11], [-1], [-2]])
    labels = [0, 0, 0, 1, 1, 2, 2]
    logits = np.eye(3)[[0, 0, 1, 1, 1, 2, 2]]
    run = Run.from_arrays(train=(features, labels, logits), classes=list("abc"))
    with_rule = adversaries(run, k=2).tables["adversaries"].set_index(["class", "adversary"])
    without = adversaries(run, k=2, least_errors=0).tables["adversaries"].set_index(["class", "adversary"])
    assert without.loc[("a", "b"), ["neighbour_count", "forecast", "basis"]].tolist() == [2, 1.0, "errors"]
    assert with_rule.loc[("a", "b"), "forecast"] < 1 and with_rule.loc[("a", "b"), "basis"] == "all"
    assert np.isnan(without.loc[("b", "a"), "forecast"])  # no training error, no forecast
    with pytest.raises(InputError, match="least_errors=-1"):
        adversaries(run, least_errors=-1)
