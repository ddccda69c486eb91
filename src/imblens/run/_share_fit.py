"""How far logits are from those of a network that has learned the class shares of its training instances."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
STEPS = 50  # of Newton's method, at most; it usually needs ten
HALVINGS = 20
ENOUGH = 1e-9  # gain in log-likelihood per instance at which the steps end


def share_fit(logits: NDArray[Any], labels: NDArray[np.int64], class_counts: NDArray[Any]) -> tuple[float, float]:
    """Multiple of the logarithm of the class shares that logits lack to fit the labels, and its standard error.

    Maximises the likelihood of the labels under softmax(a logits + b log shares) over a and b. Cross-entropy without
    weights gives b = 0 on the training instances, as its slope along the biases is zero there; logits of a posterior for
    equally frequent classes need b = 1. The factor a takes up over- and underconfidence. The error is the larger of
    that of the model and that of the sandwich estimator: very large where the labels are separated, since every b then fits.

    Args:
        logits: (N, C) finite numbers.
        labels: (N,) 0 to C - 1, of instances that were drawn with the class shares.
        class_counts: (C,) 1 or more.

    Example:
        >>> side, labels = np.repeat([1, 1, -1, -1], [60, 5, 20, 15]), np.repeat([0, 1, 0, 1], [60, 5, 20, 15])
        >>> balanced = np.outer(side, [0.5, -0.5]) * np.log(3)  # of classes that lie on their side with probability 3/4
        >>> missing, error = share_fit(balanced, labels, np.array([80, 20]))
        >>> round(missing, 2), error < 0.5
        (1.0, True)
    """
    scaled = np.asarray(logits, dtype=np.float64)
    scaled = scaled - scaled.mean(axis=1, keepdims=True)
    scale = float(scaled.std()) or 1.0
    scaled /= scale
    shares = np.log(np.asarray(class_counts, dtype=np.float64) / np.sum(class_counts))
    weight = np.array([scale, 0.0])
    now = _likelihood(scaled, shares, labels, weight)
    for _ in range(STEPS):
        step = np.linalg.lstsq(now[2], now[1].sum(axis=1), rcond=None)[0]
        for _ in range(HALVINGS):
            new = _likelihood(scaled, shares, labels, weight + step)
            if new[0] >= now[0]:
                break
            step /= 2
        gained = new[0] - now[0]
        if gained >= 0:
            weight, now = weight + step, new
        if gained <= ENOUGH * len(labels):
            break
    _, slopes, curvature = now
    if np.linalg.cond(curvature) > 1e12:
        return float(weight[1]), float("inf")
    inverse = np.linalg.inv(curvature)
    return float(weight[1]), float(np.sqrt(max(inverse[1, 1], (inverse @ slopes @ slopes.T @ inverse)[1, 1])))


def _likelihood(
    scaled: Floats, shares: Floats, labels: NDArray[np.int64], weight: Floats
) -> tuple[float, Floats, Floats]:
    """Log-likelihood, its slope by instance (2, N), and its curvature (2, 2), negated, at weight (2,)."""
    own = np.arange(len(labels)), labels
    logits = weight[0] * scaled + weight[1] * shares
    logits -= logits.max(axis=1, keepdims=True)
    powers = np.exp(logits)
    total = powers.sum(axis=1)
    value = float((logits[own] - np.log(total)).sum())
    powers /= total[:, None]
    mean = np.stack([(powers * scaled).sum(axis=1), powers @ shares])
    slopes = np.stack([scaled[own], shares[labels]]) - mean
    mixed = (powers * scaled) @ shares
    second = np.array([[(powers * scaled**2).sum(), mixed.sum()], [mixed.sum(), (powers @ shares**2).sum()]])
    return value, slopes, second - mean @ mean.T
