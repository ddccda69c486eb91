"""Statistics of training images and their labels."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

_HASHED_BYTES = 2**28


def channel_statistics(pixels: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel of (N, H, W, 3) images, with pixels scaled to [0, 1].

    Computed exactly from histograms. A constant channel gets 1 as its standard deviation.

    >>> channel_statistics(np.array([[[[0, 255, 51]], [[255, 255, 51]]]], dtype=np.uint8))
    ([0.5, 1.0, 0.2], [0.5, 1.0, 1.0])
    """
    values = np.arange(256) / 255
    mean, std = [], []
    for channel in range(pixels.shape[-1]):
        share = np.zeros(256)
        for start in range(0, len(pixels), 4096):
            share += np.bincount(pixels[start : start + 4096, ..., channel].ravel(), minlength=256)
        share /= share.sum()
        middle = float(share @ values)
        spread = float(share @ (values - middle) ** 2) ** 0.5
        mean.append(round(middle, 12))
        std.append(round(spread, 12) if spread > 1e-9 else 1.0)
    return mean, std


def rare_classes(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the third of the classes (at least one) with the fewest instances; none where all counts are equal.

    >>> rare_classes(np.array([50, 7, 20, 3, 11, 40])).tolist()
    [3, 1]
    """
    if counts.min() == counts.max():
        return np.empty(0, dtype=np.int64)
    return np.argsort(counts, kind="stable")[: max(1, len(counts) // 3)]


def fingerprint(pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
    """Return a hash of labels and images (of evenly spaced images where all exceed 256 MiB)."""
    step = -(-pixels.nbytes // _HASHED_BYTES)
    digest = hashlib.sha256(np.ascontiguousarray(labels).tobytes())
    for start in range(0, len(pixels), 4096):
        digest.update(pixels[start : start + 4096 : step].tobytes())
    return digest.hexdigest()[:32]
