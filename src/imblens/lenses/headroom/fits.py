"""Heads fitted on training features, and adapted to held-out ones fold by fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.base.groups import group_folds
from imblens.base.logistic import fit_logistic
from imblens.base.threads import at_once, single_threaded_blas
from imblens.lenses._content_order import canonical_order

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FOLDS = 5
SAMPLED = 5000  # most held-out instances, evenly over classes
FITTED = 20_000  # most training instances
WORK = 1e8  # instances x classes x features of one fit, at most
ENOUGH = 20  # held-out instances of a class
L2 = 0.5  # of the head from training features, as the treatment refit with l2=0.5
L2_ADAPTED = 5.0  # of the difference to it
ITERATIONS = 60


@dataclass(frozen=True)
class Fits:
    """Predictions of both heads.

    Attributes:
        trained: (N,) by the head from training features, on every held-out instance.
        rows: (S,) held-out instances that were sampled.
        adapted: (S,) predictions on them by a head adapted to other held-out instances.
    """

    trained: Integers
    rows: Integers
    adapted: Integers


def most_rows(n_classes: int, dim: int, bound: int) -> int:
    """Instances that a fit may have."""
    return int(min(bound, WORK / (n_classes * dim)))


def both_heads(
    train: NDArray[Any],
    train_labels: Integers,
    held_out: NDArray[Any],
    labels: Integers,
    n_classes: int,
    groups: Integers | None = None,
) -> Fits:
    """Fit a head on training features; adapt it on four fifths of the held-out ones, predict the last fifth, five times.

    The first head minimises cross-entropy with an L2 penalty; the logarithm of the training shares is taken out of its
    bias. The second adds to its logits a head fitted on held-out instances, all classes of equal weight, whose penalty
    keeps it small: with few held-out instances it stays near the first.

    Args:
        train: (N, D); train_labels: (N,) 0 to C - 1.
        held_out: (M, D); labels: (M,).
        n_classes: C.
        groups: (M,) of the held-out instances: no group is in two of the fifths.
    """
    with single_threaded_blas():  # the products are narrow
        return _both_heads(train, train_labels, held_out, labels, n_classes, groups)


def _both_heads(
    train: NDArray[Any],
    train_labels: Integers,
    held_out: NDArray[Any],
    labels: Integers,
    n_classes: int,
    groups: Integers | None,
) -> Fits:
    dim = train.shape[1]
    counts = np.bincount(train_labels, minlength=n_classes).astype(np.float64)
    chosen = _even_sample(train, train_labels, most_rows(n_classes, dim, FITTED))
    kept = np.bincount(train_labels[chosen], minlength=n_classes)
    share = np.divide(counts, kept, out=np.ones(n_classes), where=kept > 0)
    features = np.asarray(train[chosen], dtype=np.float64)
    weights = share[train_labels[chosen]]
    weight, bias = fit_logistic(
        features, train_labels[chosen], n_classes, l2=L2, weights=weights, iterations=ITERATIONS
    )
    bias = bias - np.log(np.maximum(counts, 1) / counts.sum())

    def logits(some: Any) -> Floats:
        return np.asarray(held_out[some], dtype=np.float64) @ weight.T + bias

    found = np.concatenate([logits(block).argmax(axis=1) for block in row_blocks(len(held_out), n_classes + dim)])
    rows = _even_sample(held_out, labels, most_rows(n_classes, dim, SAMPLED))
    order, rank = canonical_order(held_out[rows], labels[rows])
    fold = rank % FOLDS
    if groups is not None:
        fold[order] = group_folds(groups[rows][order], FOLDS)
    return Fits(found, rows, _adapted(held_out[rows], labels[rows], logits(rows), fold))


def _adapted(features: NDArray[Any], labels: Integers, logits: Floats, fold: Integers) -> Integers:
    n_classes = logits.shape[1]
    features = np.asarray(features, dtype=np.float64)
    found = logits.argmax(axis=1)

    def adapt(number: int) -> None:
        fitted, judged = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if not len(judged) or len(np.unique(labels[fitted])) < 2:
            return
        counts = np.bincount(labels[fitted], minlength=n_classes)
        even = len(fitted) / np.count_nonzero(counts) / np.maximum(counts, 1)
        weight, bias = fit_logistic(
            features[fitted],
            labels[fitted],
            n_classes,
            l2=L2_ADAPTED,
            weights=even[labels[fitted]],
            offset=logits[fitted],
            iterations=ITERATIONS,
        )
        found[judged] = (logits[judged] + features[judged] @ weight.T + bias).argmax(axis=1)

    at_once(adapt, range(FOLDS), copied=2 * (features.nbytes + logits.nbytes))
    return found


def _even_sample(features: NDArray[Any], labels: Integers, most: int) -> Integers:
    """At most `most` rows: all of small classes, as many of each large one; in an order that content decides."""
    order, rank = canonical_order(features, labels)
    sizes = np.sort(np.bincount(labels))
    if sizes.sum() <= most:
        return order
    left, cap = most, 0
    for place, size in enumerate(sizes):  # the largest cap under which the classes together have `most` rows
        cap = left // (len(sizes) - place)
        if size >= cap:
            break
        left -= int(size)
    return order[rank[order] < cap]
