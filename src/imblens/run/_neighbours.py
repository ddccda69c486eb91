"""The k nearest other instances of every instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class NeighbourGraph:
    """Indices (N, k) and Euclidean distances (N, k), nearest first."""

    indices: NDArray[np.int64]
    distances: NDArray[np.floating[Any]]
    exact: bool = True
    recall: float | None = None

    @property
    def k(self) -> int:
        """Neighbours of each instance."""
        return int(self.indices.shape[1])

    def first(self, k: int) -> NeighbourGraph:
        """The k nearest of them."""
        return NeighbourGraph(self.indices[:, :k], self.distances[:, :k], self.exact, self.recall)


def neighbour_graph(features: NDArray[Any], k: int) -> NeighbourGraph:
    """Exact k nearest other instances."""
    from scipy.spatial.distance import cdist

    wide = np.asarray(features, dtype=np.float64)
    k = min(k, len(wide) - 1)
    indices, distances = [], []
    for start in range(0, len(wide), 1024):
        block = cdist(wide[start : start + 1024], wide)
        block[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        order = np.argsort(block, axis=1, kind="stable")[:, :k]
        indices.append(order)
        distances.append(np.take_along_axis(block, order, axis=1))
    return NeighbourGraph(np.concatenate(indices).astype(np.int64), np.concatenate(distances))
