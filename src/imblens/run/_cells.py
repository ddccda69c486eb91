"""Cells of rows that lie together, and the distance that a query keeps at least from every row of a cell.

Let c and d be the centroids of a query's own cell and of another one. Projecting on the line from c to d never makes a
distance longer, so the query is at least as far from every row y of the other cell as their projections are apart:
(min (d - c) y - (d - c) q) / |d - c|. In many dimensions that is far more than what the radius of the cell gives, since a
cell is thin along any one direction. The bound holds for any points c and d: how good the cells are decides on time alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imblens.run._space import Indices, Matrix, Space, Wide, pieces

FEWEST_ROWS = 30_000  # below, finding cells takes longer than it saves where rows are not clustered
CELL_ROWS = 500  # on average
CELL_QUERIES = 64  # at least, per cell: for fewer, finding cells takes longer than it saves
MOST_CELLS = 2_048  # tables of pairs of cells take 32 MiB each
SAMPLED = 32  # rows per cell from which centroids are found
ROUNDS = 8


@dataclass(frozen=True)
class Cells:
    """The rows of a space in C cells.

    Attributes:
        order: (U,) rows by (cell, row).
        begins: (C + 1,) where each cell begins in `order`.
        centroids: (C, D) points about which cells lie, scaled as the space scales.
        apart: (C, C) distances of centroids, rounded up.
        reach: (C, C) how far each cell (row) reaches towards each other: the largest (c - d) y of its rows y, where d is
            its centroid and c that of the other.
        longest: largest length of a scaled row.
    """

    order: Indices
    begins: Indices
    centroids: Wide
    apart: Wide
    reach: Wide
    longest: float

    @classmethod
    def of(cls, space: Space, k: int, n_queries: int) -> Cells:
        """About 500 rows a cell; fewer cells for few queries, one where there are few rows or many neighbours are wanted."""
        n_rows, dim = space.base.shape
        n_cells = min(n_rows // CELL_ROWS, n_queries // CELL_QUERIES, MOST_CELLS)
        if n_rows < FEWEST_ROWS or n_cells < 4 or n_rows < 8 * k:
            one = np.zeros((1, 1))
            return cls(np.arange(n_rows), np.array([0, n_rows]), np.zeros((1, dim)), one, one, 0.0)
        centroids = _centroids(space, n_cells)
        cell = own_cells(space, space.base, centroids)
        counts = np.bincount(cell, minlength=len(centroids))
        centroids, cell = centroids[counts > 0], (np.cumsum(counts > 0) - 1)[cell]
        order = np.argsort(cell, kind="stable")
        reach, longest = _reach(space, centroids, cell, order)
        norms = np.einsum("cd,cd->c", centroids, centroids)
        squared = norms[:, None] + norms - 2 * (centroids @ centroids.T)
        apart = np.sqrt(np.maximum(squared, 0) + _rounding(dim, longest))
        begins = np.concatenate([[0], np.cumsum(counts[counts > 0])])
        return cls(order, begins, centroids, apart, reach, longest)

    def of_rows(self, space: Space, rows: Matrix) -> Indices:
        """(M,) cell of each row, about that of the nearest centroid."""
        if len(self.centroids) == 1:
            return np.zeros(len(rows), np.int64)
        if rows is space.base:
            cell = np.empty(len(rows), np.int64)
            cell[self.order] = np.repeat(np.arange(len(self.centroids)), np.diff(self.begins))
            return cell
        return own_cells(space, rows, self.centroids)

    def least_squared(self, scaled: Wide, own: Indices) -> Wide:
        """(b, C) the squared distance that each query keeps at least from all rows of each cell, free of rounding.

        Args:
            scaled: (b, D) queries, scaled as the space scales.
            own: (b,) their cells.
        """
        if len(self.centroids) == 1:
            return np.zeros((len(scaled), 1))
        along = scaled @ self.centroids.T  # (b, C)
        ahead = along[np.arange(len(own)), own][:, None] - along
        ahead -= self.reach[:, own].T
        longest = max(self.longest, float(np.sqrt(np.einsum("nd,nd->n", scaled, scaled).max())))
        ahead -= _rounding(scaled.shape[1], longest)
        least: Wide = (np.maximum(ahead, 0) / self.apart[own]) ** 2
        return least


def own_cells(space: Space, rows: Matrix, centroids: Wide) -> Indices:
    """(M,) number of the centroid nearest to each row, but for rounding."""
    found = np.empty(len(rows), np.int64)
    towards, half = centroids.T.astype(np.float32), ((centroids**2).sum(axis=1) / 2).astype(np.float32)
    for piece in pieces(len(rows), max(centroids.shape)):
        scaled = ((rows[piece] - space.centre) * space.unit).astype(np.float32)
        found[piece] = (scaled @ towards - half).argmax(axis=1)
    return found


def _rounding(dim: int, longest: float) -> float:
    """What a sum of four products of vectors, each at most that long, can lose in float64; never 0."""
    return float(8 * (dim + 4) * 2.0**-53 * longest**2 + np.finfo(np.float64).tiny)


def _centroids(space: Space, n_cells: int) -> Wide:
    """Centroids of a sample of rows by k-means from random rows; an empty cell keeps its centroid."""
    rng = np.random.default_rng(0)
    n_rows = len(space.base)
    sample = space.base[np.sort(rng.choice(n_rows, min(n_rows, SAMPLED * n_cells), replace=False))]
    scaled = (sample - space.centre) * space.unit
    centroids: Wide = scaled[rng.choice(len(sample), n_cells, replace=False)]
    for _ in range(ROUNDS):
        cell = own_cells(space, sample, centroids)
        order = np.argsort(cell, kind="stable")
        used, first, counts = np.unique(cell[order], return_index=True, return_counts=True)
        centroids[used] = np.add.reduceat(scaled[order], first, axis=0) / counts[:, None]
    return centroids


def _reach(space: Space, centroids: Wide, cell: Indices, order: Indices) -> tuple[Wide, float]:
    """`Cells.reach` and `Cells.longest`."""
    reach = np.full((len(centroids), len(centroids)), -np.inf)
    longest = 0.0
    for piece in pieces(len(order), max(centroids.shape)):
        rows = order[piece]
        scaled: NDArray[np.float64] = (space.base[rows] - space.centre) * space.unit
        longest = max(longest, float(np.einsum("nd,nd->n", scaled, scaled).max()))
        along = scaled @ centroids.T
        along -= along[np.arange(len(rows)), cell[rows]][:, None]
        used, first = np.unique(cell[rows], return_index=True)
        reach[used] = np.maximum(reach[used], np.maximum.reduceat(along, first, axis=0))
    return reach, longest**0.5
