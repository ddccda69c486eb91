"""What looks like resampling before the split and is not: tables of categories and few values."""

from __future__ import annotations

import numpy as np
import pytest

from imblens.errors import InputError
from imblens.run import Run
from imblens.treatments import treat


def run_of(features: np.ndarray, labels: np.ndarray) -> Run:
    n = len(labels) * 2 // 3
    return Run.from_arrays(train=(features[:n], labels[:n]), test=(features[n:], labels[n:]))


def test_one_hot_columns_beside_one_number_are_no_resampling() -> None:
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(size=(600, 1)), np.eye(8)[rng.integers(0, 8, 600)]], axis=1)
    treat(run_of(features, (features[:, 0] > 1).astype(int)), "refit")


def test_tables_of_categories_are_no_resampling() -> None:
    rng = np.random.default_rng(0)
    features = np.concatenate([np.eye(4)[rng.integers(0, 4, 900)], np.eye(3)[rng.integers(0, 3, 900)]], axis=1)
    labels = (features[:, 0] + rng.random(900) > 1.2).astype(int)
    treat(run_of(features, labels), "refit")


def test_a_test_split_that_is_the_training_split_is_refused() -> None:
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(200, 9)), rng.integers(0, 2, 200)
    with pytest.raises(InputError, match="copies of training instances"):
        treat(Run.from_arrays(train=(features, labels), test=(features, labels)), "refit")


def test_over_sampling_before_the_split_is_refused() -> None:
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(400, 9)), (np.arange(400) < 40).astype(int)
    order = rng.permutation(np.concatenate([np.arange(400), rng.integers(0, 40, 320)]))
    with pytest.raises(InputError, match="copies of training instances"):
        treat(run_of(features[order], labels[order]), "refit")


def test_smote_before_the_split_is_refused() -> None:
    from imblearn.over_sampling import SMOTE

    rng = np.random.default_rng(0)
    features, labels = SMOTE(random_state=0).fit_resample(rng.normal(size=(400, 12)), (np.arange(400) < 40).astype(int))
    order = rng.permutation(len(labels))
    with pytest.raises(InputError, match="lie exactly between two training instances"):
        treat(run_of(features[order], labels[order]), "refit")
