"""t-SNE of features, by openTSNE on our own neighbour graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.run import Run, neighbour_graph

Floats = NDArray[np.float64]
EXAGGERATED, PLAIN = 125, 250  # iterations of t-SNE with and without early exaggeration
INTERPOLATED_ABOVE = 4_000  # points; below it the tree is faster, and threads cost more than they gain


def embed(
    features: NDArray[np.float32],
    *,
    perplexity: float,
    random_state: int,
    run: Run | None = None,
    start: Floats | None = None,
) -> Floats:
    """(n, 2) t-SNE of (n, D) features, from principal components or from `start`; a run supplies its own graph."""
    from joblib import cpu_count
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.initialization import rescale
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    n = len(features)
    threads = cpu_count() if n > INTERPOLATED_ABOVE else 1
    perplexity = min(perplexity, (n - 1) / 3)
    k = min(n - 1, int(3 * perplexity))
    graph = neighbour_graph(features, k) if run is None else run.neighbours(k)
    known = PrecomputedNeighbors(graph.indices, np.asarray(graph.distances, dtype=np.float64))
    affinities = PerplexityBasedNN(perplexity=perplexity, knn_index=known, n_jobs=threads, random_state=random_state)
    first = _principal(features, random_state) if start is None else rescale(start, target_std=1e-4)
    embedding = TSNEEmbedding(
        first,
        affinities,
        negative_gradient_method="fft" if n > INTERPOLATED_ABOVE else "bh",
        ints_in_interval=2,
        n_jobs=threads,
        random_state=random_state,
    )
    embedding.optimize(n_iter=EXAGGERATED, exaggeration=12, momentum=0.8, inplace=True)
    embedding.optimize(n_iter=PLAIN, momentum=0.8, inplace=True)
    return np.array(embedding, dtype=np.float64)


def _principal(features: NDArray[np.float32], random_state: int) -> Floats:
    """(n, 2) first two principal components, spread 1e-4 wide; noise of that width where features do not vary."""
    from openTSNE.initialization import pca, random

    wide = np.asarray(features, dtype=np.float64)
    if not np.ptp(wide, axis=0).any():
        return np.asarray(random(len(wide), 2, random_state=random_state), dtype=np.float64)
    if wide.shape[1] == 1:
        wide = np.column_stack([wide, np.zeros(len(wide))])
    return np.asarray(pca(wide, n_components=2, random_state=random_state), dtype=np.float64)
