"""Expected calibration error: confidence against accuracy in bins."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import divide

Floats = NDArray[np.float64]


def confidence_bins(confidence: Floats, bins: int) -> NDArray[np.int64]:
    """Number of the bin (0, 1/bins], (1/bins, 2/bins], ... of each confidence, from 0.

    Example:
        >>> confidence_bins(np.array([0.0, 0.5, 0.51, 1.0]), 2)
        array([0, 0, 1, 1])
    """
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def binned_error(sums: Floats) -> Floats:
    """Expected calibration error from sums over bins; NaN without instances.

    Args:
        sums: (..., bins, 3) count, summed confidence and number of correct predictions in each bin.
    """
    return divide(np.abs(sums[..., 2] - sums[..., 1]).sum(axis=-1), sums[..., 0].sum(axis=-1))


def binned_sums(logits: NDArray[Any], labels: NDArray[Any], bins: int = 15) -> Floats:
    """(bins, 3) count, summed confidence and number of correct predictions in each bin; sums of blocks add up.

    Args:
        logits: (N, C).
        labels: (N,) class numbers.
        bins: of equal width.

    References:
        Guo et al. 2017, On calibration of modern neural networks, section 2.

    Example:
        >>> logits = np.log([[0.8, 0.2], [0.8, 0.2], [0.3, 0.7]])
        >>> round(float(binned_error(binned_sums(logits, np.array([0, 1, 1])))), 4)  # (2 * |0.5 - 0.8| + |1 - 0.7|) / 3
        0.3
    """
    logits = np.asarray(logits, dtype=np.float64)
    confidence = 1 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)  # the largest softmax probability
    place = confidence_bins(confidence, bins)
    columns = (None, confidence, logits.argmax(axis=1) == labels)
    return np.stack([np.bincount(place, column, bins) for column in columns], axis=-1).astype(np.float64)
