"""Which suspects a table lists."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import place_in_group

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


def most_suspect(score: Floats, labels: Places, per_class: int, limit: int) -> Places:
    """Rows to list, highest score first: at most `per_class` of one class and `limit` in all."""
    order = np.argsort(-score, kind="stable")
    by_class = np.argsort(labels[order], kind="stable")
    sizes = np.unique(labels, return_counts=True)[1]
    within = np.empty(len(order), np.int64)
    within[by_class] = place_in_group(sizes)
    return order[within < per_class][:limit]
