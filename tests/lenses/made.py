"""Runs that tests of lenses share: lopsided, with rectified features and a head that errs."""

from __future__ import annotations

import numpy as np

from imblens.run import Run

TRAIN = (61, 40, 23, 9, 3)
TEST = (20, 7, 18, 11, 5)
NAMES = ("sea", "forest", "town", "ice", "dune")


def draw(counts, dim, rng, rectified=True):
    centres = np.random.default_rng(5).normal(size=(len(counts), dim)) * 0.8
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    features = centres[labels] + rng.normal(size=(len(labels), dim))
    return (np.maximum(features, 0) if rectified else features).astype(np.float32), labels


def make_run(*, seed=0, train=TRAIN, test=TEST, dim=11, names=NAMES, logits=True, head=True, rectified=True):
    """A run whose head is the class means: right often, wrong often enough."""
    rng = np.random.default_rng(seed)
    features, labels = draw(train, dim, rng, rectified)
    test_features, test_labels = draw(test, dim, rng, rectified)
    weight = np.stack([features[labels == c].mean(axis=0) for c in range(len(train))]).astype(np.float32)
    bias = (np.log(np.array(train)) / 2 - (weight**2).sum(axis=1) / 2).astype(np.float32)
    answers = [x @ weight.T + bias for x in (features, test_features)] if logits else [None, None]
    return Run.from_arrays(
        train=(features, labels, answers[0]),
        test=(test_features, test_labels, answers[1]),
        head=(weight, bias) if head else None,
        classes=names,
    )
