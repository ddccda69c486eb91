"""Defects of a label's training data in multi-label runs: wrong labels and uncovered ranges, planted by hand."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from imblens.lenses import diagnosis
from imblens.lenses.diagnosis.label_defects import left
from imblens.run import Run

NAMES = ["fluid", "tube", "mass", "node"]
N, TESTED = 1200, 700
CUT = 3.5  # of feature 8, from which a quarter of the instances lies, apart from the others


def made(
    *,
    wrong: float = 0.0,
    missed: float = 0.0,
    gap: float = 0.0,
    scale: float = 3.2,
    patient: int = 0,
    n_labels: int = 4,
    apart: float = 0.0,
    seed: int = 0,
) -> Run:
    """Four labels that the features separate fairly well; `fluid` has what is planted.

    Args:
        wrong: negative training instances that become positive, as a share of its positives.
        missed: share of its positive training instances that become negative.
        gap: share of the quarter of its positives with a high feature 8 that is left out of training.
        scale: distance between positives and negatives, in standard deviations.
        patient: instances of each patient, which share labels and most of their features; 0: no patients are known.
        n_labels: of the four.
        apart: distance of all test instances from all training instances, as of those that a network has memorised.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)

    def split(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        whose = np.arange(n) // max(patient, 1)
        labels = (rng.random((n, 4)) < (0.4, 0.35, 0.3, 0.3)).astype(int)
        features = rng.normal(size=(n, 10))
        if patient:
            labels = labels[whose]
            features = 0.5 * features + 0.87 * rng.normal(size=(n, 10))[whose]
        features[:, :4] += scale * labels
        features[:, 8] += 7.0 * (rng.random(n) < 0.25)[whose]
        return features, labels, whose

    (features, labels, whose), (test, tested, whose_test) = split(N), split(TESTED)
    test[:, 9] += apart
    if gap:
        inside = (labels[:, 0] == 1) & (features[:, 8] > CUT)
        gone = np.flatnonzero(inside)[: round(gap * inside.sum())]
        features, labels, whose = (np.delete(values, gone, axis=0) for values in (features, labels, whose))
    given = labels.copy()
    own = [np.flatnonzero(labels[:, 0] == value) for value in (0, 1)]
    given[rng.choice(own[0], round(wrong * len(own[1])), replace=False), 0] = 1
    given[rng.choice(own[1], round(missed * len(own[1])), replace=False), 0] = 0
    head = np.eye(n_labels, 10), np.full(n_labels, -scale / 2)
    groups = {"train": whose, "test": whose_test} if patient else None
    return Run.from_arrays(
        train=(features, given[:, :n_labels]),
        test=(test, tested[:, :n_labels]),
        head=head,
        classes=NAMES[:n_labels],
        task="multilabel",
        groups=groups,
    )


@cache
def rows(**planted: Any) -> tuple[dict[str, list[str]], dict[tuple[str, str], str], tuple[str, ...]]:
    """Return the causes of each label, the evidence by label and cause, and notes."""
    finding = diagnosis(made(**planted))
    table = finding.tables["diagnosis"]
    causes = table.groupby("class", sort=False)["cause"].agg(list).to_dict()
    return causes, table.set_index(["class", "cause"])["evidence"].to_dict(), finding.notes


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("patient", [0, 12])
def test_nothing_is_named_where_nothing_is_planted(patient: int, seed: int) -> None:
    causes, _, notes = rows(patient=patient, seed=seed)
    assert causes == {name: ["none found"] for name in NAMES}
    assert notes == ()


@pytest.mark.parametrize("seed", range(3))
def test_patients_who_lie_apart_are_not_uncovered_where_held_out_training_patients_do_so_too(seed: int) -> None:
    causes, _, _ = rows(patient=12, n_labels=2, seed=seed)  # two labels have no median of others
    assert causes == {name: ["none found"] for name in NAMES[:2]}


@pytest.mark.parametrize("n_labels", [2, 4])
def test_a_label_is_not_uncovered_where_its_negatives_lie_apart_as_well(n_labels: int) -> None:
    causes, _, _ = rows(apart=6.0, n_labels=n_labels)
    assert causes == {name: ["none found"] for name in NAMES[:n_labels]}


@pytest.mark.parametrize("seed", range(3))
def test_negatives_among_the_positives_are_wrong_labels(seed: int) -> None:
    causes, evidence, _ = rows(wrong=0.1, seed=seed)
    assert causes == {"fluid": ["label_noise"], "tube": ["none found"], "mass": ["none found"], "node": ["none found"]}
    text = evidence["fluid", "label_noise"]
    assert "positive training instances look like negatives and not like its positive test instances" in text
    share = float(text.split("about ")[1].split("%")[0]) / 100
    assert share == pytest.approx(0.1 / 1.1, abs=0.04)
    assert "97.5% of permutations of training and test instances stay below" in text
    assert "median of the other labels" in text


def test_positives_among_the_negatives_are_wrong_labels() -> None:
    causes, evidence, _ = rows(missed=0.2)
    assert causes["fluid"] == ["label_noise"]
    assert "negative training instances look like positives" in evidence["fluid", "label_noise"]


def test_what_the_test_split_contradicts_as_often_is_no_wrong_label() -> None:
    causes, _, _ = rows(scale=1.6)  # one in five positives scores like a negative, in both splits
    assert not {"label_noise", "uncovered_range"} & {cause for of in causes.values() for cause in of}


@pytest.mark.parametrize("seed", range(3))
def test_positives_that_training_lacks_are_uncovered(seed: int) -> None:
    causes, evidence, _ = rows(gap=1.0, seed=seed)
    assert causes["fluid"] == ["uncovered_range"]
    for name in NAMES[1:]:  # some of their positives are left out with those of fluid
        assert causes[name] in (["none found"], ["uncovered_range"])
    assert [causes[name] for name in NAMES[1:]].count(["none found"]) >= 2
    text = evidence["fluid", "uncovered_range"]
    test = made(gap=1.0, seed=seed).test
    assert test is not None
    outside = test.features[test.labels[:, 0] == 1, 8] > CUT
    assert float(text.split("%")[0]) / 100 == pytest.approx(outside.mean(), abs=0.04)
    assert "held-out parts of its training positives: at most" in text and "median of the other labels" in text


def test_a_part_that_training_has_is_covered_although_few_instances_are_left_out() -> None:
    causes, _, _ = rows(gap=0.3)
    assert causes["fluid"] == ["none found"]


@pytest.mark.parametrize(("cause", "planted"), [("label_noise", {"wrong": 0.25}), ("uncovered_range", {"gap": 1.0})])
def test_both_are_found_among_patients(cause: str, planted: dict[str, float]) -> None:
    causes, evidence, _ = rows(patient=4, **planted)
    assert causes["fluid"] == [cause]
    if cause == "label_noise":
        assert "permutations of training and test groups" in evidence["fluid", cause]


def test_few_patients_are_too_few_however_many_instances_they_have() -> None:
    run = made(wrong=0.25, gap=1.0)
    few = {"train": np.arange(len(run.train)) % 9, "test": np.arange(len(run.test)) % 9}
    finding = diagnosis(
        Run.from_arrays(
            train=(run.train.features, run.train.labels),
            test=(run.test.features, run.test.labels),
            head=(run.head.weight, run.head.bias),
            classes=NAMES,
            task="multilabel",
            groups=few,
        )
    )
    assert set(finding.tables["diagnosis"]["cause"]) == {"too few to tell"}
    assert len(finding.notes) == 3 and all("instances of fewer than 10 groups" in note for note in finding.notes)


def test_a_label_with_too_few_positives_is_stated_as_not_judged() -> None:
    run = made()
    labels = run.train.labels.copy()
    labels[np.flatnonzero(labels[:, 3])[49:], 3] = 0
    finding = diagnosis(
        Run.from_arrays(
            train=(run.train.features, labels),
            test=(run.test.features, run.test.labels),
            head=(run.head.weight, run.head.bias),
            classes=NAMES,
            task="multilabel",
        )
    )
    assert [note.split(" (")[0] for note in finding.notes] == [
        "Not judged: wrong positive labels of node",
        "Not judged: an uncovered range of node",
    ]


def test_notes_state_how_many_instances_are_scored_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("imblens.lenses.diagnosis.label_scores"), "MOST_ROWS", 130)
    notes = diagnosis(made(seed=7)).notes
    assert notes and all("test instances among 130 and 130 that are scored)" in note for note in notes)


def test_other_reasons_count_less_where_a_defect_leads_to_them() -> None:
    assert left("overlap", {}) == left("shortcut", {"label_noise": 1.0}) == 1
    assert left("overlap", {"uncovered_range": 0.5}) == pytest.approx(1 - 0.7 * 0.5)
    assert left("few_examples", {"label_noise": 1.0, "uncovered_range": 0.5}) == pytest.approx(0.5 * 0.7)
