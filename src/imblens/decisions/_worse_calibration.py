"""Test whether the probabilities of a label are calibrated worse in one run than in another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import some_rows
from imblens.base.calibration_error import confidence_bins
from imblens.run import Split

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
BINS = 15
DRAWS = 999
MOST_PROBABILITIES = 2_000_000  # above, a random subset of the instances is compared
_BLOCK = 100


def residuals(split: Split, rows: NDArray[np.int64]) -> csr_matrix:
    """(n, C * 15) probability minus label of each instance and class, in the column of the bin of the probability.

    Probabilities are softmax, in a multi-label split sigmoid; uncertain labels have no entry.
    """
    from scipy.sparse import csr_matrix
    from scipy.special import expit, softmax

    logits = split.logits_of(rows).astype(np.float64)
    probability = expit(logits) if split.multilabel else softmax(logits, axis=1)
    n, n_classes = probability.shape
    columns = confidence_bins(probability, BINS) + BINS * np.arange(n_classes)
    if split.multilabel:
        difference = np.where(split.known[rows], probability - split.labels[rows], 0.0)
    else:
        difference = probability.copy()
        difference[np.arange(n), split.labels[rows]] -= 1
    starts = np.arange(0, n * n_classes + 1, n_classes)
    return csr_matrix((difference.ravel(), columns.ravel(), starts), shape=(n, n_classes * BINS))


def calibration_changes(
    after: csr_matrix, before: csr_matrix, *, paired: bool, seed: int = 0
) -> tuple[Floats, Floats, Floats]:
    """Expected calibration error of each label in both runs, and the p-value of its rise controlled over all labels.

    ECE_c = sum over bins of |sum over instances of (probability of c - whether it is c)| / instances

    The p-value compares the largest standardised rise with those after the runs are exchanged at random, instance by
    instance where the instances are the same, else by exchanging instances between the runs.

    Args:
        after, before: `residuals` of the runs, in the order of the instances where paired.
        paired: whether rows are the same instances.
        seed: of the exchanges.

    Returns:
        (C,) ECE after, ECE before, p-value.

    References:
        Westfall and Young 1993, Resampling-based multiple testing (largest statistic, single step). Nixon et al. 2019,
        Measuring calibration in deep learning, for the error of each label.
    """
    from scipy.sparse import vstack

    n, n_before = after.shape[0], before.shape[0]
    pooled = vstack([after, before]).tocsr().T.tocsr()  # (C * bins, n + n_before)
    total = np.asarray(pooled.sum(axis=1)).ravel()
    rng = np.random.default_rng(seed)

    def errors(sums: Floats, count: int) -> Floats:
        return np.abs(sums).reshape(-1, BINS, sums.shape[1]).sum(axis=1) / count  # (C, draws)

    first = np.concatenate([np.ones(n), np.zeros(n_before)])[:, None]
    sums = pooled @ first
    now, then = errors(sums, n)[:, 0], errors(total[:, None] - sums, n_before)[:, 0]
    rises = []
    for low in range(0, DRAWS, _BLOCK):
        size = min(_BLOCK, DRAWS - low)
        if paired:
            kept = rng.random((n, size)) < 0.5
            drawn = np.concatenate([kept, ~kept]).astype(np.float64)
        else:
            drawn = np.stack([rng.permutation(first[:, 0]) for _ in range(size)], axis=1)
        sums = pooled @ drawn
        rises.append(errors(sums, n) - errors(total[:, None] - sums, n_before))
    drawn_rises = np.concatenate(rises, axis=1)
    scale = drawn_rises.std(axis=1)
    scale[scale < 1e-12] = np.inf  # a label whose probabilities did not change
    middle = drawn_rises.mean(axis=1)
    largest = ((drawn_rises - middle[:, None]) / scale[:, None]).max(axis=0)
    found = (now - then - middle) / scale
    p_values = (1 + (largest[None] >= found[:, None] - 1e-12).sum(axis=1)) / (1 + DRAWS)
    return now, then, np.where(np.isfinite(scale), p_values, 1.0)


def compared_rows(count: int, n_classes: int, rng: Any) -> NDArray[np.int64]:
    """Rows to compare: all, or a random subset with at most `MOST_PROBABILITIES` probabilities."""
    most = max(1000, MOST_PROBABILITIES // n_classes)
    return some_rows(np.arange(count), most, rng)
