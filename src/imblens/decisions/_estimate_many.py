"""Estimates of single-label data with so many classes that nothing of size n x C or C x C is held at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.decisions._calibration import Calibration
from imblens.decisions._expected import Measures
from imblens.run import AT_ONCE, LogitRows, Spool, in_blocks

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
MANY = 200  # classes above which estimates are made here
SHOWN = 0.001  # share of a class from which a pair of classes is in the table of confusions
STRONGEST = 20  # such pairs of a class
KEPT = 2**30  # bytes of logits up to which they are kept


@dataclass(frozen=True)
class Pairs:
    """Pairs of classes, true and predicted, (P,) each."""

    of: Integers
    to: Integers

    @cached_property
    def _by_prediction(self) -> tuple[Integers, Integers]:
        order = np.argsort(self.to, kind="stable")
        return order, self.to[order]

    def of_prediction(self, k: int) -> Integers:
        """Positions of the pairs that are predicted as `k`."""
        order, to = self._by_prediction
        return order[slice(*np.searchsorted(to, [k, k + 1]))]


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


def kept_logits(logits: NDArray[Any] | LogitRows) -> NDArray[Any] | LogitRows:
    """Logits that are read hundreds of times: computed once, up to 1 GiB, into a file that is mapped."""
    if not isinstance(logits, LogitRows) or 4 * logits.shape[0] * logits.shape[1] > KEPT:
        return logits
    found = Spool(*logits.shape, what="logits of the labelled instances need")
    for block in in_blocks(*logits.shape):
        found.append(logits[block])
    return found.matrix()


def measures_of_many(
    p: NDArray[Any], mine: Integers, weights: Floats, ratio: Floats | None, pairs: Pairs | None = None
) -> tuple[Measures, Pairs]:
    """Expected measures as `expected_measures` gives, whose confusion is that of pairs of classes.

    Args:
        p: (n, C) chances of the true classes.
        mine: (n,) predictions.
        weights: (n,).
        ratio: (C,) new over old class shares, for which p is adjusted first; None leaves p as it is.
        pairs: those wanted; by default every class with itself and its 20 largest others with at least 0.1% of it.
    """
    n_classes = p.shape[1]
    order = np.argsort(mine, kind="stable")
    factors = np.ones(n_classes) if ratio is None else ratio

    def sums(pairs: Pairs | None) -> tuple[Floats, Floats, Floats]:
        """Sums of p by class, those of predictions, and those of pairs."""
        size, hit, joint = np.zeros(n_classes), np.zeros(n_classes), np.zeros(0 if pairs is None else len(pairs.of))
        for rows, of_rows, values in blocks():
            size += of_rows @ values
            hit += np.bincount(mine[rows], of_rows * values[np.arange(len(rows)), mine[rows]], n_classes)
            if pairs is not None:
                for low, high in _runs(mine[rows]):
                    wanted = pairs.of_prediction(mine[rows[low]])
                    joint[wanted] += of_rows[low:high] @ values[low:high, pairs.of[wanted]]
        return factors * size, factors * hit, joint if pairs is None else factors[pairs.of] * joint

    def blocks() -> Iterator[tuple[Integers, Floats, Floats]]:
        """Rows in the order of their predictions, their weights over the sum of adjusted p, and their p."""
        for block in in_blocks(len(mine), n_classes):
            rows = order[block]
            values = np.asarray(p[rows], dtype=np.float64)
            yield rows, weights[rows] if ratio is None else weights[rows] / (values @ factors), values

    def columns() -> Iterator[tuple[int, Floats]]:
        """Each predicted class, and the (C,) chances of the instances that are predicted as it, summed."""
        before, column = -1, np.zeros(n_classes)
        for rows, of_rows, values in blocks():
            for low, high in _runs(mine[rows]):
                if mine[rows[low]] != before:
                    if before >= 0:
                        yield before, factors * column
                    before, column = int(mine[rows[low]]), np.zeros(n_classes)
                column = column + of_rows[low:high] @ values[low:high]
        yield before, factors * column

    if pairs is None:
        pairs = _notable(columns(), sums(None)[0])
    size, hit, joint = sums(pairs)
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


def _runs(values: Integers) -> Iterator[tuple[int, int]]:
    """Where runs of equal values begin and end."""
    return pairwise([0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)])


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
