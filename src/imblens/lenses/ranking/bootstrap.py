"""Bootstrap of AUROC and average precision over all drawings at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.run import Split

Floats = NDArray[np.float64]
Counts = NDArray[np.float32]


def resample_counts(split: Split, seed: int = 0) -> Counts:
    """Draw the instances with replacement, B times: (N, B), how often each instance was drawn.

    Where the split has groups, whole groups are drawn. The result depends on the instances, not on their order or that
    of the classes. B is 60 to 200, fewer where there are many instances and classes: enough for a standard error, not for
    a quantile.
    """
    n = len(split)
    n_draws = int(np.clip(min(2e6 / n, 5e7 / (n * split.n_classes)), 60, 200))
    rng = np.random.default_rng(seed)
    if split.groups is not None:
        _, place = np.unique(split.groups, return_inverse=True)
        n_groups = int(place.max()) + 1
        of_group = np.empty((n_groups, n_draws), dtype=np.float32)
        for b in range(n_draws):
            of_group[:, b] = np.bincount(rng.integers(0, n_groups, n_groups), minlength=n_groups)
        return np.asarray(of_group[place])
    drawn = np.empty((n, n_draws), dtype=np.float32)
    for b in range(n_draws):
        drawn[:, b] = np.bincount(rng.integers(0, n, n), minlength=n)
    counts = np.empty_like(drawn)
    counts[_canonical_order(split)] = drawn
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
    from scipy.sparse import csr_array

    n = len(score)
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    # only groups of equal scores with a positive matter: cut before and after each of them
    begins = np.r_[True, ranked[1:] != ranked[:-1]]
    starts = np.flatnonzero(begins)
    held = np.unique((np.cumsum(begins) - 1)[is_positive[order]])
    cuts = np.unique(np.r_[0, starts[held], np.r_[starts[1:], n][held]])
    cuts = cuts[cuts < n]
    piece = np.repeat(np.arange(len(cuts)), np.diff(np.r_[cuts, n]))
    # integers up to N, exact in float32 up to 2^24
    every = csr_array((np.ones(n, np.float32), (piece, order)), shape=(len(cuts), n)) @ counts  # (pieces, B)
    positive = is_positive[order]
    n_own = np.ones(int(positive.sum()), np.float32)
    own = csr_array((n_own, (piece[positive], order[positive])), shape=(len(cuts), n)) @ counts
    ranked_so_far, hits = np.cumsum(every, axis=0), np.cumsum(own, axis=0)
    n_positive, n_negative = hits[-1].astype(np.float64), (ranked_so_far[-1] - hits[-1]).astype(np.float64)
    below = (
        hits - ranked_so_far + (ranked_so_far[-1] - hits[-1]) + (every - own) / 2
    )  # negatives behind each piece, and half of its own
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.divide(hits, ranked_so_far, out=np.zeros_like(hits), where=ranked_so_far > 0)
        average_precision = (own * precision).sum(axis=0, dtype=np.float64) / n_positive
        area = (own * below).sum(axis=0, dtype=np.float64) / (n_positive * n_negative)
    known = (n_positive > 0) & (n_negative > 0)
    return np.where(known, area, np.nan), np.where(known, average_precision, np.nan)


def auroc(is_positive: NDArray[np.bool_], score: Floats) -> float:
    """Share of the pairs of a positive and a negative in which the positive scores higher, ties counted half.

    Example:
        >>> auroc(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1]))
        0.75
    """
    everyone, own = np.sort(score), np.sort(score[is_positive])
    below = [np.searchsorted(everyone, own, side) - np.searchsorted(own, own, side) for side in ("left", "right")]
    return float((below[0].sum() + below[1].sum()) / (2 * len(own) * (len(everyone) - len(own))))


def precision_at_positives(is_positive: NDArray[np.bool_], score: Floats) -> Floats:
    """Precision among all instances that score at least as high, for each positive, (n,); its mean is average precision.

    Example:
        >>> own, score = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1])
        >>> precision_at_positives(own, score).round(2).tolist()
        [1.0, 0.67]
    """
    positives = np.sort(score[is_positive])
    everyone = np.sort(score)
    wanted = score[is_positive]
    hits = len(positives) - np.searchsorted(positives, wanted, side="left")
    return np.asarray(hits / (len(everyone) - np.searchsorted(everyone, wanted, side="left")), dtype=np.float64)


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
