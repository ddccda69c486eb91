"""Cross-fitted scores of every label in multi-label runs: a linear discriminant of positives against negatives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.base.groups import group_folds
from imblens.lenses._content_order import content_keys
from imblens.lenses.diagnosis.scores import FOLDS, MOST_CELLS, MOST_ROWS, SHRINKAGE, held_out, reduction
from imblens.run import Run, Split

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


def in_content_order(split: Split) -> Rows:
    """(N,) rows by a number that depends on their features alone."""
    return split.remember(
        "rows by content", lambda: np.argsort(content_keys(split.features, np.arange(len(split))), kind="stable")
    )


def scored_labels(run: Run) -> tuple[tuple[Rows, Floats], tuple[Rows, Floats]]:
    """Return rows (n,) and scores (n, C) of the training and of the held-out split.

    A score is the log-odds of positives against negatives, as if both were equally frequent, by a discriminant that was
    fitted to four of five folds of the training split, for a training instance those without it and its group. A held-out
    instance whose group is also in training may be scored by one that was fitted to that group. NaN where a label has no
    positive or no negative to fit.

    Raises:
        NotApplicable: no held-out split.
    """
    held_out(run)
    return run.remember("discriminants of labels", lambda: _scored(run))


def _scored(run: Run) -> tuple[tuple[Rows, Floats], tuple[Rows, Floats]]:
    most = max(1, min(MOST_ROWS, MOST_CELLS // run.n_classes))
    splits = (run.train, held_out(run))
    rows = [in_content_order(split)[:most] for split in splits]
    folds = [
        np.arange(len(own)) % FOLDS if split.groups is None else group_folds(split.groups[own], FOLDS)
        for split, own in zip(splits, rows, strict=True)
    ]
    features = [np.asarray(split.features[own]) for split, own in zip(splits, rows, strict=True)]
    reduce = reduction(features[0])
    reduced = [reduce(values) for values in features]
    given, known = run.train.labels[rows[0]].astype(bool), run.train.known[rows[0]]
    scores = [np.full((len(own), run.n_classes), np.nan) for own in rows]
    for fold in range(FOLDS):
        fitted = folds[0] != fold
        weight, bias = _discriminants(reduced[0][fitted], given[fitted], known[fitted])
        for at in range(2):
            judged = folds[at] == fold
            scores[at][judged] = reduced[at][judged] @ weight + bias
    return (rows[0], scores[0]), (rows[1], scores[1])


def _discriminants(features: Floats, given: NDArray[np.bool_], known: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """(D, C) weight and (C,) bias of the log-odds of each label; NaN without positives or negatives."""
    dim, n_classes = features.shape[1], given.shape[1]
    weight, bias = np.full((dim, n_classes), np.nan), np.full(n_classes, np.nan)
    products = features.T @ features
    sides = [(side & known).astype(np.float64) for side in (~given, given)]
    counts, sums = [side.sum(axis=0) for side in sides], [side.T @ features for side in sides]
    for c in np.flatnonzero((counts[0] > 0) & (counts[1] > 0)).tolist():
        n = np.array([count[c] for count in counts])
        means = np.stack([of[c] for of in sums]) / n[:, None]
        own = features if known[:, c].all() else features[known[:, c]]
        within = (products if own is features else own.T @ own) - (means.T * n) @ means
        covariance = within / max(1, len(own) - 2)
        level = float(np.trace(covariance)) / dim
        covariance = (1 - SHRINKAGE) * covariance + (SHRINKAGE * level or 1.0) * np.eye(dim)
        weight[:, c] = np.linalg.solve(covariance, means[1] - means[0])
        bias[c] = -weight[:, c] @ means.mean(axis=0)
    return weight, bias
