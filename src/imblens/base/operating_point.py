"""The threshold of one label's probability at which a measure is largest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MEASURES = ("f1", "balanced")


def best_threshold(is_positive: NDArray[np.bool_], probability: NDArray[np.float64], measure: str = "f1") -> float:
    """Return the threshold of the largest measure, halfway between two probabilities; NaN without a positive.

    Of equal ones the largest. An instance is positive where its probability reaches the threshold.

    Args:
        is_positive: (n,).
        probability: (n,).
        measure: "f1", or "balanced": the mean of sensitivity and specificity.

    Example:
        >>> positive, probability = np.array([True, True, False, False, False]), np.array([0.8, 0.2, 0.3, 0.25, 0.1])
        >>> best_threshold(positive, probability), best_threshold(positive, probability, "balanced")
        (0.55, 0.55)
    """
    if not is_positive.any():
        return float("nan")
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    hits, n_predicted = np.cumsum(is_positive[order]), np.arange(1, len(order) + 1)
    last = np.r_[ranked[1:] != ranked[:-1], True]  # equal probabilities are on the same side
    if measure == "f1":
        value = 2 * hits / (n_predicted + hits[-1])
    else:
        value = hits / hits[-1] - (n_predicted - hits) / max(1, len(order) - hits[-1])
    k = int(np.where(last, value, -1.0).argmax())
    return float(ranked[k] if k + 1 == len(ranked) else (ranked[k] + ranked[k + 1]) / 2)
