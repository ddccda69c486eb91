"""What samplers refuse before they compute anything, and what they take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.svm import SVC

from imblens.errors import ImblensError, ImblensWarning, InputError, ShapeError
from imblens.resampling import EOS, BalancedSVM
from imblens.resampling._numeric import as_seed

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2], [40, 20, 10])
FEATURES = RNG.normal(size=(70, 3)) + LABELS[:, None]


class OnlyFits:
    """An estimator that cannot predict."""

    def fit(self, X: Any, y: Any) -> OnlyFits:
        return self


@pytest.mark.parametrize("y", [LABELS, np.eye(3, dtype=int)[LABELS]], ids=["labels", "one-hot"])
def test_a_share_of_the_largest_class_is_for_two_classes(y: Any) -> None:
    with pytest.raises(InputError, match=r"sampling_strategy=0\.9 is a share, which is for two classes"):
        EOS(sampling_strategy=0.9).fit_resample(FEATURES, y)


def test_of_two_classes_a_share_is_taken() -> None:
    two = LABELS < 2
    _, labels = EOS(sampling_strategy=0.75, random_state=0).fit_resample(FEATURES[two], LABELS[two])
    assert np.bincount(labels).tolist() == [40, 30]


@pytest.mark.parametrize("sampler", [EOS, BalancedSVM])
def test_rows_of_different_lengths_are_refused(sampler: Any) -> None:
    rows = [row.tolist() for row in FEATURES]
    rows[3] = rows[3][:2]
    with pytest.raises(ShapeError, match="rows of different lengths"):
        sampler().fit_resample(rows, LABELS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_fit": 1}, "max_fit=1"),
        ({"k_neighbors": 0}, "k_neighbors=0"),
        ({"estimator": OnlyFits()}, "OnlyFits without fit and predict"),
        ({"estimator": "svm"}, "str without fit and predict"),
        ({"fit_on": "all"}, "fit_on='all'"),
    ],
)
def test_options_of_the_balanced_machine_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ImblensError, match=message):
        BalancedSVM(**options).fit_resample(FEATURES, LABELS)


def test_the_least_number_of_rows_to_fit_on_is_two() -> None:
    two = LABELS < 2
    machine = BalancedSVM(max_fit=2, estimator=SVC(), random_state=0)
    with pytest.warns(ImblensWarning, match="fitted on 2 of 80 rows"):
        _, labels = machine.fit_resample(FEATURES[two], LABELS[two])
    assert len(labels) == 80


@pytest.mark.parametrize("kind", [np.random.default_rng, np.random.RandomState])
def test_seeds_taken_from_a_generator_have_32_bits(kind: Any) -> None:
    generator = kind(0)
    seeds = [as_seed(generator) for _ in range(200)]
    assert len(set(seeds)) == 200 and 2**31 < max(seeds) < 2**32
