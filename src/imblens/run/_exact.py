"""Exact search of the nearest distinct rows, near the cost of one matrix product; `_neighbours` states how."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.progress import tracked
from imblens.base.threads import single_threaded_blas
from imblens.run._space import Indices, Matrix, Space, Wide, pieces, starts

PRODUCT_NUMBERS = 2**22  # in one block of the product: 16 MiB of float32
FEW_NUMBERS = 2**20  # of all products together, up to which a search is not split among threads
REPORT_SECONDS = 5.0  # between two lines of progress
Progress = Callable[[str], object]


def search(space: Space, queries: Matrix, k: int, progress: Progress | None = None) -> tuple[Indices, Wide]:
    """The min(k, U) distinct rows nearest to each query, and their squared distances.

    Args:
        space: what is searched in.
        queries: (M, D), scaled as the base is.
        k: rows wanted.
        progress: called with a line of text every few seconds.
    """
    k = min(k, len(space.base))
    indices, squared = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))
    loose = _Search(space, queries, k, np.float32).run(np.arange(len(queries)), indices, squared, progress)
    if loose.size:
        _Search(space, queries, k, np.float64).run(loose, indices, squared, progress)
    return indices, squared


class _Search:
    """The k nearest distinct rows, with the matrix product in one precision."""

    def __init__(self, space: Space, queries: Matrix, k: int, dtype: type[np.floating[Any]]) -> None:
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
        for rows in pieces(n_base, dim):
            scaled = (space.base[rows] - space.centre) * space.unit
            norms[rows] = np.einsum("nd,nd->n", scaled, scaled)
            self._columns[:dim, rows] = -2 * scaled.T
        self._columns[dim] = (1 - 2 * self._error) * norms
        self._columns[dim, n_base:] = np.inf  # columns that only fill up the groups
        highest = norms.reshape(self._depth, -1).max(axis=0)
        self._slack = (5 * self._error * highest).astype(dtype)  # (W,) from a group's lowest bound to an upper bound

    def run(self, rows: Indices, indices: Indices, squared: Wide, progress: Progress | None = None) -> Indices:
        """Fill `indices` and `squared` for those queries; return the ones for which this precision is too loose."""
        size = int(np.clip(PRODUCT_NUMBERS // self._width, 32, 256))
        blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
        if len(rows) * self._width <= FEW_NUMBERS:  # finding the BLAS and starting threads would take longer
            product = np.empty((size, self._width), self._columns.dtype)
            done = (self._block(block, product[: len(block)], indices, squared) for block in blocks)
            return np.concatenate(list(_reported(done, len(blocks), len(rows), progress)))
        with single_threaded_blas() as n_threads, ThreadPoolExecutor(min(n_threads, len(blocks))) as pool:
            products: SimpleQueue[Matrix] = SimpleQueue()  # one for each thread, used again and again
            for _ in range(min(n_threads, len(blocks))):
                products.put(np.empty((size, self._width), self._columns.dtype))

            def work(block: Indices) -> Indices:
                product = products.get()
                try:
                    return self._block(block, product[: len(block)], indices, squared)
                finally:
                    products.put(product)

            return np.concatenate(list(_reported(pool.map(work, blocks), len(blocks), len(rows), progress)))

    def _block(self, rows: Indices, product: Matrix, indices: Indices, squared: Wide) -> Indices:
        row, column, loose = self._candidates(rows, product)
        kept = np.flatnonzero(~loose)
        if kept.size:
            renumbered = np.cumsum(~loose) - 1
            found = sorted_pairs(self._queries[rows[kept]], self._space.base, renumbered[row], column, self._k)
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


def _reported(done: Iterator[Indices], n_blocks: int, n_rows: int, progress: Progress | None) -> Iterator[Indices]:
    """Pass blocks on, with a line on the time left every few seconds."""
    start = reported = time.monotonic()
    for number, block in enumerate(tracked(done, f"neighbours of {n_rows:,} instances", n_blocks), 1):
        now = time.monotonic()
        if progress is not None and now - reported >= REPORT_SECONDS:
            reported, share = now, number / n_blocks
            left = (now - start) * (1 - share) / share
            progress(f"neighbours of {share:.0%} of {n_rows:,} instances, about {left:.0f} s left")
        yield block


def sorted_pairs(queries: Matrix, base: Matrix, row: Indices, column: Indices, k: int) -> tuple[Indices, Wide]:
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
        taken = order[starts(counts[again]) + np.arange(k)]
        found[again], ranked[again] = column[pairs][taken], squared[taken]
    return found, ranked


def _measured(queries: Matrix, base: Matrix, row: Indices, column: Indices, *, exactly: bool) -> Wide:
    """Squared distances of pairs from direct differences in float64."""
    squared = np.empty(len(row))
    for pairs in pieces(len(row), 4 * base.shape[1]):
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


def _group_size(n_base: int, k: int) -> int:
    """Columns in a group: a power of two that balances choosing among groups with looking into k of them."""
    return 2 ** int(np.clip(round(math.log2(n_base / (2 * k)) / 2), 0, 8)) if n_base > 2 * k else 1


def _where(mask: NDArray[np.bool_]) -> tuple[Indices, Indices]:
    """What np.nonzero gives, several times as fast where little is true."""
    row, column = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return row, column
