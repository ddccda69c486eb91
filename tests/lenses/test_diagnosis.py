"""The diagnosis reads confusion as overlap only where no line between two classes would part them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from imblens.lenses import diagnosis
from imblens.lenses._diagnosis import equal_error_rate
from imblens.run import Run

N = 400


def confused(apart: float) -> Run:
    """Return a run in which every instance of `b` is taken for `a` and none of `a` for `b`; `apart`: what lies between them."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, 3], N)
    over = rng.normal(np.array([apart, -apart, 0, 0])[labels], 1.0)  # the logit of `a` over that of `b`
    biased = over - over[labels <= 1].min() + 1.0
    logits = np.full((4 * N, 4), -9.0)
    logits[:, 0], logits[:, 1] = biased, 0.0
    logits[labels == 2, 2] = logits[labels == 3, 3] = 99.0
    features = rng.normal(size=(4 * N, 8)) + 5 * np.eye(8)[labels]
    split = (features, labels, logits)
    return Run.from_arrays(train=split, test=split, classes=["a", "b", "c", "d"])


def causes(run: Run, name: str) -> list[str]:
    table = diagnosis(run).tables["diagnosis"]
    return table.loc[table["class"] == name, "cause"].tolist()


def test_confusion_to_one_side_is_overlap_where_no_line_parts_the_two() -> None:
    run = confused(apart=0.5)
    assert (run.test.predictions[run.test.labels == 1] == 0).all() and (
        run.test.predictions[run.test.labels == 0] == 0
    ).all()
    assert causes(run, "b")[0] == "overlap"
    table = diagnosis(run).tables["diagnosis"]
    assert "overlaps with a" in table.loc[table["class"] == "b", "evidence"].iloc[0]


def test_confusion_that_a_shifted_line_would_end_is_not_overlap() -> None:
    run = confused(apart=6.0)
    assert (run.test.predictions[run.test.labels == 1] == 0).all()
    assert "overlap" not in causes(run, "b")


@pytest.mark.parametrize("apart", [0.0, 0.7, 2.0, 9.0])
def test_equal_error_rate_is_where_the_roc_curve_meets_the_other_diagonal(apart: float) -> None:
    rng = np.random.default_rng(1)
    own, others = rng.normal(apart, 1, 300), rng.normal(0, 1, 200)
    false, true, _ = roc_curve(np.repeat([1, 0], [300, 200]), np.concatenate([own, others]), drop_intermediate=False)
    at = int(np.argmin(np.abs(1 - true - false)))
    assert equal_error_rate(own, others) == pytest.approx((1 - true[at] + false[at]) / 2, abs=0.005)
    assert equal_error_rate(own, others) == pytest.approx(equal_error_rate(own + 3, others + 3))


def test_a_class_without_training_instances_is_named_with_its_wrong_test_instances() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 30)
    features = rng.normal(size=(60, 4)) + 3 * np.eye(4)[labels]
    tested = np.concatenate([labels, [2, 2, 2]])
    answers = np.concatenate([labels, [0, 1, 2]])
    test = (np.concatenate([features, features[:3]]), tested, np.eye(4)[answers])
    run = Run.from_arrays(train=(features, labels, np.eye(4)[labels]), test=test, classes=["a", "b", "c", "d"])
    finding = diagnosis(run)
    assert not {"c", "d"} & set(finding.tables["diagnosis"]["class"])
    (said,) = [note for note in finding.notes if note.startswith("No training instance of c, d")]
    assert said.endswith("Of their 3 test instances, 2 are wrong.")
    assert not any("No training instance" in note for note in diagnosis(confused(0.5)).notes)


def test_how_far_tests_lie_is_not_called_by_the_name_of_another_measure() -> None:
    from imblens.lenses._diagnosis import MEASURES

    evidence = [text for _, text in MEASURES["uncovered_range"](confused(0.5)).values()]
    assert evidence and all("nearest training instance" in text and "gap" not in text for text in evidence)


def test_the_chart_names_causes_in_words_and_counts_in_the_singular() -> None:
    run = confused(apart=0.5)
    chart = diagnosis(run).charts()["diagnosis"].to_dict()
    assert "few_" not in str(chart) and "sub_concepts" not in str(chart)
    one = Run.from_arrays(train=(np.eye(3)[[0, 0, 1]], [0, 0, 1], np.eye(2)[[0, 0, 1]]), classes=["a", "b"])
    evidence = diagnosis(one).tables["diagnosis"].set_index("class")["evidence"]
    assert evidence["b"] == "1 instance to judge it by is too few to tell."
