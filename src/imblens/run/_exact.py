"""Exact search of the nearest distinct rows, near the cost of one matrix product; `_neighbours` states how."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from imblens.base.progress import tracked
from imblens.base.threads import single_threaded_blas
from imblens.base.wording import in_one_line
from imblens.run._candidates import Candidates, Columns
from imblens.run._cells import Cells
from imblens.run._engine import tasks, uses_ray
from imblens.run._on_gpu import QUERIES, candidates_on, gpu_for
from imblens.run._space import Indices, Matrix, Space, Wide, pieces, starts

PRODUCT_NUMBERS = 2**22  # in one product, and pairs of one block in float64
BLOCK_ROWS = 256  # queries of one product
FEW_NUMBERS = 2**20  # of all products together, up to which a search is not split among threads
SHARED_NUMBERS = 2**28  # of all products together, from which Ray computes them if it is chosen
TASK_ROWS = 4_096  # queries of a task of Ray
REPORT_SECONDS = 5.0  # between two lines of progress
Progress = Callable[[str], object]
Item = TypeVar("Item")


def search(space: Space, queries: Matrix, k: int, progress: Progress | None = None) -> tuple[Indices, Wide]:
    """The min(k, U) distinct rows nearest to each query, and their squared distances.

    With the engine "ray", a large search is split into tasks, each with a block of queries and the whole base, which
    workers share. A large search without it uses a GPU where PyTorch finds one; the result is the same.

    Args:
        space: what is searched in.
        queries: (M, D), scaled as the base is.
        k: rows wanted.
        progress: called with a line of text every few seconds.
    """
    k = min(k, len(space.base))
    indices, squared = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))

    def put(found: Iterator[_Found]) -> Indices:
        """Put what was found in its place; return the queries for which the precision is too loose."""
        loose = [np.empty(0, np.int64)]
        for part in found:
            indices[part.rows], squared[part.rows] = part.indices, part.squared
            loose.append(part.loose)
        return np.concatenate(loose)

    left, loose = np.arange(len(queries)), np.empty(0, np.int64)  # for float32, for float64
    gpu = gpu_for(len(queries), *space.base.shape)
    if gpu is not None:
        searching = _Search(Columns(space, Cells.of(space, k, 0), k, np.float32), queries, np.zeros_like(left))
        loose = put(searching.on_gpu(gpu, left, progress))
        left = left[searching.done :]
        del searching  # its copy of the base
    cells = Cells.of(space, k, len(left) + len(loose))
    cell = cells.of_rows(space, queries)
    for dtype in (np.float32, np.float64):
        rows = np.concatenate([left, loose]) if dtype is np.float64 else left
        if rows.size:
            rows = rows[np.argsort(cell[rows], kind="stable")]  # queries of a cell side by side
            left = put(_Search(Columns(space, cells, k, dtype), queries, cell).on_engine(rows, progress))
    return indices, squared


class _Found(NamedTuple):
    """Nearest rows (n, k) of n queries, and the queries for which the precision is too loose."""

    rows: Indices
    indices: Indices
    squared: Wide
    loose: Indices


class _Search:
    """The k nearest distinct rows, with the matrix product in one precision."""

    def __init__(self, columns: Columns, queries: Matrix, cell: Indices) -> None:
        self._columns, self._queries, self._cell = columns, queries, cell
        self.done = 0  # of the queries for a GPU

    def on_engine(self, rows: Indices, progress: Progress | None) -> Iterator[_Found]:
        """Search for those queries in this process, or in tasks of Ray if it is chosen and there is enough to do."""
        # not worth a copy of the base
        few = len(rows) <= TASK_ROWS or len(rows) * len(self._columns.row) < SHARED_NUMBERS
        if not uses_ray() or few:
            yield from self.run(rows, progress)
            return
        blocks = [rows[start : start + TASK_ROWS] for start in range(0, len(rows), TASK_ROWS)]
        done = tasks(_run, [(block,) for block in blocks], shared=self)
        for parts in _reported(done, len(blocks), len(rows), progress):
            yield from parts

    def on_gpu(self, device: Any, rows: Indices, progress: Progress | None) -> Iterator[_Found]:
        """Search for those queries with products on a GPU, as far as it works; `done` counts them."""
        blocks = [rows[start : start + QUERIES] for start in range(0, len(rows), QUERIES)]
        scaled = (self._columns.scaled(self._queries[block]) for block in blocks)
        pairs = candidates_on(device, self._columns, scaled)
        try:
            for found, block in zip(_reported(pairs, len(blocks), len(rows), progress), blocks, strict=True):
                yield self._measured(block, *found)
                self.done += len(block)
        # of torch, as where its memory is full; those of other kinds come up again on the processor
        except RuntimeError as error:
            if progress is not None:
                progress(f"the GPU failed ({in_one_line(error)}); the processor searches the neighbours that are left")

    def run(self, rows: Indices, progress: Progress | None = None) -> Iterator[_Found]:
        """Search for those queries, block by block, side by side in threads."""
        columns = self._columns
        n_base = len(columns.row)
        size = int(np.clip(PRODUCT_NUMBERS // (n_base if columns.last else columns.tile), 32, BLOCK_ROWS))
        tile = min(columns.tile, n_base)
        blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
        if len(rows) * n_base <= FEW_NUMBERS:  # finding the BLAS and starting threads would take longer
            product = np.empty(size * tile, columns.dtype)
            done = (self._block(block, product) for block in blocks)
            yield from _reported(done, len(blocks), len(rows), progress)
            return
        with single_threaded_blas() as n_threads, ThreadPoolExecutor(min(n_threads, len(blocks))) as pool:
            products: SimpleQueue[Matrix] = SimpleQueue()  # one for each thread, used again and again
            for _ in range(min(n_threads, len(blocks))):
                products.put(np.empty(size * tile, columns.dtype))

            def work(block: Indices) -> _Found:
                product = products.get()
                try:
                    return self._block(block, product)
                finally:
                    products.put(product)

            yield from _reported(pool.map(work, blocks), len(blocks), len(rows), progress)

    def _block(self, rows: Indices, product: Matrix) -> _Found:
        block = Candidates(self._columns, self._columns.scaled(self._queries[rows]), self._cell[rows], product)
        return self._measured(rows, *block.search(), block.loose)

    def _measured(self, rows: Indices, row: Indices, column: Indices, is_loose: NDArray[np.bool_]) -> _Found:
        """Measure candidates: row of the block and row of the base, but for those of loose rows."""
        k = self._columns.k
        kept, loose = rows[~is_loose], rows[is_loose]
        if not kept.size:
            return _Found(kept, np.empty((0, k), np.int64), np.empty((0, k)), loose)
        renumbered = np.cumsum(~is_loose) - 1
        found = sorted_pairs(self._queries[kept], self._columns.space.base, renumbered[row], column, k)
        return _Found(kept, *found, loose)


def _run(search: _Search, rows: Indices) -> list[_Found]:
    """What a task of Ray does."""
    return list(search.run(rows))


def _reported(done: Iterator[Item], n_blocks: int, n_rows: int, progress: Progress | None) -> Iterator[Item]:
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
    # of others, those that are candidates depend on rounding
    last, following = ranked[:, :-1][:, :k], ranked[:, 1:][:, :k]
    near_tie = (last >= (1 - tolerance) * following) & np.isfinite(following)
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
