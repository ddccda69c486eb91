"""FRAGILITY as a study: claims by hand, equal sets, linear models on tables."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from imblens.errors import MissingError
from imblens.run import Run
from imblens.studies import find_study, measured_pair, run_study
from imblens.studies._fragility_claims import tables


def pair_of_runs(weights: list[list[float]]) -> Run:
    """Two features, classes a (0) and b (1), features (2, 1) for a and (1, 2) for b."""
    features = np.array([[2.0, 1.0], [2.0, 1.0], [2.0, 1.0], [1.0, 2.0]])
    labels = np.array([0, 0, 0, 1])
    return Run.from_arrays(
        train=(features, labels), test=(features, labels), head=(np.array(weights), np.zeros(2)), classes=["a", "b"]
    )


def test_measures_of_the_rare_third_by_hand() -> None:
    """b is rare. Its embedding under weights (0, 1) is (0, 2): one feature of magnitude 2; under (1, 1): (1, 2)."""
    values = measured_pair(pair_of_runs([[1, 0], [0, 1]]), pair_of_runs([[1, 0], [1, 1]]))
    assert values["top1_long_tailed"] == values["top1_balanced"] == 2.0
    assert values["needed_long_tailed"] == 1.0 and values["needed_share_long_tailed"] == 0.5
    assert values["wrong_shift_long_tailed"] is None  # no test instance is misclassified
    assert values["accuracy_with_count"] is None  # two classes have no rank correlation to speak of


def claimed(word: str, pairs: list[dict[str, float | None]]) -> pd.Series[Any]:
    found = tables(pd.DataFrame([{"data": "d", "loss": "ce", "seed": n, **pair} for n, pair in enumerate(pairs)]), {})
    assert len(found["claims"]) == len(found["summary"]) == 6
    return found["claims"][found["claims"]["claim"].str.contains(word)].iloc[0]


def needed(*pairs: tuple[float | None, float]) -> pd.Series[Any]:
    return claimed("their number", [{"needed_long_tailed": a, "needed_balanced": b} for a, b in pairs])


def test_a_number_that_is_higher_on_every_long_tailed_network_varies_as_well_as_one_that_is_lower() -> None:
    """Features needed, long-tailed against balanced. On CIFAR-10 rare classes need about twice as many."""
    up, down = needed((13, 6), (14, 7), (12, 6)), needed((6, 13), (7, 14), (6, 12))
    assert (up["verdict"], up["direction"], up["agree"]) == ("holds", "more where long-tailed", "3 of 3")
    assert (down["verdict"], down["direction"], down["agree"]) == ("holds", "fewer where long-tailed", "3 of 3")
    equal = needed((6, 6), (7, 7), (6, 6))
    assert (equal["verdict"], equal["direction"], equal["agree"]) == ("does not hold", "", "0 of 3")
    assert needed((13, 6), (14, 7), (None, 6))["verdict"] == "cannot be determined"


def test_a_difference_that_seeds_bring_about_too_is_none() -> None:
    """Ranges between seeds: 2 and 1 in the first case, 4 and 1 in the second, 6 and 1 in the third."""
    assert needed((9, 6), (10, 7), (11, 7))["verdict"] == "holds"  # differences 3, 3, 4
    one_sign = needed((9, 6), (10, 7), (13, 7))
    assert (one_sign["verdict"], one_sign["agree"]) == ("cannot be determined", "1 of 3")  # 3, 3, 6
    all_small = needed((9, 6), (10, 7), (15, 9.5))
    assert (all_small["verdict"], all_small["direction"], all_small["agree"]) == ("does not hold", "", "0 of 3")
    assert "between seeds up to 6" in all_small["here"]


def test_one_or_two_seeds_cannot_show_that_something_varies() -> None:
    """Chance puts both long-tailed networks above both balanced ones, or below, in 2 of 6 orders."""
    for pairs in ([(13, 6)], [(13, 6), (14, 7)], [(6, 13), (7, 14)], [(6, 6), (7, 7)], [(13, 6), (14, 7), (None, 6)]):
        found = needed(*pairs)
        assert (found["verdict"], found["direction"], found["agree"]) == ("cannot be determined", "", "undefined")


def test_chance_brings_about_that_something_varies_in_one_of_ten_orders_at_most() -> None:
    values = (0, 1, 2, 10, 11, 12)
    split = [needed(*zip(few, sorted(set(values) - set(few)), strict=True)) for few in combinations(values, 3)]
    assert (len(split), sum(row["verdict"] == "holds" for row in split)) == (20, 2)


def test_a_claim_with_a_direction_does_not_hold_where_all_pairs_are_opposite() -> None:
    def shift(*pairs: tuple[float, float]) -> pd.Series[Any]:
        values = [{"correct_shift_long_tailed": a, "wrong_shift_long_tailed": b} for a, b in pairs]
        return claimed("do not match", values)

    assert shift((0.3, 0.7), (0.2, 0.6))["verdict"] == "holds"
    against = shift((0.7, 0.3), (0.6, 0.2))
    assert (against["verdict"], against["direction"], against["agree"]) == ("does not hold", "opposite", "0 of 2")
    same = {"accuracy_with_count": 0.8, "accuracy_with_distinct": 0.8}
    assert claimed("hypothesis", [same])["verdict"] == "holds"  # as important as: a tie is enough
    between = {"kept_between": 0.6, "kept_long_tailed": 0.5, "kept_balanced": 0.7}
    assert claimed("identity", [between])["verdict"] == "does not hold"
    assert claimed("identity", [{**between, "kept_between": 0.4}])["verdict"] == "holds"


def test_linear_models_on_tables_run_through_the_study(tmp_path: Path) -> None:
    study = find_study("fragility", quick=True, seeds=[0, 1])
    linear = [job for job in study.jobs if job.label in ("wine logistic regression", "wine linear SVM")]
    assert len(study.jobs) == 2 * 3 + 3 * 2 and study.missing.keys() == {"CIFAR-10"}
    small = type(study)(**{**vars(study), "jobs": linear})
    result = run_study(small, tmp_path / "out", workers=1)
    assert result.results["seed"].tolist() == [0, 1, 0, 1] and "failed" not in result.results
    first = result.results.iloc[0]
    assert 0 < first["needed_share_long_tailed"] <= 1 and 0 <= first["kept_between"] <= 1
    assert set(result.tables["claims"]["loss"]) == {"logistic regression", "linear SVM"}
    assert (result.tables["summary"].drop(columns=["claim", "directions"]).sum(axis=1) == 2).all()
    assert "Left out" in result.text and "CIFAR-10" in result.text
    again = run_study(small, tmp_path / "out", workers=1)  # finished cells are read
    pd.testing.assert_frame_equal(again.results, result.results)


def test_the_balanced_form_has_as_many_images_as_the_long_tail() -> None:
    job = next(job for job in find_study("fragility", quick=True).jobs if job.label == "digits ce")
    long_tailed, balanced = job.data.load(), job.balanced.load()
    counts = balanced.class_counts
    assert counts.min() == counts.max() and long_tailed.class_counts.max() >= 20 * long_tailed.class_counts.min()
    assert 0 <= len(long_tailed.train) - len(balanced.train) < len(counts)
    assert np.array_equal(long_tailed.held_out.targets, balanced.held_out.targets)


def test_names_and_sources_are_checked() -> None:
    with pytest.raises(MissingError, match="fragility has no data 'CIFAR'"):
        find_study("fragility", data={"CIFAR": "x"})
    with pytest.raises(MissingError, match="does not subsample"):
        find_study("fragility", cuts=[0])
