"""BalancedSVM: SMOTE's rows, the machine's labels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from imblens.errors import ImblensWarning, InputError
from imblens.resampling import BalancedSVM, stratified
from tests.treatments._runs import blobs


def test_rows_lie_between_two_instances_of_the_class_and_carry_the_machine_label() -> None:
    features, labels = blobs(apart=0.5)
    sampler = BalancedSVM(3, random_state=0)
    X, y = sampler.fit_resample(features, labels)
    n = len(labels)
    base, mate = sampler.sample_indices_[n:], sampler.mate_indices_
    np.testing.assert_array_equal(labels[base], sampler.smote_labels_)
    np.testing.assert_array_equal(labels[mate], sampler.smote_labels_)
    low = np.minimum(features[base], features[mate]) - 1e-5
    high = np.maximum(features[base], features[mate]) + 1e-5
    assert ((X[n:] >= low) & (X[n:] <= high)).all()
    on_line = np.linalg.norm(X[n:] - features[base], axis=1) + np.linalg.norm(X[n:] - features[mate], axis=1)
    np.testing.assert_allclose(on_line, np.linalg.norm(features[base] - features[mate], axis=1), atol=1e-4)
    assert np.bincount(sampler.smote_labels_).tolist() == [0, 50, 72, 83]
    assert sampler.n_relabelled_ == np.count_nonzero(y[n:] != sampler.smote_labels_) > 0


def test_the_machine_is_the_plain_one_on_the_original_instances() -> None:
    features, labels = blobs(apart=0.5)
    sampler = BalancedSVM(3, random_state=0, fit_on="original")
    X, y = sampler.fit_resample(features, labels)
    wide = features.astype(np.float64)
    mean, spread = wide.mean(axis=0), wide.std(axis=0)
    expected = SVC().fit((wide - mean) / spread, labels).predict((X[len(labels) :] - mean) / spread)
    assert (expected == y[len(labels) :]).mean() > 0.99


def test_fitting_on_resampled_rows_changes_fewer_labels() -> None:
    features, labels = blobs(apart=0.5)
    original, resampled = BalancedSVM(3, random_state=0, fit_on="original"), BalancedSVM(3, random_state=0)
    original.fit_resample(features, labels)
    resampled.fit_resample(features, labels)
    assert resampled.n_relabelled_ < original.n_relabelled_


def test_another_machine_can_be_given_and_is_left_unfitted() -> None:
    features, labels = blobs()
    given = KNeighborsClassifier(1)
    sampler = BalancedSVM(3, random_state=0, estimator=given)
    sampler.fit_resample(features, labels)
    assert not hasattr(given, "classes_")
    assert isinstance(sampler.estimator_, KNeighborsClassifier)


def test_a_class_too_small_is_named_with_the_way_out() -> None:
    features, labels = blobs((20, 9, 3, 5))
    with pytest.raises(InputError, match=r"k_neighbors=5 needs 6 instances but class 2 has 3\. Pass k_neighbors=2"):
        BalancedSVM(5, random_state=0).fit_resample(features, labels)
    features, labels = blobs((20, 9, 1, 5))
    with pytest.raises(InputError, match=r"class 2 has 1 instance; SMOTE needs two"):
        BalancedSVM(2, random_state=0).fit_resample(features, labels)
    X, _ = BalancedSVM(4, random_state=0, sampling_strategy={1: 20, 3: 20}).fit_resample(features, labels)
    assert len(X) == 35 + 11 + 15


def test_a_large_fit_is_thinned_and_reported() -> None:
    features, labels = blobs((300, 40, 9, 7))
    with pytest.warns(ImblensWarning, match=r"fitted on 100 of 1,200 rows") as told:
        BalancedSVM(3, random_state=0, max_fit=100).fit_resample(features, labels)
    assert told[0].filename == __file__
    BalancedSVM(3, random_state=0, max_fit=1200).fit_resample(features, labels)  # enough for all: no warning


@pytest.mark.parametrize(
    ("columns", "steps"), [(128, ["standardscaler", "svc"]), (129, ["standardscaler", "pca", "svc"])]
)
def test_the_machine_sees_128_components_of_wide_features(columns: int, steps: list[str]) -> None:
    features, labels = blobs((90, 50), dim=columns)
    sampler = BalancedSVM(3, random_state=0)
    X, _ = sampler.fit_resample(features, labels)
    assert X.shape == (180, columns) and list(sampler.estimator_.named_steps) == steps
    assert sampler.estimator_[-1].n_features_in_ == 128


@pytest.mark.parametrize(
    ("n_rows", "counts"), [(100, [44, 40, 9, 7]), (30, [7, 7, 7, 7]), (1000, [300, 40, 9, 7]), (2, [1, 1, 1, 1])]
)
def test_thinning_keeps_rare_classes_whole(n_rows: int, counts: list[int]) -> None:
    _, labels = blobs((300, 40, 9, 7))
    kept = stratified(labels, n_rows, 0)
    assert np.bincount(labels[kept]).tolist() == counts
    assert (np.diff(kept) > 0).all()
