"""How far test leaves training: by hand, against a loop, and at the edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from imblens.errors import NotApplicable
from imblens.lenses import class_measures, generalization_gap
from imblens.run import Part, Run, Split
from tests.lenses.made import NAMES, TEST, TRAIN, make_run
from tests.oracles import class_lenses_loop as oracle

COLUMNS = ["class", "train_count", "test_count", "gap", "gap_correct", "gap_wrong"]


def test_by_hand():
    train = np.array([[0.0, 1], [2.0, 1], [7.0, 7]])
    test = np.array([[-1.0, 1], [3.0, 4], [1.0, 0]])
    run = Run.from_arrays(train=(train, [0, 0, 1]), test=(test, [0, 0, 0], np.eye(2)[[0, 1, 0]]), classes=["a", "b"])
    finding = generalization_gap(run)
    table = finding.tables["generalization_gap"]
    assert list(table.columns) == COLUMNS
    # feature 0: 1 below, 1 above; feature 1: 1 below, 3 above; right: rows 0 and 2; wrong: row 1
    assert table.loc[0].tolist() == ["a", 2, 3, 6, 2, 4]
    assert table.loc[1, ["train_count", "test_count"]].tolist() == [1, 0]
    assert table.loc[1, ["gap", "gap_correct", "gap_wrong"]].isna().all()
    assert finding.summary == {"gap": 6, "gap_correct": 2, "gap_wrong": 4}
    assert any("no gap: b" in note for note in finding.notes)


@pytest.mark.parametrize("seed", [0, 4])
def test_against_a_loop(seed):
    run = make_run(seed=seed)
    table = generalization_gap(run).tables["generalization_gap"]
    assert table["train_count"].tolist() == list(TRAIN)
    assert table["test_count"].tolist() == list(TEST)
    right = run.test.predictions == run.test.labels
    for c, row in enumerate(table.to_dict("records")):
        train = run.train.features[run.train.labels == c].astype(np.float64)
        of_class = run.test.labels == c
        for column, chosen in (("gap", of_class), ("gap_correct", of_class & right), ("gap_wrong", of_class & ~right)):
            expected = oracle.gap(train, run.test.features[chosen].astype(np.float64))
            assert row[column] == pytest.approx(expected, nan_ok=True)
        assert not row["gap_correct"] > row["gap"] and not row["gap_wrong"] > row["gap"]


def test_what_training_covers_has_no_gap():
    run = make_run()
    inside = Run.from_arrays(
        train=(run.train.features, run.train.labels, run.train.logits),
        test=(run.train.features[::3], run.train.labels[::3], run.train.logits[::3]),
        classes=NAMES,
    )
    table = generalization_gap(inside).tables["generalization_gap"]
    assert table["gap"].fillna(0).eq(0).all()
    assert generalization_gap(inside).lines() == {}


def test_synthetic_instances_narrow_the_gap():
    run = make_run()
    features = run.test.features[run.test.labels == 4]
    added = Split((Part(features, np.full(len(features), 4)),), run.classes, "synthetic")
    finding = generalization_gap(replace(run, synthetic=added))
    table = finding.tables["generalization_gap"]
    assert list(table.columns) == [*COLUMNS, "gap_after"]
    assert table["gap_after"].tolist()[:4] == table["gap"].tolist()[:4]
    assert table["gap"][4] > 0 and table["gap_after"][4] == 0
    assert finding.summary["gap_after"] == pytest.approx(table["gap_after"].mean())


def test_without_answers():
    finding = generalization_gap(make_run(logits=False, head=False))
    table = finding.tables["generalization_gap"]
    assert table[["gap_correct", "gap_wrong"]].isna().all(axis=None)
    assert table["gap"].notna().all()
    assert finding.summary["gap_correct"] is None
    assert any("no predictions" in note for note in finding.notes)


def test_several_labels_per_instance():
    labels = np.array([[1, 0], [1, 1], [0, 1]])
    train = np.array([[0.0], [2.0], [5.0]])
    test = np.array([[3.0], [1.0], [9.0]])
    run = Run.from_arrays(train=(train, labels), test=(test, labels, np.array([[1.0, -1], [-1, 1], [1, -1]])))
    table = generalization_gap(run).tables["generalization_gap"]
    assert table["gap"].tolist() == [1, 1 + 4]  # 0..2 meets 1, 3; 2..5 meets 1, 9
    assert table["gap_correct"].tolist() == [1, 1]  # class 0: 3 is found; class 1: 1 is found
    assert table["gap_wrong"].tolist() == [0, 4]


def test_lines_name_classes_far_above_the_median():
    finding = generalization_gap(make_run())
    table = finding.tables["generalization_gap"].set_index("class")
    wide = table.index[table["gap"] > 1.5 * table["gap"].median()]
    assert set(finding.lines()) == set(wide)
    finding.charts()["generalization_gap"].to_dict()


def test_needs_a_test_split():
    with pytest.raises(NotApplicable, match="no test split"):
        generalization_gap(Run.from_arrays(train=(np.eye(2), [0, 1])))


def test_embedding_quality_by_hand():
    """a: mean (1, 1), variance (1, 0); b: (7, 7) alone. Apart by the root of 72; the test mean of a is (1, 5/3)."""
    train = np.array([[0.0, 1], [2.0, 1], [7.0, 7]])
    test = np.array([[-1.0, 1], [3.0, 4], [1.0, 0]])
    run = Run.from_arrays(train=(train, [0, 0, 1]), test=(test, [0, 0, 0]), classes=["a", "b"])
    table = generalization_gap(run).tables["embedding_quality"].set_index("class")
    assert table.loc["a", "nearest"] == "b"
    assert table.loc["a"].drop("nearest").tolist() == pytest.approx([1, 72**0.5, 1, 1, 2 / 3])
    assert table.loc["b", ["within", "nearest", "own_train"]].tolist() == [0, "a", 1]
    assert table.loc["b", ["own_test", "shift"]].isna().all()
    far = Run.from_arrays(train=(train, [0, 0, 1]), test=([[6.0, 6]], [0]), classes=["a", "b"])
    assert generalization_gap(far).tables["embedding_quality"]["own_test"].tolist()[0] == 0


def test_a_treated_run_is_measured_with_its_synthetic_instances():
    train = np.array([[0.0, 1], [2.0, 1], [7.0, 7]])
    test = np.array([[-1.0, 1], [3.0, 4], [7.0, 7]])
    logits = np.eye(2)[[0, 0, 1]]
    run = Run.from_arrays(train=(train, [0, 0, 1]), test=(test, [0, 0, 1], logits), classes=["a", "b"])
    synthetic = Split((Part(np.array([[-0.5, 2.0]], np.float32), np.array([0])),), run.classes, "synthetic")
    finding = generalization_gap(replace(run, synthetic=synthetic))
    table = finding.tables["generalization_gap"].set_index("class")
    # feature 0: 1 below and 1 above without, 0.5 and 1 with; feature 1: 3 above without, 2 with
    assert table.loc["a", ["gap", "gap_after"]].tolist() == [5, 3.5]
    assert class_measures({"generalization_gap": finding})["gap"].values.to_dict() == {"a": 3.5, "b": 0}
    before = class_measures({"generalization_gap": generalization_gap(run)})["gap"].values.to_dict()
    assert before == {"a": 5, "b": 0}
    chart = finding.charts()["generalization_gap"].to_dict()
    assert "all, with synthetic training instances" in chart["encoding"]["color"]["scale"]["domain"]
