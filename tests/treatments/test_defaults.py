"""Defaults and ranges of options: where another library has them, its own; else as the documentation states them."""

from __future__ import annotations

import inspect
from typing import Any

import imblearn.over_sampling
import imblearn.under_sampling
import pytest

from imblens.treatments import all_treatments

OF_IMBALANCED_LEARN = {
    "borderline_smote": (imblearn.over_sampling.BorderlineSMOTE, ["m_neighbors", "kind"]),
    "svm_smote": (imblearn.over_sampling.SVMSMOTE, ["m_neighbors"]),
    "kmeans_smote": (imblearn.over_sampling.KMeansSMOTE, ["k_neighbors", "cluster_balance_threshold"]),
    "adasyn": (imblearn.over_sampling.ADASYN, ["n_neighbors"]),
    "near_miss": (imblearn.under_sampling.NearMiss, ["n_neighbors", "version"]),
    "edited_nearest_neighbours": (imblearn.under_sampling.EditedNearestNeighbours, ["n_neighbors"]),
    "repeated_edited_nearest_neighbours": (imblearn.under_sampling.RepeatedEditedNearestNeighbours, ["n_neighbors"]),
    "all_knn": (imblearn.under_sampling.AllKNN, ["n_neighbors"]),
    "neighbourhood_cleaning_rule": (imblearn.under_sampling.NeighbourhoodCleaningRule, ["n_neighbors"]),
}
STEPS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
OWN: dict[str, dict[str, tuple[Any, ...]]] = {  # default, lowest, highest, what "auto" chooses from
    "best": {"folds": (3, 2, 20, ()), "widen": ("auto", 1, 10, ())},
    "logit_adjustment": {"tau": ("auto", 0, 10, (*STEPS, 3.0))},
    "tau_norm": {"tau": ("auto", 0, 5, STEPS)},
    "refit": {"l2": (0.1, 1e-6, None, (0.02, 0.1, 0.5, 2.5))},
    "lws": {"weight_decay": (0.01, 0, None, ())},
    "eos": {"k_neighbors": ("auto", 1, None, (10, 50, 200)), "epochs": (10, 1, None, ())},
    "crt": {"batch_size": (128, 1, None, ()), "weight_decay": ("auto", 0, None, ())},
    "archetype_resampling": {"k": (5, 1, None, ()), "safe_kept": (0.5, 0, 1, ())},
    "eos_features": {"k_neighbors": (10, 1, None, ()), "n_features": (10, 1, None, ())},
}


def options(name: str) -> dict[str, Any]:
    return {option.name: option for option in all_treatments()[name].options}


@pytest.mark.parametrize("name", OF_IMBALANCED_LEARN)
def test_defaults_are_those_of_imbalanced_learn(name: str) -> None:
    sampler, named = OF_IMBALANCED_LEARN[name]
    theirs = inspect.signature(sampler).parameters
    ours = options(name)
    assert {one: ours[one].default for one in named} == {one: theirs[one].default for one in named}


@pytest.mark.parametrize("name", OWN)
def test_defaults_and_ranges_change_only_on_purpose(name: str) -> None:
    ours = options(name)
    found = {one: (ours[one].default, ours[one].low, ours[one].high, ours[one].grid) for one in OWN[name]}
    assert found == OWN[name]


@pytest.mark.parametrize("name", all_treatments())
def test_no_count_may_be_nothing(name: str) -> None:
    counts = {
        one: option.low for one, option in options(name).items() if option.kind == "int" and one != "random_state"
    }
    assert all(low is not None and low >= 1 for low in counts.values()), counts
