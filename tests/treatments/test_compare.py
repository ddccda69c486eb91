"""Before and after: tables against hand counts and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from imblens.errors import InputError, NotApplicable
from imblens.run import Run
from imblens.treatments import treat, treatment_summary, treatment_table
from tests.treatments._runs import blobs_run


def run_with_predictions(predictions: list[int], labels: list[int], n_classes: int = 3) -> Run:
    logits = np.eye(n_classes)[predictions]
    train = (np.arange(2 * n_classes)[:, None], np.tile(np.arange(n_classes), 2), np.zeros((2 * n_classes, n_classes)))
    classes = ["a", "b", "c"][:n_classes]
    return Run.from_arrays(train=train, test=(np.arange(len(labels))[:, None], labels, logits), classes=classes)


LABELS = [0] * 10 + [1] * 4
BEFORE = [0] * 6 + [1] * 4 + [1, 0, 0, 0]
AFTER = [0] * 5 + [1] * 3 + [0, 0] + [1, 1, 1, 0]


def test_table_by_hand() -> None:
    table = treatment_table(run_with_predictions(BEFORE, LABELS), run_with_predictions(AFTER, LABELS)).set_index(
        "class"
    )
    assert table["before"].tolist()[:2] == [0.6, 0.25]
    assert table["after"].tolist()[:2] == [0.7, 0.75]
    assert table["gained"].tolist() == [2, 2, 0]
    assert table["lost"].tolist() == [1, 0, 0]
    assert table["change"].tolist()[:2] == pytest.approx([0.1, 0.5])
    assert table["test_count"].tolist() == [10, 4, 0]
    # Agresti and Min: (2.5 - 1.5) / 12, and z sqrt(2.5 + 1.5 - 1 / 12) / 12
    assert table.loc["a", "change_low"] == pytest.approx(1 / 12 - 1.959964 * np.sqrt(4 - 1 / 12) / 12, abs=1e-6)
    assert table.loc["a", "change_high"] == pytest.approx(1 / 12 + 1.959964 * np.sqrt(4 - 1 / 12) / 12, abs=1e-6)
    assert table.loc["c", ["before", "after", "change", "change_low", "after_high"]].isna().all()


def test_no_change_still_has_an_interval() -> None:
    run = run_with_predictions(BEFORE, LABELS)
    table = treatment_table(run, run)
    assert (table["change"][:2] == 0).all()
    assert (table["change_low"][:2] < 0).all()
    assert (table["change_high"][:2] > 0).all()


def test_few_instances_are_never_certain() -> None:
    """One test instance a class, and nothing or everything changed: the mean's interval is as wide as two coin flips."""
    wrong, right = run_with_predictions([1, 0], [0, 1], 2), run_with_predictions([0, 1], [0, 1], 2)
    for before, after, change in ((right, right, 0), (wrong, wrong, 0), (wrong, right, 1)):
        row = treatment_summary(before, after).set_index("measure").loc["balanced_accuracy"]
        assert row["change"] == change
        assert row["change_low"] < change - 0.3 and -1 <= row["change_low"] and row["change_high"] <= 1
    many = [0, 1] * 500
    row = treatment_summary(*[run_with_predictions(many, many, 2)] * 2).set_index("measure").loc["balanced_accuracy"]
    assert -0.005 < row["change_low"] < 0 < row["change_high"] < 0.005


def test_summary_against_scikit_learn() -> None:
    before = blobs_run((200, 60, 20, 9))
    after = treat(before, "logit_adjustment", tau=1)
    table = treatment_summary(before, after).set_index("measure")
    for column, run in (("before", before), ("after", after)):
        truth, predictions = run.test.labels, run.test.predictions
        assert table.loc["balanced_accuracy", column] == pytest.approx(balanced_accuracy_score(truth, predictions))
        assert table.loc["macro_f1", column] == pytest.approx(f1_score(truth, predictions, average="macro"))
        assert table.loc["accuracy", column] == pytest.approx(np.mean(truth == predictions))
        specificity = np.mean([recall_score(truth != c, predictions != c) for c in range(4)])
        expected = np.sqrt(balanced_accuracy_score(truth, predictions) * specificity)
        assert table.loc["geometric_mean", column] == pytest.approx(expected)
        logits = np.asarray(run.test.logits, dtype=np.float64)
        chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        confidence, right = chance.max(axis=1), predictions == truth
        ece = 0.0
        for low in np.arange(15) / 15:
            inside = (confidence > low) & (confidence <= low + 1 / 15 + 1e-15)
            if inside.any():
                ece += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
        assert table.loc["ece", column] == pytest.approx(ece)
    row = table.loc["balanced_accuracy"]
    assert row["change_low"] < row["change"] < row["change_high"]
    assert row["change"] == pytest.approx(treatment_table(before, after)["change"].mean())
    assert table.loc["ece", ["change_low", "change_high"]].isna().all()


def test_what_cannot_be_compared() -> None:
    run = blobs_run()
    blind = Run.from_arrays(train=(run.train.features, run.train.labels), classes=run.classes)
    assert treatment_table(blind, treat(blind, "ncm")).empty
    assert treatment_summary(blind, treat(blind, "ncm")).empty
    other = blobs_run(test=(run.test.features, np.roll(run.test.labels, 3)))
    with pytest.raises(InputError, match="differ in classes or test labels"):
        treatment_table(run, other)
    headless = blobs_run(head=None)
    with pytest.raises(NotApplicable, match="predictions of the untreated run are unknown"):
        treatment_table(headless, treat(headless, "ncm"))
