"""What is refused, each with a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from sklearn.model_selection import train_test_split

from imblens.errors import InputError, ShapeError
from imblens.run import Run
from imblens.treatments import treat
from tests.treatments._runs import NAMES, blobs, blobs_run


def split_after(sampler: Any, dim: int = 16) -> Run:
    features, labels = blobs((150, 60, 30, 20), dim=dim)
    features, labels = sampler.fit_resample(features, labels)
    train, test, train_labels, test_labels = train_test_split(features, labels, random_state=0, stratify=labels)
    return Run.from_arrays(train=(train, train_labels), test=(test, test_labels), classes=NAMES)


def test_copies_across_the_split_are_refused() -> None:
    run = split_after(RandomOverSampler(random_state=0))
    with pytest.raises(
        InputError, match=r"% of the test instances of 'bee' are copies of training instances.*Split first"
    ):
        treat(run, "ncm")
    treat(run, "ncm", check_split=False)


def test_copies_are_refused_however_few_of_each_class() -> None:
    features, labels = blobs((30, 10, 6, 4), dim=16)
    kept = np.r_[0:3, 30:33, 40:43, 46:49]
    run = Run.from_arrays(train=(features, labels), test=(features[kept], labels[kept]), classes=NAMES)
    with pytest.raises(InputError, match=r"100% of the test instances are copies of training instances"):
        treat(run, "ncm")


def test_interpolated_test_instances_are_refused() -> None:
    with pytest.raises(InputError, match=r"test instances of '(bee|cat|dog)' lie exactly between two training"):
        treat(split_after(SMOTE(random_state=0)), "ncm")


@pytest.mark.parametrize("dim", [1, 2, 7, 8, 64])
def test_an_honest_split_passes(dim: int) -> None:
    features, labels = blobs((150, 60, 30, 20), dim=dim)
    test = blobs((40, 40, 40, 40), dim=dim, seed=1)
    treat(Run.from_arrays(train=(features, labels), test=test, classes=NAMES), "ncm")


def test_dead_and_coarse_features_pass() -> None:
    features, labels = blobs((150, 60, 30, 20), dim=12)
    test, test_labels = blobs((40, 40, 40, 40), dim=12, seed=1)
    sparse = (np.maximum(np.round(features), 0), labels)
    treat(
        Run.from_arrays(train=sparse, test=(np.maximum(np.round(test), 0), test_labels), classes=NAMES),
        "ncm",
    )


def test_a_head_of_other_features_is_refused() -> None:
    run = blobs_run()
    logits = np.asarray(run.train.logits)
    ours = {"train": (run.train.features, run.train.labels, logits)}
    wrong = (run.head.weight[:, ::-1], run.head.bias)
    bad = blobs_run(head=wrong, **ours)
    for name in ("logit_adjustment", "tau_norm", "eos"):
        with pytest.raises(InputError, match=r"head does not fit the features: its logits differ.*last linear layer"):
            treat(bad, name)
    treat(bad, "ncm")  # makes its own head, and so does not care
    treat(bad, "crt")
    rough = blobs_run(train=(run.train.features, run.train.labels, logits * (1 + 1e-3) + 5))
    treat(rough, "logit_adjustment", tau=1)  # low precision, and a constant per row


def test_a_head_of_another_shape_is_refused() -> None:
    run = blobs_run()
    with pytest.raises(ShapeError, match="head_weight has shape"):
        blobs_run(head=(run.head.weight[:, :3], run.head.bias))


def test_validation_is_used_and_checked() -> None:
    run = blobs_run((300, 60, 20, 9))
    held = blobs((50, 50, 50, 50), seed=77)
    better = treat(run, "logit_adjustment", validation=held)
    assert better.meta["treatment"]["chosen"]["on"] == "200 held-out instances"
    with pytest.raises(InputError, match="validation is the test split"):
        treat(run, "logit_adjustment", validation=(run.test.features, run.test.labels))
    with pytest.raises(InputError, match="validation is the test split"):
        treat(run, "logit_adjustment", validation=run.test)
    with pytest.raises(InputError, match="validation is part of the training split"):
        treat(run, "logit_adjustment", validation=(run.train.features[:50], run.train.labels[:50]))
    with pytest.raises(ShapeError, match=r"columns|features"):
        treat(run, "logit_adjustment", validation=(held[0][:, :3], held[1]))
    with pytest.raises(InputError):
        treat(run, "logit_adjustment", validation=(held[0], held[1] + 3))
