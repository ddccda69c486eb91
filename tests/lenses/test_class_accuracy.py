"""Recall per class: by hand, against scikit-learn and imbalanced-learn, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from imblearn.metrics import sensitivity_specificity_support
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from imblens.base.intervals import wilson
from imblens.errors import NotApplicable
from imblens.lenses import class_accuracy
from imblens.run import Run
from tests.lenses.made import NAMES, TEST, TRAIN, make_run


def test_by_hand():
    run = Run.from_arrays(
        train=(np.zeros((7, 2)), [0, 0, 0, 0, 1, 1, 2]),
        test=(np.zeros((5, 2)), [0, 0, 0, 0, 1], np.eye(3)[[0, 0, 1, 2, 0]]),
        classes=["cat", "dog", "ant"],
    )
    finding = class_accuracy(run)
    table = finding.tables["class_accuracy"].set_index("class")
    assert table["train_count"].tolist() == [4, 2, 1]
    assert table["imbalance"].tolist() == [1, 2, 4]
    assert table["test_count"].tolist() == [4, 1, 0]
    assert table["accuracy"].tolist()[:2] == [0.5, 0]
    assert table.loc["ant", ["accuracy", "accuracy_low", "accuracy_high"]].isna().all()
    assert finding.summary["balanced_accuracy"] == 0.25
    assert finding.summary["accuracy"] == 0.4
    confusion = finding.tables["confusion"].set_index(["class", "predicted"])
    assert confusion.loc[("cat", "dog"), "share"] == 0.5
    assert np.isnan(confusion.loc[("cat", "cat"), "share"])
    assert confusion.loc[("cat", "cat"), "count"] == 2
    assert any("ant" in note for note in finding.notes)
    assert finding.lines()["dog"].startswith(
        "dog is classified correctly 0% [0, 79] of the time in 1 test instance, too few to tell"
    )


@pytest.mark.parametrize(
    ("classes", "correct", "published"), [(10, 7256, 0.8387), (10, 7865, 0.8763), (100, 5694, 0.7529)]
)
def test_the_geometric_mean_is_that_of_the_published_tables(classes, correct, published):
    """EOS, Table II: of 10,000 test images of equal classes so many are correct; CE, LDAM with EOS, CE on CIFAR-100."""
    labels = np.arange(10_000) % classes
    predicted = np.where(np.arange(10_000) < correct, labels, (labels + 1) % classes)
    arrays = (np.zeros((10_000, 1)), labels, np.eye(classes)[predicted])
    summary = class_accuracy(Run.from_arrays(train=arrays, test=arrays)).summary
    assert summary["balanced_accuracy"] == pytest.approx(correct / 10_000)
    assert summary["geometric_mean"] == pytest.approx(published, abs=1e-4)


def test_against_scikit_learn_and_imbalanced_learn():
    run = make_run()
    finding = class_accuracy(run)
    true, answers = run.test.labels, run.test.predictions
    sensitivity, specificity, support = sensitivity_specificity_support(true, answers)
    table = finding.tables["class_accuracy"]
    np.testing.assert_allclose(table["accuracy"], sensitivity)
    assert table["test_count"].tolist() == support.tolist() == list(TEST)
    assert table["train_count"].tolist() == list(TRAIN)
    assert table["class"].tolist() == list(NAMES)
    summary = finding.summary
    assert summary["accuracy"] == pytest.approx(accuracy_score(true, answers))
    assert summary["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(true, answers))
    assert summary["macro_f1"] == pytest.approx(f1_score(true, answers, average="macro"))
    assert summary["geometric_mean"] == pytest.approx(np.sqrt(sensitivity.mean() * specificity.mean()))
    assert np.array_equal(
        finding.tables["confusion"]["count"].to_numpy().reshape(5, 5), confusion_matrix(true, answers)
    )
    for row in table.itertuples():
        true_interval = binomtest(round(row.accuracy * row.test_count), row.test_count).proportion_ci(method="wilson")
        assert (row.accuracy_low, row.accuracy_high) == pytest.approx((true_interval.low, true_interval.high))


def test_lines_name_the_worst_class_first_and_where_its_errors_go():
    run = make_run()
    finding = class_accuracy(run)
    table = finding.tables["class_accuracy"].set_index("class")
    lines = finding.lines()
    assert list(lines) == sorted(lines, key=lambda name: table.loc[name, "accuracy"])
    assert all(table.loc[name, "accuracy"] < table["accuracy"].mean() for name in lines)
    worst = next(iter(lines))
    counts = confusion_matrix(run.test.labels, run.test.predictions)[NAMES.index(worst)]
    counts[NAMES.index(worst)] = 0
    assert f"errors go to {NAMES[counts.argmax()]}" in lines[worst]
    assert finding.sentence() == "\n".join(lines.values())


def test_every_answer_right():
    labels = np.repeat([0, 1], [30, 4])
    run = Run.from_arrays(train=(np.zeros((34, 1)), labels), test=(np.zeros((34, 1)), labels, np.eye(2)[labels]))
    finding = class_accuracy(run)
    assert set(finding.summary.values()) == {1.0}
    assert finding.lines() == {}
    assert set(finding.charts()) == {"class_accuracy"}  # no matrix without a single error


def test_not_applicable():
    features, labels = np.zeros((3, 2)), [0, 1, 1]
    with pytest.raises(NotApplicable, match="no test split"):
        class_accuracy(Run.from_arrays(train=(features, labels)))
    with pytest.raises(NotApplicable, match="neither logits nor a head"):
        class_accuracy(Run.from_arrays(train=(features, labels), test=(features, labels)))


def test_labels_by_hand() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]])
    logits = np.array([[2, -1, 1], [-1, 3, -1], [1, -2, -1], [-1, -1, -1], [0, 4, -1]], dtype=np.float32)
    features = np.random.default_rng(0).normal(size=(5, 2))
    run = Run.from_arrays(train=(features, labels), test=(features, labels, logits), classes=["a", "b", "c"])
    found = class_accuracy(run)
    table = found.tables["class_accuracy"].set_index("class")
    assert table["test_count"].tolist() == [3, 2, 0] and table["imbalance"].tolist()[:2] == pytest.approx([2 / 3, 1.5])
    assert table["accuracy"].tolist()[:2] == pytest.approx([1 / 3, 1 / 2])  # a logit of 0 is a no
    assert table["specificity"].tolist() == pytest.approx([1 / 2, 2 / 3, 4 / 5])
    assert np.isnan(table.loc["c", "accuracy"]) and np.isnan(table.loc["c", "imbalance"])
    assert found.summary["balanced_accuracy"] == pytest.approx(((1 / 3 + 1 / 2) + (1 / 2 + 2 / 3)) / 4)
    assert found.summary["accuracy"] == pytest.approx((2 + 3 + 4) / 15)
    assert found.summary["macro_f1"] == pytest.approx((2 * 1 / (3 + 2) + 2 * 1 / (2 + 2)) / 2)
    assert "confusion" not in found.tables and list(found.lines()) == ["a", "b"]
    assert found.lines()["b"].startswith(
        "b: sensitivity 50% [9, 91] (2 positive test instances, too few to tell), false-positive rate 33%"
    )
    assert any("No positive test instance of c" in note for note in found.notes)
    assert set(found.charts()) == {"class_accuracy"}


def test_the_interval_of_all_or_none_ends_exactly_there():
    trials = np.arange(1, 2000)
    assert (wilson(trials, trials)[1] == 1).all()
    assert (wilson(np.zeros_like(trials), trials)[0] == 0).all()


def test_classes_of_few_instances_are_marked_where_they_move_the_means() -> None:
    labels = np.repeat([0, 1, 2], [40, 20, 3])
    logits = np.eye(3)[np.where(labels == 2, 0, labels)]
    run = Run.from_arrays(train=(logits, labels), test=(logits, labels, logits), classes=["a", "b", "c"])
    finding = class_accuracy(run)
    assert finding.summary["balanced_accuracy"] == pytest.approx(2 / 3)
    assert "Of fewer than 10 test instances: c." in finding.notes[0]
    assert "without them the balanced accuracy is 100%" in finding.notes[0]
