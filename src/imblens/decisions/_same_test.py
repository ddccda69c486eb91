"""Which test instances two runs have in common, whatever the order of their instances and classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.run import Split


def same_instances(
    now: Split, then: Split, order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Rows of the same instances in both splits, by id, where they hold exactly the same ones with the same class names."""
    where = {name: row for row, name in enumerate(then.ids.tolist())}
    theirs = np.array([where.get(name, -1) for name in now.ids.tolist()])
    if len(now) != len(then) or (theirs < 0).any() or len(np.unique(theirs)) < len(now):
        return None
    if now.multilabel:
        same = np.array_equal(now.labels == 1, in_order(then.labels[theirs] == 1, order))
    else:
        same = np.array_equal(order[now.labels], then.labels[theirs])
    return (np.arange(len(now)), theirs) if same else None


def in_order(values: NDArray[np.bool_], order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n, C) columns of the reference's classes in the order of the run's; False for a new class."""
    return np.where(order >= 0, values[:, order], False)
