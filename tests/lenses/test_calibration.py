"""Confidence against accuracy, by hand, against a loop, and at the edges."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from imblens import Run
from imblens.base.calibration_error import binned_error, binned_sums
from imblens.errors import InputError, NotApplicable
from imblens.lenses import calibration
from tests.oracles.calibration_loop import confidence, expected_error


def make(labels, logits, classes=None, train_labels=None):
    logits = np.asarray(logits, dtype=np.float64)
    features = np.arange(2.0 * len(logits)).reshape(-1, 2)
    train_labels = labels if train_labels is None else train_labels
    return Run.from_arrays(
        train=(
            np.arange(2.0 * len(train_labels)).reshape(-1, 2),
            train_labels,
            np.zeros((len(train_labels), logits.shape[1])),
        ),
        test=(features, labels, logits),
        classes=classes,
    )


def log(*probabilities):
    return np.log(np.array(probabilities))


def test_by_hand():
    logits = [log(0.8, 0.2), log(0.8, 0.2), log(0.6, 0.4), log(0.1, 0.9)]
    finding = calibration(make([0, 0, 1, 1], logits, classes=["a", "b"]))
    table = finding.tables["calibration"].set_index("class")
    assert table.loc["a", "confidence"] == pytest.approx(0.8)
    assert table.loc["a", "accuracy"] == 1
    assert table.loc["a", "ece"] == pytest.approx(0.2)
    assert table.loc["b", "confidence"] == pytest.approx(0.75)
    assert table.loc["b", "accuracy"] == 0.5
    assert table.loc["b", "ece"] == pytest.approx(
        0.5 * 0.6 + 0.5 * 0.1
    )  # two bins: 60 % sure and wrong, 90 % and right
    assert table.loc["b", "over_confidence"] == pytest.approx(0.25)
    # "a" was said three times, at 0.8, 0.8 and 0.6, and was right twice
    assert table.loc["a", "answered_count"] == 3
    assert table.loc["a", "answered_confidence"] == pytest.approx(2.2 / 3)
    assert table.loc["a", "answered_accuracy"] == pytest.approx(2 / 3)
    own = finding.tables["class_reliability"]  # empty bins are left out
    assert own["class"].tolist() == ["a", "b", "b"] and own["count"].tolist() == [2, 1, 1]
    assert own["confidence"].tolist() == pytest.approx([0.8, 0.6, 0.9]) and own["accuracy"].tolist() == [1, 0, 1]
    assert finding.summary["ece"] == pytest.approx((2 * 0.2 + 0.6 + 0.1) / 4)
    assert finding.summary["accuracy"] == 0.75
    assert finding.summary["classes_over_confident"] == 1


def test_bin_edges_belong_to_the_bin_below():
    logits = [log(0.5, 0.5), log(0.51, 0.49)]
    reliability = calibration(make([0, 1], logits), n_bins=2).tables["reliability"]
    assert reliability["count"].tolist() == [1, 1]
    assert reliability["high"].tolist() == [0.5, 1.0]


@pytest.mark.parametrize("n_bins", [1, 4, 15])
def test_against_a_loop(n_bins):
    rng = np.random.default_rng(3)
    labels = rng.choice(5, size=307, p=[0.5, 0.3, 0.1, 0.07, 0.03])
    logits = (rng.normal(size=(307, 5)) * 3 + 2 * np.eye(5)[labels]).astype(np.float32)
    finding = calibration(make(labels, logits, classes=list("vwxyz")), n_bins=n_bins)
    table = finding.tables["calibration"]
    pairs = [(*confidence(row), label) for row, label in zip(logits.astype(float).tolist(), labels, strict=True)]
    everything = [(sure, answer == label) for sure, answer, label in pairs]
    assert finding.summary["ece"] == pytest.approx(expected_error(everything, n_bins), abs=1e-12)
    assert binned_error(binned_sums(logits, labels, n_bins)) == pytest.approx(finding.summary["ece"], abs=1e-12)
    bins = finding.tables["class_reliability"]
    for c in range(5):
        own = [(sure, answer == label) for sure, answer, label in pairs if label == c]
        rows = bins[bins["class"] == "vwxyz"[c]]
        assert rows["count"].sum() == len(own) and (rows["count"] > 0).all()
        assert (rows["count"] * rows["accuracy"]).sum() == pytest.approx(sum(right for _, right in own))
        gaps = rows["count"] * (rows["accuracy"] - rows["confidence"]).abs()
        assert gaps.sum() / len(own) == pytest.approx(expected_error(own, n_bins), abs=1e-12)
        assert table.loc[c, "ece"] == pytest.approx(expected_error(own, n_bins), abs=1e-12)
        assert table.loc[c, "confidence"] == pytest.approx(np.mean([sure for sure, _ in own]))
        said = [(sure, answer == label) for sure, answer, label in pairs if answer == c]
        assert table.loc[c, "answered_confidence"] == pytest.approx(np.mean([sure for sure, _ in said]))
        assert table.loc[c, "answered_accuracy"] == pytest.approx(np.mean([right for _, right in said]))


def test_perfect_probabilities_have_little_error_and_sharpened_ones_much():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4)) * 2
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (probability.cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1)
    assert calibration(make(labels, logits)).summary["ece"] < 0.015
    sharp = calibration(make(labels, 3 * logits))
    assert sharp.summary["ece"] > 0.1
    assert sharp.summary["confidence"] > sharp.summary["accuracy"]


def test_adding_a_constant_to_a_row_of_logits_changes_nothing():
    rng = np.random.default_rng(1)
    labels, logits = rng.integers(0, 3, 60), rng.normal(size=(60, 3)).round(3)
    plain = calibration(make(labels, logits)).tables["calibration"]
    moved = calibration(make(labels, logits + 8 * rng.integers(-5, 5, (60, 1)))).tables["calibration"]
    np.testing.assert_allclose(plain.iloc[:, 1:].astype(float), moved.iloc[:, 1:].astype(float), atol=1e-5)


def test_order_and_blocks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(5)
    labels, logits = rng.integers(0, 3, 90), rng.normal(size=(90, 3))
    mixed = rng.permutation(90)
    first = calibration(make(labels, logits)).tables["calibration"]
    monkeypatch.setattr(import_module("imblens.base.blocks"), "BLOCK_NUMBERS", 21)
    second = calibration(make(labels[mixed], logits[mixed])).tables["calibration"]
    np.testing.assert_allclose(first.iloc[:, 1:].astype(float), second.iloc[:, 1:].astype(float), atol=1e-12)


def test_class_without_test_instances_is_unknown_and_named():
    finding = calibration(make([0, 0, 1], [log(0.9, 0.05, 0.05)] * 3, classes=["a", "b", "c"], train_labels=[0, 1, 2]))
    row = finding.tables["calibration"].set_index("class").loc["c"]
    assert np.isnan([row["confidence"], row["accuracy"], row["ece"], row["answered_accuracy"]]).all()
    assert row["test_count"] == 0
    assert any("No test instance of c" in note for note in finding.notes)
    assert any("Never predicted on the test split: b, c" in note for note in finding.notes)
    assert any("too few to tell" in note for note in finding.notes)


def test_multilabel_takes_each_label_by_itself():
    labels = np.array([[1, 0], [1, 1], [0, 0], [0, 0]])
    features = np.ones((4, 3))
    odds = np.array([[2.0, -2.0], [0.5, 1.0], [-1.0, -3.0], [1.0, -0.5]])
    run = Run.from_arrays(train=(features, labels), test=(features, labels, odds), classes=["p", "q"])
    finding = calibration(run, n_bins=1)
    probability = 1 / (1 + np.exp(-odds))
    table = finding.tables["calibration"]
    np.testing.assert_allclose(table["confidence"], probability.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(table["accuracy"], [0.5, 0.25])
    np.testing.assert_allclose(table["ece"], np.abs(probability.mean(axis=0) - [0.5, 0.25]), rtol=1e-6)
    assert table["answered_count"].tolist() == [3, 1]
    np.testing.assert_allclose(table["answered_accuracy"], [2 / 3, 1])
    assert finding.lines()[""]


def test_lines_name_the_over_confident_class():
    labels = [0] * 40 + [1] * 40
    logits = [log(0.9, 0.1)] * 36 + [log(0.1, 0.9)] * 4 + [log(0.95, 0.05)] * 30 + [log(0.05, 0.95)] * 10
    lines = calibration(make(labels, logits, classes=["common", "rare"])).lines()
    assert list(lines) == ["rare", ""]
    assert "mean confidence is 95% and accuracy 25%: over-confident by 70 points" in lines["rare"]


def test_charts_draw():
    finding = calibration(make([0, 0, 1, 1], [log(0.8, 0.2)] * 4))
    for chart in finding.charts().values():
        assert chart.to_dict()["width"] == "container" or chart.to_dict()["layer"]


def test_refusals():
    run = make([0, 1], [log(0.8, 0.2)] * 2)
    with pytest.raises(InputError, match="n_bins=0"):
        calibration(run, n_bins=0)
    with pytest.raises(NotApplicable, match="no test split"):
        calibration(Run.from_arrays(train=(np.ones((3, 2)), [0, 1, 1])))


def test_classes_of_few_test_instances_are_named_and_empty_ones_apart():
    labels = [0] * 12 + [1] + [2] * 3
    logits = np.zeros((16, 4))
    logits[np.arange(16), labels] = 2
    notes = calibration(make(labels, logits, classes=["a", "b", "c", "d"], train_labels=[0, 1, 2, 3])).notes
    assert any(note.startswith("Fewer than 10 test instances of b, c:") for note in notes)
    assert any(note.startswith("No test instance of d:") for note in notes)
