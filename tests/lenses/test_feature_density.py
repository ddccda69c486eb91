"""Crowding of features: by hand, against a loop, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imblens.errors import InputError
from imblens.lenses import feature_density, feature_overlap
from imblens.run import Batch, Run, TopKCounts
from tests.lenses.made import NAMES, TRAIN, make_run
from tests.oracles import class_lenses_loop as oracle


def test_by_hand():
    features = np.array([[5.0, 1, 0], [4.0, 0, 1], [3.0, 4, 0], [0, 1.0, 0], [2.0, 1, 0]])
    run = Run.from_arrays(train=(features, ["a", "a", "b", "b", "b"]))
    table = feature_density(run, top=1).tables["feature_density"]
    assert table.to_dict("list") == {
        "reference": ["a", "b"],
        "adversary": ["b", "a"],
        "feature": [0, 1],
        "reference_count": [2, 2],
        "adversary_count": [1, 0],
        "ratio": [0.5, 0.0],
        "rate_ratio": pytest.approx([(1 / 3) / (2 / 2), 0.0]),
    }


@pytest.mark.parametrize(("dim", "top"), [(11, 3), (37, 10), (6, 10), (1, 10), (131, 10)])
def test_against_a_loop(dim, top):
    run = make_run(dim=dim)
    features, labels = run.train.features, run.train.labels
    counts = oracle.density_counts(features.tolist(), labels, 5, min(top, dim))
    rows = iter(feature_density(run, top=top).tables["feature_density"].to_dict("records"))
    for i, reference in enumerate(NAMES):
        means = features[labels == i].mean(axis=0, dtype=np.float64)
        for j, adversary in enumerate(NAMES):
            for feature in oracle.top(means.tolist(), top) if i != j else []:
                row = next(rows)
                assert (row["reference"], row["adversary"], row["feature"]) == (reference, adversary, feature)
                own, other = counts[i, feature], counts[j, feature]
                assert (row["reference_count"], row["adversary_count"]) == (own, other)
                if own == 0:
                    assert np.isnan(row["ratio"]) and np.isnan(row["rate_ratio"])
                else:
                    assert row["ratio"] == pytest.approx(other / own)
                    assert row["rate_ratio"] == pytest.approx((other / TRAIN[j]) / (own / TRAIN[i]))
    assert next(rows, None) is None


@settings(deadline=None, derandomize=True, max_examples=80)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 9), st.integers(1, 23)),
        elements=st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.0]),
    ),
    st.integers(1, 9),
)
def test_counts_of_ties_take_the_lower_feature(features, k):
    labels = np.arange(len(features)) % 3
    counts = TopKCounts(3, features.shape[1], k)
    counts.update(Batch(0, features, labels, None, 3))
    expected = oracle.density_counts(features.tolist(), labels, 3, k)
    assert np.array_equal(counts.finish(), expected)


@pytest.mark.parametrize("values", [7, 60, 10**6])  # many equal values in a row; some rows with equal values; none
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize(("dim", "k"), [(40, 1), (80, 2), (83, 2), (136, 3), (512, 10)])
def test_counts_of_many_features_are_those_of_whole_rows_in_order(dim, k, dtype, values):
    rng = np.random.default_rng(dim + values)
    features = (rng.integers(-values, values, size=(37, dim)) / 64).astype(dtype)
    features[:5] = np.where(rng.random((5, dim)) < 0.05, np.inf, -0.0)
    features[5] = 0
    labels = np.arange(37) % 3
    counts = TopKCounts(3, dim, k)
    for rows in (slice(0, 20), slice(20, 37)):
        counts.update(Batch(rows.start, features[rows], labels[rows], None, 3))
    strongest = np.argsort(-features.astype(np.float64), axis=1, kind="stable")[:, :k]
    expected = [np.bincount(strongest[labels == c].ravel(), minlength=dim) for c in range(3)]
    assert np.array_equal(counts.finish(), expected)


def test_a_feature_that_its_own_class_never_shows():
    # one huge instance makes feature 0 the strongest of a; in instances the others lead... but for that one
    features = np.array([[100.0, 1, 0], [0, 1, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    table = feature_density(Run.from_arrays(train=(features, ["a", "a", "a", "b"])), top=1).tables["feature_density"]
    assert table["reference_count"].tolist() == [1, 1]
    negative = np.array([[-1.0, -5, -9], [-5.0, -9, -1], [0, 1, 0]])  # means -3, -7, -5: feature 0 leads
    labels = ["a", "a", "b"]
    both = feature_density(Run.from_arrays(train=(negative, labels)), top=1).tables["feature_density"]
    assert both["reference_count"].tolist() == [1, 1]
    never = np.array([[2.0, 3, 0], [2.0, 0, 3], [0, 1, 0]])  # means 2, 1.5, 1.5: led by 0, which tops no instance
    found = feature_density(Run.from_arrays(train=(never, labels)), top=1).tables["feature_density"]
    assert found["reference_count"].tolist()[0] == 0
    assert np.isnan(found["ratio"][0]) and np.isnan(found["rate_ratio"][0])


def test_features_are_those_of_feature_overlap():
    run = make_run(dim=30)
    strongest = feature_overlap(run, top=6).tables["feature_overlap"].groupby("class")["feature"].apply(list)
    table = feature_density(run, top=6).tables["feature_density"]
    for (reference, _), rows in table.groupby(["reference", "adversary"]):
        assert rows["feature"].tolist() == strongest[reference]


def test_several_labels_per_instance():
    features = np.array([[3.0, 1, 0], [0, 2.0, 5], [1, 0, 4.0]])
    run = Run.from_arrays(train=(features, np.array([[1, 0], [1, 1], [0, 1]])))
    table = feature_density(run, top=1).tables["feature_density"]
    assert table["feature"].tolist() == [2, 2]  # means of a: 1.5, 1.5, 2.5
    assert table["reference_count"].tolist() == [1, 2]
    assert table["ratio"].tolist() == [2, 0.5]


def test_lines_are_about_crowded_classes():
    finding = feature_density(make_run(dim=30))
    table = finding.tables["feature_density"]
    mean = table.groupby(["reference", "adversary"])["ratio"].mean().groupby("reference").max()
    assert set(finding.lines()) == set(mean[mean >= 2].index)
    finding.charts()["feature_density"].to_dict()


def test_refusal():
    with pytest.raises(InputError, match="top=0"):
        feature_density(make_run(), top=0)
