"""Small sets that a moment over-samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.data import ImageSet, ImageSplit

COLOURS = np.array([[230, 25, 25], [40, 225, 40], [15, 40, 235]])


def split(counts: list[int], seed: int, height: int = 8, width: int = 6, **options: Any) -> ImageSplit:
    """Noisy images of one colour a class, some dark and some light: classes overlap, some pixels are 0 or 255."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(range(len(counts)), counts))
    noise = rng.integers(-60, 60, (len(labels), height, width, 3)) + rng.integers(-150, 150, (len(labels), 1, 1, 1))
    pixels = np.clip(COLOURS[labels][:, None, None] + noise, 0, 255).astype(np.uint8)
    return ImageSplit.from_arrays(pixels, labels, **options)


def colours(counts: tuple[int, int, int] = (20, 9, 7), seed: int = 0, **options: Any) -> ImageSet:
    """Return a set whose images are 8 x 6."""
    train = split(list(counts), seed, **options)
    test, val = split([5, 5, 5], seed + 1), split([3, 3, 3], seed + 2)
    return ImageSet("colours", ("red", "green", "blue"), "multiclass", train, test, val)
