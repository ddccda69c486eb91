"""Estimates of single-label data with so many classes that nothing of size n x C or C x C is held at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.decisions._calibration import Calibration
from imblens.decisions._expected import Measures
from imblens.decisions._priors import adjusted_probabilities
from imblens.run import AT_ONCE, LogitRows, Spool, in_blocks

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
MANY = 200  # classes above which estimates are made here
SHOWN = 0.001  # share of a class from which a pair of classes is in the table of confusions
STRONGEST = 20  # such pairs of a class


class Pairs(NamedTuple):
    """Pairs of classes, true and predicted, (P,) each."""

    of: Integers
    to: Integers


def chances(
    calibration: Calibration,
    logits: NDArray[Any] | LogitRows,
    rows: Integers | None = None,
    *,
    mapped: bool | None = None,
) -> NDArray[Any]:
    """(n, C) calibrated probabilities of rows, of all in a file that is mapped."""
    of = np.arange(len(logits)) if rows is None else rows
    found = Spool(
        len(of),
        logits.shape[1],
        what="calibrated probabilities need",
        mapped=rows is None if mapped is None else mapped,
    )
    for block in in_blocks(len(of), logits.shape[1]):
        found.append(calibration(np.asarray(logits[of[block]])))
    return found.matrix()


def chances_of(calibration: Calibration, logits: NDArray[Any] | LogitRows, rows: Integers) -> NDArray[Any]:
    """(n, C) calibrated probabilities of rows: an array while they are few, else float32 in a file that is mapped."""
    if len(rows) * logits.shape[1] <= AT_ONCE:
        return calibration(np.asarray(logits[rows]))
    return chances(calibration, logits, rows, mapped=True)


def measures_of_many(
    p: NDArray[Any], mine: Integers, weights: Floats, change: Callable[[Floats], Floats], pairs: Pairs | None = None
) -> tuple[Measures, Pairs]:
    """Expected measures as `expected_measures` gives, whose confusion is that of pairs of classes.

    Args:
        p: (n, C) chances of the true classes.
        mine: (n,) predictions.
        weights: (n,).
        change: what is done to each block of p first.
        pairs: those wanted; by default every class with itself and its 20 largest others with at least 0.1% of it.
    """
    n_classes = p.shape[1]
    size, hit = np.zeros(n_classes), np.zeros(n_classes)
    order = np.argsort(mine, kind="stable")

    def weighted(rows: Integers) -> Floats:
        return weights[rows, None] * change(np.asarray(p[rows], dtype=np.float64))

    for block in in_blocks(len(mine), n_classes):
        rows = order[block]
        of_rows = weighted(rows)
        size += of_rows.sum(axis=0)
        hit += np.bincount(mine[rows], of_rows[np.arange(len(rows)), mine[rows]], n_classes)
    predicted, begins = np.unique(mine[order], return_index=True)
    ends = np.append(begins[1:], len(mine))

    def column(low: int, high: int) -> Floats:
        """(C,) chances of the instances that are predicted as one class, summed."""
        rows = order[low:high]
        return np.sum([weighted(rows[block]).sum(axis=0) for block in in_blocks(len(rows), n_classes)], axis=0)

    if pairs is None:
        pairs = _notable(((k, column(low, high)) for k, low, high in zip(predicted, begins, ends, strict=True)), size)
    joint = np.zeros(len(pairs.of))
    by_column = np.argsort(pairs.to, kind="stable")
    place = np.searchsorted(pairs.to[by_column], predicted, side="left")
    after = np.searchsorted(pairs.to[by_column], predicted, side="right")
    for low, high, first, last in zip(begins, ends, place, after, strict=True):
        if first < last:
            wanted = by_column[first:last]
            joint[wanted] = column(low, high)[pairs.of[wanted]]
    chosen, total = np.bincount(mine, weights, n_classes), weights.sum()
    measures = Measures(
        divide(hit, size),
        divide(hit, chosen),
        np.zeros(0),
        size / total,
        divide(joint, size[pairs.of]),
        float(hit.sum() / total),
    )
    return measures, pairs


def _notable(columns: Iterable[tuple[int, Floats]], size: Floats) -> Pairs:
    """Every class with itself, and the largest parts of it that are predicted as others; few are held at any time."""
    diagonal = np.arange(len(size))
    kept = [np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)]  # class, prediction, share
    fresh: list[list[NDArray[Any]]] = []
    held = 0
    for k, column in columns:
        found = np.flatnonzero((column >= SHOWN * size) & (diagonal != k) & (size > 0))
        fresh.append([found, np.full(len(found), k), column[found] / size[found]])
        held += len(found)
        if held > STRONGEST * len(size):
            kept, fresh, held = _strongest([kept, *fresh]), [], 0
    of, to, _ = _strongest([kept, *fresh])
    of, to = np.concatenate([diagonal, of]), np.concatenate([diagonal, to])
    order = np.lexsort((to, of))
    return Pairs(of[order], to[order])


def _strongest(parts: Sequence[Sequence[NDArray[Any]]]) -> list[NDArray[Any]]:
    """The pairs with the largest shares of each class; equal ones by the predicted class."""
    of, to, share = (np.concatenate(values) for values in zip(*parts, strict=True))
    order = np.lexsort((to, -share, of))
    place = np.arange(len(of)) - np.searchsorted(of[order], of[order], side="left")  # within its class
    chosen = order[place < STRONGEST]
    return [of[chosen], to[chosen], share[chosen]]


def adjusted(before: Floats, share: Floats | None) -> Callable[[Floats], Floats]:
    """What turns probabilities for the shares `before` into those for `share`; None leaves them."""
    if share is None:
        return lambda p: p
    return lambda p: adjusted_probabilities(p, before, share)
