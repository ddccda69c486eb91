"""The distinct rows of a base, in which neighbours are searched.

Equal rows are collapsed first: a thousand copies would be a million pairs at distance 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import place_in_group
from imblens.errors import InputError

Matrix = NDArray[np.floating[Any]]
Wide = NDArray[np.float64]
Indices = NDArray[np.int64]

NUMBERS = 2**20  # in one block: 8 MiB of float64


@dataclass(frozen=True)
class Space:
    """The distinct rows of a base, and what a search needs to know of all rows.

    Attributes:
        base: (U, D) distinct rows by first occurrence; the very base where all rows differ.
        group: (N,) distinct row of every instance.
        members: (N,) instances by (distinct row, index).
        sizes: (U,) how many instances share a distinct row.
        centre: (D,) column means.
        unit: brings centred values to about 1, so that no square over- or underflows float32; a power of two.
        shift: `base` was multiplied by 2**-shift; 0 unless squares would over- or underflow float64.
    """

    base: Matrix
    group: Indices
    members: Indices
    sizes: Indices
    centre: Wide
    unit: float
    shift: int

    @classmethod
    def of(cls, matrix: Matrix, queries: Matrix | None = None) -> Space:
        given = {"features": matrix} if queries is None else {"base": matrix, "queries": queries}
        low = np.min([_ends(values, name)[0] for name, values in given.items()], axis=0)
        high = np.max([_ends(values, name)[1] for name, values in given.items()], axis=0)
        shift = _exponent(max(np.abs(low).max(), np.abs(high).max()))
        if abs(shift) <= 300:
            shift = 0
        first, group = _distinct(matrix)
        base = matrix if len(first) == len(matrix) else matrix[first]
        if shift:
            base, low, high = (np.ldexp(values, -shift) for values in (base, low, high))
        centre = base.mean(axis=0, dtype=np.float64)
        spread = float(np.maximum(high - centre, centre - low).max())
        members = np.argsort(group, kind="stable")
        return cls(base, group, members, np.bincount(group), centre, 2.0 ** -_exponent(spread), shift)

    def shifted(self, queries: Matrix) -> Matrix:
        """Scale queries as the base was."""
        return np.ldexp(queries, -self.shift) if self.shift else queries

    def lengths(self, squared: Wide) -> Wide:
        """Turn squared distances in this space into distances of what was given, in their place."""
        found: Wide = np.sqrt(squared, out=squared)
        return np.ldexp(found, self.shift, out=found) if self.shift else found

    def expand(self, found: Indices, squared: Wide, k: int) -> tuple[Indices, Wide]:
        """Put instances in the place of distinct rows: the min(k, N) nearest by (squared distance, index)."""
        if len(self.base) == len(self.group):
            return found, squared
        k = min(k, len(self.group))
        begins = np.cumsum(self.sizes) - self.sizes
        counts = np.minimum(self.sizes[found], k)  # more of one row never fit
        indices, distances = np.empty((len(found), k), np.int64), np.empty((len(found), k))
        for rows in runs(counts.sum(axis=1), NUMBERS):
            count = counts[rows].ravel()
            entry = np.repeat(np.arange(count.size), count)
            instance = self.members[begins[found[rows].ravel()[entry]] + place_in_group(count)]
            distance = squared[rows].ravel()[entry]
            order = np.lexsort((instance, distance, entry // found.shape[1]))
            taken = order[starts(counts[rows].sum(axis=1)) + np.arange(k)]
            indices[rows], distances[rows] = instance[taken], distance[taken]
        return indices, distances


def _distinct(matrix: Matrix) -> tuple[Indices, Indices]:
    """First occurrence (U,) of every distinct row, ascending, and the distinct row (N,) of every row; -0 equals 0."""
    _, first, group = np.unique(_hashes(matrix), return_index=True, return_inverse=True)
    if len(first) == len(matrix):
        return np.arange(len(matrix)), np.arange(len(matrix))
    same = all((matrix[rows] == matrix[first[group[rows]]]).all() for rows in pieces(*matrix.shape))
    if not same:  # two rows share a hash: let NumPy sort the rows themselves
        _, first, group = np.unique(matrix + 0.0, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[group.ravel()]


def _hashes(matrix: Matrix) -> NDArray[np.uint64]:
    """(N,) a 64-bit key of each row's bits."""
    dim = matrix.shape[1] + matrix.shape[1] % 2  # an even number, so that two float32 make one word
    keys = np.empty(len(matrix), np.uint64)
    for rows in pieces(len(matrix), dim):
        padded = np.zeros((rows.stop - rows.start, dim), matrix.dtype)
        np.add(matrix[rows], 0, out=padded[:, : matrix.shape[1]])  # -0 becomes 0
        words = padded.view(np.uint64)
        words ^= words >> np.uint64(29)  # round numbers differ in high bits only
        factors = np.random.default_rng(0).integers(0, 2**63, words.shape[1], dtype=np.uint64) * np.uint64(2)
        keys[rows] = (words * (factors + np.uint64(1))).sum(axis=1)  # modulo 2**64
    return keys


def _ends(matrix: Matrix, name: str) -> tuple[Wide, Wide]:
    """(D,) smallest and largest value of each column, both finite."""
    low, high = matrix.min(axis=0).astype(np.float64), matrix.max(axis=0).astype(np.float64)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise InputError(f"{name} holds NaN or infinite values.", hint="Drop those instances.")
    return low, high


def _exponent(value: float) -> int:
    return math.frexp(value)[1]


def starts(counts: Indices) -> Indices:
    """(n, 1) where each row begins in a flat array of rows with those counts."""
    starts: Indices = (np.cumsum(counts) - counts)[:, None]
    return starts


def pieces(n_rows: int, numbers_per_row: int) -> Iterator[slice]:
    """Consecutive rows in pieces of bounded memory."""
    step = max(1, NUMBERS // numbers_per_row)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def runs(sizes: Indices, limit: int) -> Iterator[slice]:
    """Consecutive rows of different sizes in pieces of about `limit` together."""
    edges = np.flatnonzero(np.diff(np.cumsum(sizes) // limit)) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(sizes)], strict=True):
        yield slice(start, stop)
