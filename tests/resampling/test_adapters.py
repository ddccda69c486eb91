"""imbalanced-learn's samplers behind one function: strategies by class name, and refusals by our own checks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from imblens.errors import InputError, NotApplicable
from imblens.resampling import BalancedSVM, TrainingRows, fitting_k, resample_with
from imblens.resampling._adapters import _without_cluster
from tests.treatments._runs import NAMES, blobs

OPTIONS = {"sampling_strategy": "auto", "random_state": 0}


def rows_of(*counts: int, apart: float = 1.0) -> TrainingRows:
    features, labels = blobs(counts, apart=apart)
    return TrainingRows(features, labels, NAMES[: len(counts)])


def test_wanted_counts_by_hand() -> None:
    rows = rows_of(9, 4, 2)
    assert rows.wanted("auto", "x") == {1: 5, 2: 7}
    assert rows.wanted("minority", "x") == {2: 7}
    assert rows.wanted("not minority", "x") == {1: 5}
    assert rows.wanted({"bee": 6, "cat": 2}, "x") == {1: 2}
    with pytest.raises(InputError, match="Did you mean 'bee'"):
        rows.wanted({"bea": 6}, "x")


def test_auto_k_fits_the_smallest_class() -> None:
    assert fitting_k(rows_of(9, 8, 7), "auto", {1: 1, 2: 2}, "smote") == (5, ())
    k, notes = fitting_k(rows_of(9, 4, 3), "auto", {1: 5, 2: 6}, "smote")
    assert k == 2 and notes == ("smote: k_neighbors=2 instead of 5, as class 'cat' has 3 instances.",)


@pytest.mark.parametrize("cls", ["EditedNearestNeighbours", "AllKNN", "RepeatedEditedNearestNeighbours"])
def test_more_neighbours_than_rows_are_refused_before_the_call(cls: str) -> None:
    path = f"imblearn.under_sampling.{cls}"
    with pytest.raises(NotApplicable, match=r"n_neighbors=30 needs 31 training instances, and there are 14\. Pass"):
        resample_with(rows_of(9, 5), {**OPTIONS, "n_neighbors": 30}, name="x", steps=(path,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k_neighbors": 0}, r"k_neighbors=0 is not allowed\. Give a whole number of 1 or more"),
        ({"fit_on": "both"}, r"fit_on='both' is not allowed\. Give one of original, resampled"),
        ({"max_fit": 1.5}, r"max_fit=1\.5 is not allowed"),
        ({"estimator": 3}, r"estimator is a int without fit and predict"),
        ({"sampling_strategy": "most"}, r"sampling_strategy='most' is not allowed"),
        ({"sampling_strategy": 1.5}, r"sampling_strategy=1\.5 is not allowed"),
        ({"random_state": "a"}, r"random_state='a' is not allowed"),
    ],
)
def test_options_of_samplers_are_checked(options: dict[str, Any], message: str) -> None:
    rows = rows_of(9, 8)
    with pytest.raises(InputError, match=message):
        BalancedSVM(**options).fit_resample(rows.features, np.asarray(rows.labels))


@pytest.mark.parametrize(("wanted", "found"), [(8, None), (20, 1)])
def test_a_class_without_a_cluster_of_its_own_is_found_by_the_rule_of_the_sampler(
    wanted: int, found: int | None
) -> None:
    """Class 1 has 3 of 10 instances of cluster 0, and none of the other; it needs half of its part of what is drawn."""
    rows = TrainingRows(np.zeros((20, 1)), np.repeat([1, 0, 0], [3, 7, 10]), ("ant", "bee"))
    fitted = SimpleNamespace(labels_=np.repeat([0, 1], 10), n_clusters=2)
    sampler = SimpleNamespace(
        kmeans_estimator_=fitted, sampling_strategy_={0: 20 - wanted, 1: wanted}, cluster_balance_threshold_="auto",
        nn_k_=SimpleNamespace(n_neighbors=3),
    )  # fmt: skip
    assert _without_cluster(rows, sampler) == found
    sampler.cluster_balance_threshold_ = 0.3
    assert _without_cluster(rows, sampler) is None
    sampler.cluster_balance_threshold_ = 0.31
    assert _without_cluster(rows, sampler) == 1
    sampler.nn_k_.n_neighbors = 4
    assert _without_cluster(rows, sampler) == 1
