"""Where the instances of a class stand among all: what AUROC and average precision need, in one pass over the scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Ranks:
    """Instances by place: places 1, 3, 5... are those of equal positives, 0, 2, 4... of negatives between them, best first.

    Attributes:
        place: (N,).
        own, every: (P,) positives and instances at each place.

    Example:
        >>> ranks = Ranks(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1]))
        >>> ranks.place.tolist(), ranks.auroc(), ranks.precisions().round(2).tolist()
        ([1, 2, 3, 4], 0.75, [1.0, 0.67])
    """

    def __init__(self, is_positive: Flags, score: NDArray[Any]) -> None:
        """Take (N,) which instances are positive, at least one, and (N,) scores, larger for positives."""
        self.is_positive = is_positive
        edges = np.unique(score[is_positive])
        above = np.searchsorted(edges, score, side="left")
        equal = edges[np.minimum(above, len(edges) - 1)] == score
        self.place = (2 * (len(edges) - above) - equal).astype(np.int32)
        self.every = np.bincount(self.place, minlength=2 * len(edges) + 1)
        self.own = np.bincount(self.place[is_positive], minlength=len(self.every))

    def auroc(self) -> float:
        """Share of the pairs of a positive and a negative in which the positive scores higher, ties counted half."""
        n, n_negative = int(self.own.sum()), int((self.every - self.own).sum())
        return float((self.own * self._twice_below()).sum() / (2 * n * n_negative))

    def precisions(self) -> Floats:
        """(n,) precision among all instances that score at least as high, for each positive."""
        hits, n_above = np.cumsum(self.own), np.cumsum(self.every)
        of = self.place[self.is_positive]
        return np.asarray(hits[of] / n_above[of], dtype=np.float64)

    def beaten(self) -> Floats:
        """(n,) share of the negatives that each positive scores above, ties counted half."""
        n_negative = int((self.every - self.own).sum())
        return np.asarray((self._twice_below() / 2)[self.place[self.is_positive]] / n_negative)

    def outranked(self) -> Floats:
        """(N - n,) share of the positives that score above each negative, ties counted half."""
        twice = 2 * (self.own.sum() - np.cumsum(self.own)) + self.own
        return np.asarray((1 - twice / 2 / self.own.sum())[self.place[~self.is_positive]])

    def areas(self, counts: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """AUROC and average precision of every drawing, (B,) each, from (N, B) how often each instance was drawn."""
        every, own = (
            self._summed(counts, self.place),
            self._summed(counts[self.is_positive], self.place[self.is_positive]),
        )
        ranked_so_far, hits = np.cumsum(every, axis=0), np.cumsum(own, axis=0)
        n_positive, n_negative = hits[-1].astype(np.float64), (ranked_so_far[-1] - hits[-1]).astype(np.float64)
        below = (
            hits - ranked_so_far + (ranked_so_far[-1] - hits[-1]) + (every - own) / 2
        )  # negatives behind each place, and half of its own
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.divide(hits, ranked_so_far, out=np.zeros_like(hits), where=ranked_so_far > 0)
            average_precision = (own * precision).sum(axis=0, dtype=np.float64) / n_positive
            area = (own * below).sum(axis=0, dtype=np.float64) / (n_positive * n_negative)
        known = (n_positive > 0) & (n_negative > 0)
        return np.where(known, area, np.nan), np.where(known, average_precision, np.nan)

    def _summed(self, counts: NDArray[np.float32], place: NDArray[np.int32]) -> NDArray[np.float32]:
        """(P, B) counts of the instances at each place: integers up to N, exact in float32 up to 2^24."""
        from scipy.sparse import csc_array

        n = len(place)  # by columns: instances are read in their order
        which = csc_array((np.ones(n, np.float32), place, np.arange(n + 1, dtype=np.int32)), shape=(len(self.every), n))
        return np.asarray(which @ counts)

    def _twice_below(self) -> NDArray[np.int64]:
        """(P,) twice the negatives at lower places, and once those of the place."""
        negative = self.every - self.own
        return np.asarray(2 * (negative.sum() - np.cumsum(negative)) + negative)
