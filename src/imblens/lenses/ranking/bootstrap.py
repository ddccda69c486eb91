"""Bootstrap of AUROC and average precision over all drawings at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.lenses.ranking.ranks import Ranks
from imblens.run import Split

Floats = NDArray[np.float64]
Counts = NDArray[np.float32]


def resample_counts(split: Split) -> Counts:
    """Draw the instances with replacement, B times: (N, B), how often each instance was drawn.

    Where the split has groups, whole groups are drawn. The result depends on the instances, not on their order or that
    of the classes. B is 60 to 200, fewer where there are many instances and classes: enough for a standard error, not for
    a quantile.
    """
    n = len(split)
    n_draws = int(np.clip(min(2e6 / n, 5e7 / (n * split.n_classes)), 60, 200))
    if split.groups is not None:
        _, place = np.unique(split.groups, return_inverse=True)
        return np.asarray(unit_counts(int(place.max()) + 1, n_draws)[place])
    counts = np.empty((n, n_draws), dtype=np.float32)
    counts[_canonical_order(split)] = unit_counts(n, n_draws)
    return counts


def unit_counts(n: int, n_draws: int) -> Counts:
    """How often each of n units (instances, groups) is drawn in each drawing of n with replacement, (n, B).

    Example:
        >>> unit_counts(4, 3).sum(axis=0).tolist()
        [4.0, 4.0, 4.0]
    """
    rng = np.random.default_rng(0)
    counts = np.empty((n, n_draws), dtype=np.float32)
    for b in range(n_draws):
        counts[:, b] = np.bincount(rng.integers(0, n, n), minlength=n)
    return counts


def areas(is_positive: NDArray[np.bool_], score: Floats, counts: Counts) -> tuple[Floats, Floats]:
    """AUROC and average precision of every drawing, (B,) each; NaN where it has no positive or no negative.

    Args:
        is_positive: (N,).
        score: (N,) larger for positives.
        counts: (N, B) how often each instance was drawn.

    Example:
        >>> own, score = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1])
        >>> [round(float(values[0]), 4) for values in areas(own, score, np.ones((4, 1), np.float32))]
        [0.75, 0.8333]
    """
    return Ranks(is_positive, score).areas(counts)


def _canonical_order(split: Split) -> NDArray[np.int64]:
    """Instances by their largest, smallest and largest own logit, which no order of instances or classes changes."""
    keys = np.empty((4, len(split)))
    for batch in split.batches(logits=True):
        logits, at = np.asarray(batch.logits), slice(batch.start, batch.start + len(batch))
        keys[0, at], keys[1, at] = logits.max(axis=1), logits.min(axis=1)
        if split.multilabel:
            own = batch.labels.astype(bool)
            keys[2, at], keys[3, at] = np.where(own, logits, -np.inf).max(axis=1), own.sum(axis=1)
        else:
            keys[2, at], keys[3, at] = logits[np.arange(len(batch)), batch.labels], 1
    return np.lexsort(keys)
