"""The errors of a network on the test split: all counted by pair of classes, listed until a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import place_in_group
from imblens.run import Run, Split, nearest

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
SURE = 0.9  # probability of the prediction from which an error counts as confident
NEGATIVE, POSITIVE = 0, 1  # predictions of a label, in a multi-label run


@dataclass(frozen=True)
class Listed:
    """E listed errors of all errors; P pairs of a class and a prediction that occur.

    Attributes:
        rows: (E,) positions in the test split, most confident error first.
        labels: (E,) the class; in a multi-label run the label that is predicted wrongly.
        predicted: (E,) the predicted class; in a multi-label run 0 (negative) or 1 (positive).
        probability: (E,) of the prediction.
        own: (E,) probability of the class; in a multi-label run 1 - probability.
        near: (E, k) positions of the nearest training instances, nearest first.
        pairs: (P, 5) class, prediction, errors, confident errors, listed errors.
        total: errors in all.
    """

    rows: Places
    labels: Places
    predicted: Places
    probability: Floats
    own: Floats
    near: Places
    pairs: Places
    total: int


def listed_errors(run: Run, *, k: int = 5, per_pair: int | None = None, limit: int = 500) -> Listed:
    """List the most confident errors of each pair of classes, by turns among the classes, until `limit`.

    The result is computed once for a run; its arrays are not to be changed.
    """
    return run.remember(("listed errors", k, per_pair, limit), lambda: _listed(run, k, per_pair, limit))


def _listed(run: Run, k: int, per_pair: int | None, limit: int) -> Listed:
    assert run.test is not None
    found = _label_errors(run.test) if run.test.multilabel else _class_errors(run.test)
    rows, labels, predicted, probability, own = found
    pair = labels * max(run.n_classes, 2) + predicted
    keys, which, counts = np.unique(pair, return_inverse=True, return_counts=True)
    order = np.lexsort((-probability, which))  # by pair, most confident first
    within = np.empty(len(pair), np.int64)
    within[order] = place_in_group(counts)
    kept = _in_turn(labels, probability, within, counts[which], per_pair)[:limit]
    kept = kept[np.lexsort((rows[kept], -probability[kept]))]
    sure = np.bincount(which[probability >= SURE], minlength=len(keys))
    listed = np.bincount(which[kept], minlength=len(keys))
    pairs = np.stack([keys // max(run.n_classes, 2), keys % max(run.n_classes, 2), counts, sure, listed], axis=1)
    near = np.empty((0, min(k, len(run.train))), np.int64)
    if len(kept):
        near = nearest(run.train.features, run.test.features[rows[kept]], k)[0]
    return Listed(
        rows[kept], labels[kept], predicted[kept], probability[kept], own[kept], near, pairs.astype(np.int64), len(rows)
    )


def _in_turn(labels: Places, probability: Floats, within: Places, count: Places, per_pair: int | None) -> Places:
    """Positions of the errors that may be listed, in turns: one of each class, the class with most errors leading.

    Of a class the most confident error is first. Then a pair of `count` errors takes its turns at count, count / 4,
    count / 9, ...: of a pair with four times as many errors twice as many are listed.

    Args:
        labels, probability: (E,) of all errors.
        within: (E,) rank of an error within its pair.
        count: (E,) errors of its pair.
        per_pair: most errors of a pair; None: all.
    """
    share = count / (within + 1.0) ** 2
    confident = np.lexsort((-probability, labels))
    share[confident[np.unique(labels[confident], return_index=True)[1]]] = np.inf
    found = np.flatnonzero(within < (len(within) if per_pair is None else per_pair))
    found = found[np.lexsort((-probability[found], -share[found], labels[found]))]
    turn = place_in_group(np.bincount(labels[found]))
    errors = np.bincount(labels)[labels[found]]
    return found[np.lexsort((-probability[found], -errors, turn))]


def _class_errors(test: Split) -> tuple[Any, ...]:
    """Positions, labels, predictions, probability of the prediction and of the label."""
    found = []
    for batch in test.batches(logits=True):
        logits = np.asarray(batch.logits, dtype=np.float64)
        predicted = logits.argmax(axis=1)
        wrong = np.flatnonzero(predicted != batch.labels)
        at, labels = logits[wrong], np.asarray(batch.labels)[wrong]
        top = at.max(axis=1)
        total = np.exp(at - top[:, None]).sum(axis=1)
        own = np.exp(at[np.arange(len(at)), labels] - top) / total
        found.append((batch.start + wrong, labels, predicted[wrong], 1 / total, own))
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))


def _label_errors(test: Split) -> tuple[Any, ...]:
    """The same for single labels; uncertain labels do not count."""
    from scipy.special import expit

    found = []
    known = test.known
    for batch in test.batches(logits=True):
        logits = np.asarray(batch.logits, dtype=np.float64)
        positive = logits > 0
        certain = known[batch.start : batch.start + len(logits)]
        rows, labels = np.nonzero((positive != np.asarray(batch.labels).astype(bool)) & certain)
        probability = expit(np.abs(logits[rows, labels]))
        predicted = np.where(positive[rows, labels], POSITIVE, NEGATIVE)
        found.append((batch.start + rows, labels, predicted, probability, 1 - probability))
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))
