"""headroom: what a linear head can reach where that is known, no use of an instance's own label, bounds and reasons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from imblens.errors import NotApplicable
from imblens.lenses import Finding, headroom
from imblens.lenses.headroom.text import lines
from imblens.run import Run

NAMES = ["many", "rare"]
BIASED = (np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([1.5, -1.5]))  # a head in favour of `many`


def two_normals(counts, seed, apart=2.0):
    """Two round normal classes `apart` from each other along the first feature."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], counts)
    features = rng.normal(size=(len(labels), 2))
    features[:, 0] += apart * (labels - 0.5)
    return features, labels


def made(train=(900, 90), test=(500, 500), **other):
    given = {"train": two_normals(train, 0), "test": two_normals(test, 1), "head": BIASED, "classes": NAMES}
    return Run.from_arrays(**{**given, **other})


def test_the_ceiling_is_what_the_best_line_between_two_normals_reaches():
    run = made()
    finding = headroom(run)
    table = finding.tables["headroom"].set_index("class")
    right = (run.test.features[:, 0] > 0) == run.test.labels  # the line midway between the means
    best = np.mean([right[run.test.labels == label].mean() for label in (0, 1)])
    assert finding.summary["ceiling"] == pytest.approx(best, abs=0.02)
    assert finding.summary["best_head"] == pytest.approx(best, abs=0.03)
    assert table.loc["rare", "accuracy"] < 0.6 < table.loc["rare", "best_head"]
    assert (table["ceiling_low"] <= table["ceiling"]).all() and (table["ceiling"] <= table["ceiling_high"]).all()
    assert abs(finding.summary["remaining"]) < 0.02
    assert "--with refit --set l2=0.5); --with best compares treatments" in finding.lines()["rare"]
    assert not any("`" in line for line in finding.lines().values())  # a report shows it as it is


def test_what_only_new_instances_show_is_found():
    features, labels = two_normals((900, 90), 0, apart=0.5)
    new, new_labels = two_normals((500, 500), 1, apart=0.5)
    features, new = np.c_[features, np.zeros(len(labels))], np.c_[new, 3.0 * new_labels - 1.5]
    run = Run.from_arrays(train=(features, labels), test=(new, new_labels), classes=NAMES)
    finding = headroom(run)
    table = finding.tables["headroom"]
    assert table["accuracy"].isna().all()
    assert (table["ceiling_low"] > table["best_head"] + 0.1).all()
    assert finding.summary["remaining_low"] > 0.1


def test_what_varies_only_in_new_instances_gets_the_advice_for_more_varied_images():
    features, labels = two_normals((900, 90), 0, apart=0.5)
    new, new_labels = two_normals((500, 500), 1, apart=0.5)
    features, new = np.c_[features, np.zeros(len(labels))], np.c_[new, 2.0 * new_labels - 1.0]
    new[:, 2] += np.random.default_rng(2).normal(size=len(new))
    head = (np.c_[BIASED[0], np.zeros(2)], BIASED[1])
    run = Run.from_arrays(train=(features, labels), test=(new, new_labels), classes=NAMES, head=head)
    assert "more varied instances of the class help" in headroom(run).lines()["rare"]


def test_a_head_at_the_ceiling_cannot_be_helped():
    run = made(train=(2500, 2500), test=(2500, 2500), head=(BIASED[0], np.zeros(2)))
    lines = headroom(run).lines()
    assert all("another head cannot help this class" in lines[name] for name in NAMES)
    assert "Beyond refitting, another head cannot help" in lines[""]


def test_no_sentence_states_a_best_head_below_the_refitted_one():
    finding = headroom(made())
    table = finding.tables["headroom"].copy()
    heads = ["accuracy", "best_head", "ceiling", "ceiling_low", "ceiling_high"]
    for values, expected in (
        ([0.62, 0.76, 0.72, 0.66, 0.79], "76% with a refitted head; no other linear head is expected to do better"),
        ([0.62, 0.70, 0.72, 0.66, 0.79], "70% with a refitted head, about 72% [66, 79] with the best linear head."),
    ):
        table.loc[table["class"] == "rare", heads] = values
        assert expected in lines(Finding({"headroom": table}, finding.summary))["rare"]


def test_no_instance_is_predicted_from_its_own_label():
    rng = np.random.default_rng(3)
    features, labels = rng.normal(size=(200, 150)), rng.permutation(np.repeat([0, 1], 100))  # a line fits them all
    run = Run.from_arrays(
        train=(rng.normal(size=(80, 150)), np.repeat([0, 1], 40)), test=(features, labels), classes=NAMES
    )
    summary = headroom(run).summary
    assert summary["ceiling"] == pytest.approx(0.5, abs=0.12)


def test_few_test_instances_are_left_out_or_the_reason_is_given():
    rng = np.random.default_rng(4)
    features, labels = rng.normal(size=(95, 3)), np.repeat([0, 1, 2], [40, 40, 15])
    given = {"train": (rng.normal(size=(60, 3)), np.repeat([0, 1, 2], 20)), "classes": ["a", "b", "c"]}
    finding = headroom(Run.from_arrays(test=(features, labels), **given))
    assert finding.tables["headroom"].set_index("class")["ceiling"].notna().to_dict() == {
        "a": True,
        "b": True,
        "c": False,
    }
    assert any("no ceiling: c" in note for note in finding.notes) and finding.summary["classes"] == 2
    with pytest.raises(NotApplicable, match="fewer than two classes have 20 test instances"):
        headroom(Run.from_arrays(test=(features[30:60], labels[30:60]), **given))


def test_a_sample_is_stated_and_too_large_a_fit_refused(monkeypatch):
    from imblens.lenses.headroom import fits, measure

    whole = headroom(made()).summary
    monkeypatch.setattr(measure, "SAMPLED", 300)
    monkeypatch.setattr(fits, "SAMPLED", 300)
    finding = headroom(made())
    assert any("700 instances were left out" in note for note in finding.notes)
    assert finding.summary["ceiling"] == pytest.approx(whole["ceiling"], abs=0.03)
    assert finding.summary["best_head"] == whole["best_head"]
    monkeypatch.setattr(fits, "WORK", 100)
    with pytest.raises(NotApplicable, match="too many to fit 20 test instances of each"):
        headroom(made())


def test_labels_are_binary_problems_of_their_own():
    def labelled(n, seed):
        rng = np.random.default_rng(seed)
        labels = (rng.random((n, 3)) < [0.5, 0.1, 0.005]).astype(np.uint8)
        labels[:2] = [[1, 1, 1], [0, 0, 0]]
        return rng.normal(size=(n, 3)) + 2.0 * labels, labels

    head = (2 * np.eye(3), np.array([-2.0, -6.0, -2.0]))
    run = Run.from_arrays(train=labelled(800, 0), test=labelled(800, 1), head=head, classes=["half", "tenth", "none"])
    finding = headroom(run)
    table = finding.tables["headroom"].set_index("class")
    assert table.loc[["half", "tenth"], "ceiling"].to_numpy() == pytest.approx(norm.cdf(1.0), abs=0.05)
    assert table.loc["tenth", "accuracy"] < 0.65 and table.loc["none", ["best_head", "ceiling"]].isna().all()
    assert "balanced accuracy" in finding.lines()["tenth"]
    assert "imblens treat RUN --with refit" in finding.lines()["tenth"]  # best was never measured on labels
    assert not any("--with best" in line for line in finding.lines().values())


def test_order_of_instances_features_and_classes_and_scale_do_not_matter():
    run = made()
    table = headroom(run).tables["headroom"]
    rng = np.random.default_rng(5)
    train, test = rng.permutation(990), rng.permutation(1000)
    mixed = Run.from_arrays(
        train=(16 * run.train.features[train][:, ::-1], run.train.labels[train]),
        test=(16 * run.test.features[test][:, ::-1], run.test.labels[test]),
        head=(BIASED[0][:, ::-1] / 16, BIASED[1]),
        classes=NAMES,
    )
    turned = Run.from_arrays(
        train=(run.train.features, 1 - run.train.labels),
        test=(run.test.features, 1 - run.test.labels),
        head=(BIASED[0][::-1], BIASED[1][::-1]),
        classes=NAMES[::-1],
    )
    pd.testing.assert_frame_equal(headroom(mixed).tables["headroom"], table)
    pd.testing.assert_frame_equal(headroom(turned).tables["headroom"][::-1].reset_index(drop=True), table)
