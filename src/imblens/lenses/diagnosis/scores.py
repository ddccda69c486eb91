"""Cross-fitted scores of a linear discriminant on the stored features: evidence without head or memorised labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import place_in_group
from imblens.base.blocks import row_blocks
from imblens.base.groups import group_folds
from imblens.errors import NotApplicable
from imblens.run import Run, Split

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

FOLDS = 5
SHRINKAGE = 0.02  # of the covariance within classes, towards a multiple of the identity
ABSENT = -1e6  # log probability of a class without instances, and the lowest of any
DIMENSIONS = 128  # principal axes that are kept of more features
MOST_ROWS, MOST_CELLS = 120_000, 5 * 10**7  # instances, and instances times classes, of a split that are scored


def held_out(run: Run) -> Split:
    """Return the test split; without one, the validation split.

    Raises:
        NotApplicable: neither exists.
    """
    split = run.test if run.test is not None else run.val
    if split is None:
        raise NotApplicable("the run has no test split.")
    return split


def split_groups(split: Split, rows: Rows) -> Rows:
    """(n,) group of some instances of a split; each its own where none are known."""
    return rows if split.groups is None else np.asarray(split.groups[rows])


@dataclass(frozen=True)
class Sample:
    """Instances of a split, at most so many of each class, in an order that depends on their content alone.

    Attributes:
        rows: (n,) of the split.
        features: (n, D).
        labels: (n,).
        log_p: (n, C) log of the probability of each class at even class sizes, by discriminants that were not fitted to it.
    """

    rows: Rows
    features: NDArray[np.float32]
    labels: Rows
    log_p: NDArray[np.float32]


def scored(run: Run) -> tuple[Sample, Sample]:
    """Return a sample of the training and of the held-out split with the scores of discriminants fitted to training folds.

    Raises:
        NotApplicable: no held-out split.
    """
    held_out(run)
    return run.remember("discriminants of training folds", lambda: _scored(run, pooled=False))


def pooled_scores(run: Run) -> Sample:
    """Return the held-out sample with the scores of discriminants fitted to the other folds of both splits together.

    Raises:
        NotApplicable: no held-out split.
    """
    held_out(run)
    return run.remember("discriminants of both splits", lambda: _scored(run, pooled=True))[1]


def _scored(run: Run, *, pooled: bool) -> tuple[Sample, Sample]:
    both = [in_canonical_order(split, per_class(run)) for split in (run.train, held_out(run))]
    features = [np.asarray(split.features[rows]) for split, rows in zip((run.train, held_out(run)), both, strict=True)]
    labels = [split.labels[rows] for split, rows in zip((run.train, held_out(run)), both, strict=True)]
    folds = [
        place_in_group(np.unique(values, return_counts=True)[1]) % FOLDS
        if split.groups is None
        else group_folds(split.groups[rows], FOLDS)
        for split, rows, values in zip((run.train, held_out(run)), both, labels, strict=True)
    ]
    reduce = reduction(features[0])
    reduced = [reduce(values) for values in features]
    log_p = [np.empty((len(rows), run.n_classes), np.float32) for rows in both]
    for fold in range(FOLDS):
        fitted = [folds[0] != fold, (folds[1] != fold) if pooled else np.zeros(len(both[1]), bool)]
        parts = [(reduced[at][fitted[at]], labels[at][fitted[at]]) for at in range(2)]
        score = _discriminant(
            np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]), run.n_classes
        )
        for at in range(2):
            judged = np.flatnonzero(folds[at] == fold)
            for block in row_blocks(len(judged), run.n_classes):
                log_p[at][judged[block]] = score(reduced[at][judged[block]])
    train, test = (Sample(*one) for one in zip(both, features, labels, log_p, strict=True))
    return train, test


def per_class(run: Run) -> int:
    """Return how many instances of a class are scored, at most."""
    return max(1, min(MOST_ROWS, MOST_CELLS // run.n_classes) // run.n_classes)


def in_canonical_order(split: Split, most: int, label: int | None = None) -> Rows:
    """Return rows by class, in each by a number that depends on their features alone; at most `most` of each class."""
    rows = np.arange(len(split)) if label is None else np.flatnonzero(split.labels == label)
    labels = split.labels[rows]
    order = rows[np.lexsort((split.remember("content", lambda: _content(split))[rows], labels))]
    return order[place_in_group(np.unique(labels, return_counts=True)[1]) < most]


def _content(split: Split) -> NDArray[np.uint64]:
    """(N,) a number spread like a random one; the order of the features and a scale of a power of two do not change it."""
    from imblens.lenses._content_order import content_keys

    return content_keys(split.features, np.arange(len(split)))


def reduction(features: NDArray[Any]) -> Callable[[NDArray[Any]], Floats]:
    """Return what centres features and keeps the leading principal axes, where there are many."""
    mean = features.mean(axis=0, dtype=np.float64)
    if features.shape[1] <= DIMENSIONS:
        return lambda values: np.asarray(values, dtype=np.float64) - mean
    centred = np.asarray(features, dtype=np.float64) - mean
    axes = np.linalg.eigh(centred.T @ centred)[1][:, -DIMENSIONS:]
    return lambda values: np.asarray((np.asarray(values, dtype=np.float64) - mean) @ axes)


def _discriminant(features: Floats, labels: Rows, n_classes: int) -> Callable[[Floats], Floats]:
    """Return log probabilities of normal classes with one covariance, at even class sizes; very low for absent classes."""
    from scipy.sparse import csr_matrix

    dim = features.shape[1]
    counts = np.bincount(labels, minlength=n_classes)
    of_class = csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(n_classes, len(labels)))
    means = np.asarray(of_class @ features) / np.maximum(counts, 1)[:, None]
    within = features - means[labels]
    covariance = within.T @ within / max(1, len(features) - int(np.count_nonzero(counts)))
    level = float(np.trace(covariance)) / dim
    covariance = (1 - SHRINKAGE) * covariance + (SHRINKAGE * level or 1.0) * np.eye(dim)
    weight = np.linalg.solve(covariance, means.T)
    bias = np.where(counts > 0, -0.5 * np.einsum("cd,dc->c", means, weight), ABSENT)

    def score(values: Floats) -> Floats:
        scores = values @ weight + bias
        scores -= scores.max(axis=1, keepdims=True)
        return np.asarray(np.maximum(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)), ABSENT))

    return score
