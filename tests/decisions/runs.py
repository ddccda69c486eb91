"""Runs with a validation split for the tests of decisions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.run import Run

NAMES = ("ant", "bee", "cat", "dog")
CENTRES = 1.4 * np.random.default_rng(99).normal(size=(4, 6))


def sample(counts: tuple[int, ...], seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Overlapping normal classes, in mixed order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return (CENTRES[labels] + rng.normal(size=(len(labels), 6))).astype(np.float32), labels


def head(scale: float = 2.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The best linear head for equal classes, over-confident by `scale`."""
    return scale * CENTRES, -scale * (CENTRES**2).sum(axis=1) / 2


def run_of(
    train: tuple[int, ...] = (200, 90, 40, 12),
    val: tuple[int, ...] | None = (120, 60, 30, 6),
    test: tuple[int, ...] | None = (100, 50, 30, 20),
    seed: int = 0,
    scale: float = 2.0,
) -> Run:
    """A run whose splits are drawn with these class counts."""
    splits = {
        name: sample(counts, seed * 10 + place)
        for place, (name, counts) in enumerate((("train", train), ("val", val), ("test", test)))
        if counts is not None
    }
    return Run.from_arrays(**splits, head=head(scale), classes=NAMES)
