"""Candidates for the nearest rows: what a matrix product with known error cannot exclude."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.run._cells import Cells
from imblens.run._space import Indices, Matrix, Space, Wide, pieces

TILE_ROWS = 1_024  # of the base in one product
WHOLE_ROWS = 2**17  # at most, where all rows are one cell
GROUP_ROWS = 8  # whose smallest bound is compared first; more where all rows are one cell
NEAREST_CELLS = 8  # searched first, nearest first, so that few rows pass later
FRESH = 32  # candidates of a query beyond k before its threshold is lowered
WIDER = 1 + 1e-9  # squared distances are widened by this before cells are excluded


class Columns:
    """The base laid out for the product in one precision: by cells, the shortened squared norm as last entry of a row.

    Each cell is filled up to whole groups with rows whose product is infinite.
    """

    def __init__(self, space: Space, cells: Cells, k: int, dtype: type[np.floating[Any]]) -> None:
        """Lay out the rows; k of them are to be found."""
        self.space, self.cells, self.k, self.dtype = space, cells, k, dtype
        self.last = dtype is np.float64  # no more precise one follows
        n_rows, dim = space.base.shape
        if len(cells.centroids) == 1:
            self.group = _group_size(n_rows, k)
            self.tile = min(self.group * -(-n_rows // self.group), WHOLE_ROWS)
        else:
            self.group, self.tile = GROUP_ROWS, max(TILE_ROWS, 4 * GROUP_ROWS * -(-k // GROUP_ROWS))
        length = (dim + 8) * float(np.finfo(dtype).eps) / 2
        # the product's error for a query a and a row b is at most error * (|a|^2 + 2 |b|^2) + tiny
        self.error = 1.01 * length / (1 - length)
        self.tiny = 16 * dim * float(np.finfo(dtype).tiny)
        counts = np.diff(cells.begins)
        self.begins = np.concatenate([[0], np.cumsum(-(-counts // self.group) * self.group)])
        place = np.arange(len(cells.order)) + np.repeat(self.begins[:-1] - cells.begins[:-1], counts)
        self.row = np.zeros(self.begins[-1], np.int64)  # of the base
        self.row[place] = cells.order
        self.bounds = np.zeros((len(self.row), dim + 1), dtype)
        self.bounds[:, dim] = np.inf
        self.slack = np.zeros(len(self.row), dtype)  # from a row's lower bound to its upper bound
        for piece in pieces(len(place), dim):
            scaled = self.scaled(space.base[cells.order[piece]])
            norms = np.einsum("nd,nd->n", scaled, scaled)
            self.bounds[place[piece], :dim] = -2 * scaled
            self.bounds[place[piece], dim] = (1 - 2 * self.error) * norms
            self.slack[place[piece]] = 5 * self.error * norms

    def scaled(self, queries: Matrix) -> Wide:
        """Scale queries as the rows are."""
        found: Wide = (queries - self.space.centre) * self.space.unit
        return found


class Candidates:
    """Pairs of a block of queries and rows of the base that hold all true neighbours.

    With S the product, e = |b|^2 - 2 ab the true value and g the error: S - g |a|^2 <= e <= S + 4 g |b|^2 + g |a|^2.
    So k true values are at most limit = (k-th smallest S + 4 g |b|^2) + g |a|^2, and the k nearest rows have
    S <= limit + g |a|^2. The bounds below are wider by another g: that holds their own rounding and exact ties.
    """

    def __init__(self, columns: Columns, scaled: Wide, own: Indices, product: Matrix) -> None:
        """Begin without candidates.

        Args:
            columns: the base.
            scaled: (b, D) queries.
            own: (b,) their cells.
            product: at least b * columns.tile numbers to work in.
        """
        self._columns, self._product = columns, product
        self._left = np.ones((len(scaled), scaled.shape[1] + 1), columns.dtype)
        self._left[:, :-1] = scaled
        self._norms = np.einsum("nd,nd->n", scaled, scaled)
        self._own = np.unique(own)
        self._least = columns.cells.least_squared(scaled, own)  # (b, C)
        self._threshold = np.full(len(scaled), np.finfo(columns.dtype).max, columns.dtype)  # of S
        self._within = np.full(len(scaled), np.inf)  # squared distance in which the k nearest lie
        self._found: list[tuple[NDArray[np.int16], Indices, Matrix]] = []
        self._fresh = 0  # pairs since thresholds were last made tight
        self.loose = np.zeros(len(scaled), np.bool_)  # too many candidates in this precision

    def search(self) -> tuple[Indices, Indices]:
        """Return (row of the block, row of the base) of all pairs, by row, without those of loose rows."""
        cells = self._columns.cells
        unseen = np.ones(len(cells.centroids), np.bool_)
        for cell in self._own:
            self._visit(cell, cell + 1)
        unseen[self._own] = False
        self._tighten()
        if unseen.any():
            nearest = np.argsort(self._least.mean(axis=0), kind="stable")
            nearest = nearest[unseen[nearest]][:NEAREST_CELLS]
            for cell in nearest:
                self._visit(cell, cell + 1)
            unseen[nearest] = False
            self._tighten()
            needed = unseen & (self._least <= self._within[:, None]).any(axis=0)
            for first, last in _runs(needed, self._columns.begins, self._columns.tile):
                self._visit(first, last)
            self._tighten()
        row, place, _ = self._found[0]
        return row.astype(np.int64), self._columns.row[place]

    def _visit(self, first: int, last: int) -> None:
        """Multiply with the rows of consecutive cells, and keep what may be near."""
        rows = np.flatnonzero((self._least[:, first:last] <= self._within[:, None]).any(axis=1))
        if not rows.size:
            return
        columns = self._columns
        left = self._left if len(rows) == len(self._left) else self._left[rows]
        begin, end = columns.begins[first], columns.begins[last]
        for low in range(begin, end, columns.tile):
            high = min(low + columns.tile, end)
            product = self._product[: len(rows) * (high - low)].reshape(high - low, len(rows))
            with np.errstate(invalid="ignore"):  # the BLAS fills up with zeros, which infinities are multiplied by
                np.matmul(columns.bounds[low:high], left.T, out=product)
            self._keep(rows, low, product)
            if self._fresh > len(self._left) * (columns.k + FRESH):
                self._tighten()

    def _keep(self, rows: Indices, low: int, product: Matrix) -> None:
        """Keep pairs of a product (w, b) with rows of the base from place `low` on that do not exceed the thresholds."""
        columns, threshold = self._columns, self._threshold[rows]
        begun = (threshold < np.finfo(columns.dtype).max).all()
        depth = columns.group if begun else min(columns.group, _group_size(len(product), columns.k))
        grouped = product.reshape(depth, -1, len(rows))  # (G, W, b)
        lowest = grouped.min(axis=0)
        if not begun and len(lowest) >= columns.k:
            slack = columns.slack[low : low + len(product)].reshape(depth, -1).max(axis=0)
            upper = np.partition((lowest + slack[:, None]).T, columns.k - 1, axis=1)[:, columns.k - 1]
            self._limit(rows, upper)
            threshold = self._threshold[rows]
        group, query = _where(lowest <= threshold)
        values = grouped[:, group, query]  # (G, P)
        member, pair = _where(values <= threshold[query])
        if len(pair):
            place = low + member * len(lowest) + group[pair]
            self._found.append((rows[query[pair]].astype(np.int16), place, values[member, pair]))
            self._fresh += len(pair)

    def _tighten(self) -> None:
        """Lower the thresholds to the k-th smallest upper bound of the candidates, and drop what exceeds them."""
        columns, k = self._columns, self._columns.k
        row, place, value = (np.concatenate(parts) for parts in zip(*self._found, strict=True))
        order = np.argsort(row, kind="stable")
        row, place, value = row[order], place[order], value[order]
        counts = np.bincount(row, minlength=len(self._left))
        if counts.max() >= k:
            upper = np.full((len(counts), counts.max()), np.inf, columns.dtype)
            slot = np.arange(len(row)) - (np.cumsum(counts) - counts)[row]
            upper[row, slot] = value + columns.slack[place]
            self._limit(np.arange(len(counts)), np.partition(upper, k - 1, axis=1)[:, k - 1])
        kept = value <= self._threshold[row]
        if not columns.last:
            crowded = np.bincount(row[kept], minlength=len(counts)) > 8 * k + 64
            self.loose |= crowded
            self._threshold[crowded], self._within[crowded] = -np.inf, -1.0
            kept &= ~crowded[row]
        self._found, self._fresh = [(row[kept], place[kept], value[kept])], 0

    def _limit(self, rows: Indices, upper: Matrix) -> None:
        """Lower the thresholds of rows to what an upper bound of their k-th smallest value implies."""
        error, norms = self._columns.error, self._norms[rows]
        limit = upper.astype(np.float64) + 3 * error * norms + 2 * self._columns.tiny
        threshold = np.nextafter(limit.astype(upper.dtype), upper.dtype.type(np.inf))
        self._threshold[rows] = np.minimum(self._threshold[rows], threshold)
        within = WIDER * np.maximum(limit + (1 + error) * norms, 0)
        self._within[rows] = np.minimum(self._within[rows], within)


def _runs(needed: NDArray[np.bool_], begins: Indices, most: int) -> list[tuple[int, int]]:
    """Ranges of consecutive needed cells with at most that many rows together (more where one cell has more)."""
    found: list[tuple[int, int]] = []
    for cell in np.flatnonzero(needed).tolist():
        if found and found[-1][1] == cell and begins[cell + 1] - begins[found[-1][0]] <= most:
            found[-1] = (found[-1][0], cell + 1)
        else:
            found.append((cell, cell + 1))
    return found


def _group_size(n_rows: int, k: int) -> int:
    """Rows in a group: a power of two that balances choosing among groups with looking into k of them."""
    return 2 ** int(np.clip(round(math.log2(n_rows / (2 * k)) / 2), 0, 8)) if n_rows > 2 * k else 1


def _where(mask: NDArray[np.bool_]) -> tuple[Indices, Indices]:
    """What np.nonzero gives, several times as fast where little is true."""
    row, column = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return row, column
