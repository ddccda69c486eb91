"""The k nearest other instances of every instance: exact, in bounded memory, near the cost of one matrix product.

With |a - b|^2 = |a|^2 + |b|^2 - 2 ab, a float32 matrix product ranks all columns for a block of rows at once, but not
exactly. So the product is made to give a *lower bound*: norms are shortened by the error it can have. Groups of columns
are reduced to their smallest bound, and the k-th smallest group gives a threshold that no true neighbour can exceed. The
few columns below it are measured in float64 by direct differences and sorted. What comes out does not depend on the
rounding of the product, and so neither on threads nor on the machine. Rows for which the bound is too loose (clusters
that are tiny beside the spread of all) go through the same steps in float64.

FAISS's flat index does the same product, but took three times as long on two cores, and its distances would have to be
checked all the same. Equal rows are collapsed first: a thousand copies would be a million pairs at distance 0.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.errors import DependencyError, InputError, ShapeError

Matrix = NDArray[np.floating[Any]]
Wide = NDArray[np.float64]
Indices = NDArray[np.int64]

APPROXIMATE_ABOVE = 300_000  # instances; exact search is quadratic
RECALL_SAMPLE = 1_000
_PRODUCT_NUMBERS = 2**22  # in one block of the product: 16 MiB of float32
_NUMBERS = 2**20  # in one block of anything else: 8 MiB of float64
_BLAS = Lock()  # one search at a time holds the BLAS at one thread


@dataclass(frozen=True)
class NeighbourGraph:
    """The nearest other instances of every instance, nearest first, equal distances by index.

    Attributes:
        indices: (N, k) int64.
        distances: (N, k) float64, Euclidean.
        exact: False where the search was approximate.
        recall: of an approximate search, the share of true neighbours found, measured on a sample; else None.
    """

    indices: Indices
    distances: Wide
    exact: bool = True
    recall: float | None = None

    @property
    def k(self) -> int:
        """Neighbours of each instance."""
        return int(self.indices.shape[1])

    def first(self, k: int) -> NeighbourGraph:
        """The k nearest of them (all of them, where k is larger)."""
        return NeighbourGraph(self.indices[:, :k], self.distances[:, :k], self.exact, self.recall)


def neighbour_graph(features: NDArray[Any], k: int, *, approximate: bool | None = None) -> NeighbourGraph:
    """Find the k nearest other instances of every instance by Euclidean distance.

    An instance is never its own neighbour, by index; a copy of it is one, at distance 0. Squared distances are compared
    in float64, equal ones ordered by index. The result does not depend on the number of threads.

    Args:
        features: (N, D) finite numbers, in memory or memory-mapped.
        k: neighbours wanted, at least 1; where N - 1 or more are asked for, every other instance is returned.
        approximate: True searches with pynndescent (faster beyond some 100,000 instances) and measures the recall on
            1,000 instances; False never does; None does above 300,000 instances where pynndescent is installed.
            Few distinct instances (up to 1,000, or 8 k) are always searched exactly.

    Raises:
        ShapeError: features are not a matrix with rows and columns.
        InputError: features are not finite numbers, or k < 1.
        DependencyError: approximate=True without pynndescent.

    Example:
        >>> graph = neighbour_graph(np.array([[0.0], [1.0], [3.0], [3.0]]), k=2)
        >>> graph.indices.tolist()
        [[1, 2], [0, 2], [3, 1], [2, 1]]
        >>> graph.distances[2].tolist()
        [0.0, 2.0]
    """
    matrix = _checked(features, "features", k)
    if approximate and not _has_pynndescent():
        raise DependencyError(
            "approximate neighbours need pynndescent, which is not installed.",
            hint="Run `pip install 'imblens[approximate]'`, or ask for exact neighbours.",
        )
    if approximate is None:
        approximate = len(matrix) > APPROXIMATE_ABOVE and _has_pynndescent()
    k = min(k, len(matrix) - 1)
    if k == 0:
        return NeighbourGraph(np.empty((1, 0), np.int64), np.empty((1, 0)))
    space = _Space.of(matrix)
    if approximate and len(space.base) > max(1_000, 8 * (k + 1)):
        found, squared = _descend(space, k + 1)
    else:
        approximate = False
        found, squared = space.search(space.base, k + 1)
    found, squared = space.expand(found, squared, k + 1)
    if len(space.base) < len(matrix):
        found, squared = found[space.group], squared[space.group]
    indices, squared = _without_self(found, squared, np.arange(len(matrix)))
    recall = _recall(space, indices) if approximate else None
    return NeighbourGraph(indices, space.lengths(squared), not approximate, recall)


def nearest(base: NDArray[Any], queries: NDArray[Any], k: int) -> tuple[Indices, Wide]:
    """Find the k instances of `base` nearest to each query, exactly; equal distances by index.

    Args:
        base: (N, D) finite numbers.
        queries: (M, D) finite numbers; one that also stands in `base` finds itself there, at distance 0.
        k: neighbours wanted, at least 1; at most N are returned.

    Returns:
        Indices into `base` (M, k) and Euclidean distances (M, k).

    Raises:
        ShapeError, InputError: as for `neighbour_graph`.

    Example:
        >>> indices, distances = nearest(np.array([[0.0], [2.0], [5.0]]), np.array([[1.0], [6.0]]), k=2)
        >>> indices.tolist(), distances.tolist()
        ([[0, 1], [2, 1]], [[1.0, 1.0], [1.0, 4.0]])
    """
    known, asked = _checked(base, "base", k), _checked(queries, "queries", k)
    if known.shape[1] != asked.shape[1]:
        raise ShapeError(
            f"queries has {asked.shape[1]} columns, base {known.shape[1]}.", hint="Both need the same features."
        )
    if known.dtype != asked.dtype:
        known, asked = known.astype(np.float64), asked.astype(np.float64)
    space = _Space.of(known, asked)
    indices, squared = space.expand(*space.search(space.shifted(asked), k), k)
    return indices, space.lengths(squared)


def _checked(values: NDArray[Any], name: str, k: int) -> Matrix:
    matrix = np.asarray(values)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ShapeError(
            f"{name} must be a matrix (instances, columns) with at least one of each, found shape {matrix.shape}.",
            hint="Give one row per instance.",
        )
    if matrix.dtype.kind not in "fiu":
        raise InputError(f"{name} must hold real numbers, found dtype {matrix.dtype}.", hint="Convert to float32.")
    if k < 1:
        raise InputError(f"k={k} neighbours were asked for.", hint="Ask for 1 or more.")
    return matrix if matrix.dtype in (np.float32, np.float64) else matrix.astype(np.float64)


# ------------------------------------------------------------------------------------------------- what is searched in


@dataclass(frozen=True)
class _Space:
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
    def of(cls, matrix: Matrix, queries: Matrix | None = None) -> _Space:
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
        """Turn squared distances in this space into distances of what was given."""
        found = np.sqrt(squared)
        return np.ldexp(found, self.shift) if self.shift else found

    def search(self, queries: Matrix, k: int) -> tuple[Indices, Wide]:
        """The min(k, U) distinct rows nearest to each query, and their squared distances."""
        k = min(k, len(self.base))
        indices, squared = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))
        loose = _Search(self, queries, k, np.float32).run(np.arange(len(queries)), indices, squared)
        if loose.size:
            _Search(self, queries, k, np.float64).run(loose, indices, squared)
        return indices, squared

    def expand(self, found: Indices, squared: Wide, k: int) -> tuple[Indices, Wide]:
        """Put instances in the place of distinct rows: the min(k, N) nearest by (squared distance, index)."""
        if len(self.base) == len(self.group):
            return found, squared
        k = min(k, len(self.group))
        starts = np.cumsum(self.sizes) - self.sizes
        counts = np.minimum(self.sizes[found], k)  # more of one row never fit
        indices, distances = np.empty((len(found), k), np.int64), np.empty((len(found), k))
        for rows in _runs(counts.sum(axis=1), _NUMBERS):
            count = counts[rows].ravel()
            entry = np.repeat(np.arange(count.size), count)
            within = np.arange(entry.size) - np.repeat(np.cumsum(count) - count, count)
            instance = self.members[starts[found[rows].ravel()[entry]] + within]
            distance = squared[rows].ravel()[entry]
            order = np.lexsort((instance, distance, entry // found.shape[1]))
            taken = order[_starts(counts[rows].sum(axis=1)) + np.arange(k)]
            indices[rows], distances[rows] = instance[taken], distance[taken]
        return indices, distances


class _Search:
    """The k nearest distinct rows, with the matrix product in one precision."""

    def __init__(self, space: _Space, queries: Matrix, k: int, dtype: type[np.floating[Any]]) -> None:
        """Lay out the base for the product: a column per distinct row, its shortened squared norm as last entry."""
        self._space, self._queries, self._k = space, queries, k
        self._last = dtype is np.float64
        n_base, dim = space.base.shape
        length = (dim + 8) * float(np.finfo(dtype).eps) / 2
        # the product's error for a query a and a column b is at most error * (|a|^2 + 2 |b|^2) + tiny
        self._error = 1.01 * length / (1 - length)
        self._tiny = 16 * dim * float(np.finfo(dtype).tiny)
        self._depth = _group_size(n_base, k)  # columns in a group
        self._n_groups = -(-n_base // self._depth)
        self._width = self._n_groups * self._depth
        norms = np.zeros(self._width)
        self._columns = np.zeros((dim + 1, self._width), dtype)  # group w holds columns w, W + w, 2 W + w, ...
        for rows in _pieces(n_base, dim):
            scaled = (space.base[rows] - space.centre) * space.unit
            norms[rows] = np.einsum("nd,nd->n", scaled, scaled)
            self._columns[:dim, rows] = -2 * scaled.T
        self._columns[dim] = (1 - 2 * self._error) * norms
        self._columns[dim, n_base:] = np.inf  # columns that only fill up the groups
        highest = norms.reshape(self._depth, -1).max(axis=0)
        self._slack = (5 * self._error * highest).astype(dtype)  # (W,) from a group's lowest bound to an upper bound

    def run(self, rows: Indices, indices: Indices, squared: Wide) -> Indices:
        """Fill `indices` and `squared` for those queries; return the ones for which this precision is too loose."""
        size = int(np.clip(_PRODUCT_NUMBERS // self._width, 32, 256))
        blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
        with _single_threaded_blas() as n_threads, ThreadPoolExecutor(min(n_threads, len(blocks))) as pool:
            products: SimpleQueue[Matrix] = SimpleQueue()  # one for each thread, used again and again
            for _ in range(min(n_threads, len(blocks))):
                products.put(np.empty((size, self._width), self._columns.dtype))

            def work(block: Indices) -> Indices:
                product = products.get()
                try:
                    return self._block(block, product[: len(block)], indices, squared)
                finally:
                    products.put(product)

            return np.concatenate(list(pool.map(work, blocks)))

    def _block(self, rows: Indices, product: Matrix, indices: Indices, squared: Wide) -> Indices:
        row, column, loose = self._candidates(rows, product)
        kept = np.flatnonzero(~loose)
        if kept.size:
            renumbered = np.cumsum(~loose) - 1
            found = _sorted(self._queries[rows[kept]], self._space.base, renumbered[row], column, self._k)
            indices[rows[kept]], squared[rows[kept]] = found
        return rows[loose]

    def _candidates(self, rows: Indices, product: Matrix) -> tuple[Indices, Indices, NDArray[np.bool_]]:
        """Pairs (row of the block, column) that hold all true neighbours, by row; and rows with too many of them.

        With S the product, e = |b|^2 - 2 ab the true value and g the error: S - g |a|^2 <= e <= S + 4 g |b|^2 + g |a|^2.
        So k true values are at most limit = (k-th smallest S + 4 g |b|^2) + g |a|^2, and the k nearest columns have
        S <= limit + g |a|^2. The bounds below are wider by another g: that holds their own rounding and exact ties.
        """
        k, depth = self._k, self._depth
        left = np.ones((len(rows), len(self._columns)), product.dtype)
        scaled = (self._queries[rows] - self._space.centre) * self._space.unit  # (b, D)
        left[:, :-1] = scaled
        np.matmul(left, self._columns, out=product)  # (b, W * G)
        grouped = product.reshape(len(rows), depth, -1)  # (b, G, W)
        lowest = product if depth == 1 else grouped.min(axis=1)  # (b, W)
        limit = np.partition(lowest + self._slack, k - 1, axis=1)[:, k - 1].astype(np.float64)
        limit += 3 * self._error * np.einsum("nd,nd->n", scaled, scaled) + 2 * self._tiny
        threshold = np.nextafter(limit.astype(product.dtype), product.dtype.type(np.inf))[:, None]  # (b, 1)
        near = lowest <= threshold
        loose = np.zeros(len(rows), np.bool_)
        if not self._last:
            loose = np.count_nonzero(near, axis=1) > 4 * k + 16
            near[loose] = False
        row, group = _where(near)
        if depth == 1:
            return row, group, loose
        hit, place = _where(grouped[row, :, group] <= threshold[row])
        row, column = row[hit], place * self._n_groups + group[hit]
        if not self._last:
            crowded = np.bincount(row, minlength=len(rows)) > 8 * k + 64
            loose |= crowded
            row, column = row[~crowded[row]], column[~crowded[row]]
        return row, column, loose


def _sorted(queries: Matrix, base: Matrix, row: Indices, column: Indices, k: int) -> tuple[Indices, Wide]:
    """Measure candidate pairs and keep the k nearest columns of each query, by (squared distance, column).

    Where two distances of a query are so close that the order of summation could decide, its distances are summed
    without rounding: equal ones then come out equal.

    Args:
        queries: (b, D).
        base: (U, D).
        row: (P,) ascending, every query at least k times.
        column: (P,).
        k: how many to keep.
    """
    counts = np.bincount(row, minlength=len(queries))
    squared = _measured(queries, base, row, column, exactly=False)
    slot = np.arange(len(row)) - (np.cumsum(counts) - counts)[row]
    table = np.full((len(queries), counts.max()), np.inf)
    columns = np.zeros(table.shape, np.int64)
    table[row, slot], columns[row, slot] = squared, column
    order = np.argsort(table, axis=1)
    ranked = np.take_along_axis(table, order, axis=1)
    tolerance = 4 * (base.shape[1] + 2) * 2.0**-53
    near_tie = (ranked[:, :-1] >= (1 - tolerance) * ranked[:, 1:]) & np.isfinite(ranked[:, 1:])
    order, ranked = order[:, :k], ranked[:, :k]
    found = np.take_along_axis(columns, order, axis=1)
    again = near_tie.any(axis=1)
    if again.any():
        pairs = np.flatnonzero(again[row])
        squared = _measured(queries, base, row[pairs], column[pairs], exactly=True)
        order = np.lexsort((column[pairs], squared, row[pairs]))
        taken = order[_starts(counts[again]) + np.arange(k)]
        found[again], ranked[again] = column[pairs][taken], squared[taken]
    return found, ranked


def _measured(queries: Matrix, base: Matrix, row: Indices, column: Indices, *, exactly: bool) -> Wide:
    """Squared distances of pairs from direct differences in float64."""
    squared = np.empty(len(row))
    for pairs in _pieces(len(row), 4 * base.shape[1]):
        difference = queries[row[pairs]].astype(np.float64)
        difference -= base[column[pairs]]
        squared[pairs] = _sums_of(difference**2) if exactly else np.einsum("pd,pd->p", difference, difference)
    return squared


def _sums_of(values: Wide) -> Wide:
    """Sums of rows of non-negative numbers, as if added without rounding and rounded once (but for some 2**-100)."""
    high, low = values, np.zeros_like(values)
    while high.shape[1] > 1:
        if high.shape[1] % 2:
            high, low = (np.pad(part, ((0, 0), (0, 1))) for part in (high, low))
        half = high.shape[1] // 2
        one, two = high[:, :half], high[:, half:]
        total = one + two
        back = total - one
        lost = (one - (total - back)) + (two - back) + (low[:, :half] + low[:, half:])
        high = total + lost
        low = lost - (high - total)
    sums: Wide = (high + low)[:, 0]
    return sums


def _without_self(found: Indices, squared: Wide, own: Indices) -> tuple[Indices, Wide]:
    """Drop each instance from its own k + 1 nearest; where it is not among them (many copies), drop the last."""
    itself = found == own[:, None]
    itself[~itself.any(axis=1), -1] = True
    shape = (len(found), found.shape[1] - 1)
    return found[~itself].reshape(shape), squared[~itself].reshape(shape)


# --------------------------------------------------------------------------------------------------------- approximate


def _has_pynndescent() -> bool:
    from importlib.util import find_spec

    return find_spec("pynndescent") is not None


def _proposals(scaled: NDArray[np.float32], k: int) -> Indices:
    """(U, k) about the k nearest rows of every row; -1 where fewer were found. One thread: more change the result."""
    import warnings

    from pynndescent import NNDescent

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its warnings about rows without enough neighbours
        found: Indices = NNDescent(scaled, n_neighbors=k, random_state=0, n_jobs=1).neighbor_graph[0].astype(np.int64)
    return found


def _descend(space: _Space, k: int) -> tuple[Indices, Wide]:
    """About the k nearest distinct rows (the row itself first) of every distinct row; their distances are true."""
    scaled = np.empty(space.base.shape, np.float32)
    for rows in _pieces(*space.base.shape):
        scaled[rows] = (space.base[rows] - space.centre) * space.unit
    proposed = _proposals(scaled, k + 5)
    indices, squared = np.empty((len(scaled), k), np.int64), np.empty((len(scaled), k))
    short = []
    for rows in _pieces(len(scaled), 4 * k):
        own = np.arange(rows.start, rows.stop)
        candidates = np.sort(np.column_stack([proposed[rows], own]), axis=1)  # itself, proposed or not
        usable = candidates >= 0
        usable[:, 1:] &= candidates[:, 1:] != candidates[:, :-1]
        enough = usable.sum(axis=1) >= k
        short.append(own[~enough])
        row, place = np.nonzero(usable[enough])
        indices[own[enough]], squared[own[enough]] = _sorted(
            space.base[own[enough]], space.base, row, candidates[enough][row, place], k
        )
    rest = np.concatenate(short)
    if rest.size:
        indices[rest], squared[rest] = space.search(space.base[rest], k)
    return indices, squared


def _recall(space: _Space, indices: Indices) -> float:
    """Share of the true nearest others of a sample of instances that `indices` holds."""
    n_instances, k = indices.shape
    sample = np.random.default_rng(0).choice(n_instances, min(RECALL_SAMPLE, n_instances), replace=False)
    found = space.expand(*space.search(space.base[space.group[sample]], k + 1), k + 1)
    true, _ = _without_self(*found, sample)
    return float((true[:, :, None] == indices[sample][:, None, :]).any(axis=2).mean())


# --------------------------------------------------------------------------------------------------------------- tools


@contextmanager
def _single_threaded_blas() -> Iterator[int]:
    """Hold the BLAS at one thread, as blocks run side by side instead; give how many threads it had."""
    from threadpoolctl import threadpool_info, threadpool_limits

    with _BLAS:
        threads = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        with threadpool_limits(1, user_api="blas"):
            yield max(threads, default=os.cpu_count() or 1)


def _group_size(n_base: int, k: int) -> int:
    """Columns in a group: a power of two that balances choosing among groups with looking into k of them."""
    return 2 ** int(np.clip(round(math.log2(n_base / (2 * k)) / 2), 0, 8)) if n_base > 2 * k else 1


def _distinct(matrix: Matrix) -> tuple[Indices, Indices]:
    """First occurrence (U,) of every distinct row, ascending, and the distinct row (N,) of every row; -0 equals 0."""
    _, first, group = np.unique(_hashes(matrix), return_index=True, return_inverse=True)
    if len(first) == len(matrix):
        return np.arange(len(matrix)), np.arange(len(matrix))
    same = all((matrix[rows] == matrix[first[group[rows]]]).all() for rows in _pieces(*matrix.shape))
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
    for rows in _pieces(len(matrix), dim):
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


def _where(mask: NDArray[np.bool_]) -> tuple[Indices, Indices]:
    """What np.nonzero gives, several times as fast where little is true."""
    row, column = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return row, column


def _starts(counts: Indices) -> Indices:
    """(n, 1) where each row begins in a flat array of rows with those counts."""
    starts: Indices = (np.cumsum(counts) - counts)[:, None]
    return starts


def _pieces(n_rows: int, numbers_per_row: int) -> Iterator[slice]:
    """Consecutive rows in pieces of bounded memory."""
    step = max(1, _NUMBERS // numbers_per_row)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def _runs(sizes: Indices, limit: int) -> Iterator[slice]:
    """Consecutive rows of different sizes in pieces of about `limit` together."""
    edges = np.flatnonzero(np.diff(np.cumsum(sizes) // limit)) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(sizes)], strict=True):
        yield slice(start, stop)
