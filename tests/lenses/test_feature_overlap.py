"""Strongest features of a class: by hand, against loops, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest

from imblens.errors import InputError
from imblens.lenses import feature_overlap
from imblens.run import Run
from tests.lenses.made import NAMES, make_run
from tests.oracles import class_lenses_loop as oracle


def test_by_hand():
    features = [[4, 0, 1, 1], [2, 0, 1, 3], [0, 5, 1, 5]]
    run = Run.from_arrays(train=(np.array(features, dtype=float), ["a", "a", "b"]))
    finding = feature_overlap(run, top=2)
    table = finding.tables["feature_overlap"]
    assert table.to_dict("list") == {
        "class": ["a", "a", "b", "b"],
        "rank": [1, 2, 1, 2],
        "feature": [0, 3, 1, 3],  # of b, features 1 and 3 tie
        "mean": [3, 2, 5, 5],
        "share": [0.6, 0.4, 0.5, 0.5],
    }
    pairs = finding.tables["feature_overlap_pairs"]
    assert pairs.to_dict("list") == {"class": ["a", "b"], "other": ["b", "a"], "shared": [1, 1]}
    assert finding.summary["top"] == 2
    assert finding.summary["mean_shared"] == 1


@pytest.mark.parametrize("top", [1, 4, 10, 50])
def test_against_a_loop(top):
    run = make_run(dim=23)
    finding = feature_overlap(run, top=top)
    rows = iter(finding.tables["feature_overlap"].to_dict("records"))
    strongest = {}
    for c, name in enumerate(NAMES):
        means = [float(np.mean(run.train.features[run.train.labels == c, d], dtype=np.float64)) for d in range(23)]
        strongest[name] = oracle.top(means, top)
        total = sum(means[d] for d in strongest[name])
        for rank, feature in enumerate(strongest[name], start=1):
            row = next(rows)
            assert (row["class"], row["rank"], row["feature"]) == (name, rank, feature)
            assert row["mean"] == pytest.approx(means[feature])
            assert row["share"] == pytest.approx(means[feature] / total)
    assert next(rows, None) is None
    for row in finding.tables["feature_overlap_pairs"].to_dict("records"):
        assert row["shared"] == len(set(strongest[row["class"]]) & set(strongest[row["other"]]))
    assert len(finding.tables["feature_overlap_pairs"]) == 20


def test_shares_without_mass_are_unknown():
    features = np.array([[0.0, 0.0], [0.0, 0.0], [-1.0, -3.0]])
    table = feature_overlap(Run.from_arrays(train=(features, [0, 1, 1]))).tables["feature_overlap"]
    assert table["share"].isna().all()
    assert table["feature"].tolist() == [0, 1, 0, 1]


def test_several_labels_per_instance():
    features = np.array([[1.0, 0, 0], [0, 3.0, 0], [0, 0, 2.0]])
    run = Run.from_arrays(train=(features, np.array([[1, 0], [1, 1], [0, 0]])))
    table = feature_overlap(run, top=1).tables["feature_overlap"]
    assert table["feature"].tolist() == [1, 1]
    assert table["mean"].tolist() == [1.5, 3]


def test_a_class_that_training_lacks():
    run = Run.from_arrays(train=(np.eye(3), [0, 2, 2]), classes=["a", "b", "c"])
    finding = feature_overlap(run)
    assert set(finding.tables["feature_overlap"]["class"]) == {"a", "c"}
    assert len(finding.tables["feature_overlap_pairs"]) == 2


def test_lines_name_pairs_that_share_at_least_half():
    run = make_run(dim=40)
    finding = feature_overlap(run, top=5)
    pairs = finding.tables["feature_overlap_pairs"]
    most = pairs.groupby("class")["shared"].max()
    assert set(finding.lines()) == set(most[most * 2 >= 5].index)
    assert feature_overlap(make_run(dim=3)).lines() == {}  # with 3 features, all classes share all: nothing to tell


def test_refusal():
    with pytest.raises(InputError, match="top=0"):
        feature_overlap(make_run(), top=0)
