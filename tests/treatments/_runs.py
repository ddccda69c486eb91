"""Small runs for the tests of treatments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.run import Run
from imblens.treatments import Recipe, train_head

NAMES = ("ant", "bee", "cat", "dog")


def blobs(
    counts: tuple[int, ...] = (90, 40, 18, 7), dim: int = 6, seed: int = 0, apart: float = 1.2
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Overlapping normal classes with the same middles for every seed, in mixed order."""
    middles = apart * np.random.default_rng(99).normal(size=(len(counts), dim))
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return (middles[labels] + rng.normal(size=(len(labels), dim))).astype(np.float32), labels


def blobs_run(counts: tuple[int, ...] = (90, 40, 18, 7), dim: int = 6, seed: int = 0, **more: Any) -> Run:
    """A run with a head biased towards frequent classes, and a balanced test split."""
    features, labels = blobs(counts, dim, seed)
    test = blobs((30,) * len(counts), dim, seed + 1000)
    head = train_head(features, labels, len(counts), recipe=Recipe(weight_decay=1e-4))
    options = {
        "train": (features, labels),
        "test": test,
        "head": (head.weight, head.bias),
        "classes": NAMES[: len(counts)],
    }
    return Run.from_arrays(**{**options, **more})


def balanced_accuracy(run: Run) -> float:
    """Mean recall on the test split."""
    assert run.test is not None
    right, labels = run.test.correct, run.test.labels
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))
