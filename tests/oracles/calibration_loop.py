"""Expected calibration error, one instance at a time."""

from __future__ import annotations

import math


def confidence(logits):
    """Return the largest softmax probability and its class."""
    top = max(logits)
    parts = [math.exp(value - top) for value in logits]
    return max(parts) / sum(parts), list(logits).index(top)


def expected_error(pairs, n_bins):
    """Return the error of (confidence, right) pairs: each bin is (i / n, (i + 1) / n]."""
    total = 0.0
    for low in range(n_bins):
        inside = [(c, r) for c, r in pairs if low / n_bins < c <= (low + 1) / n_bins]
        if inside:
            mean = sum(c for c, _ in inside) / len(inside)
            right = sum(r for _, r in inside) / len(inside)
            total += len(inside) / len(pairs) * abs(mean - right)
    return total
