"""The exact neighbour graph: against scikit-learn, FAISS, and the limit of one matrix product.

The limit is the product of all features with all features, in blocks: no exact search without an index does less.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from benchmarks.speed._measure import in_turns, row
from imblens.run import neighbour_graph

K = 5
SIZES = ((12_406, 64, 7), (12_406, 512, 3), (50_000, 64, 2))  # instances, features, repeats
PART = 10_000  # instances of a large set whose neighbours the others search, scaled up


def rows() -> Iterator[dict[str, Any]]:
    """Give one row per size and rival."""
    for n, dim, repeats in SIZES:
        yield from compare(n, dim, repeats)


def compare(n: int, dim: int, repeats: int) -> list[dict[str, Any]]:
    """Measure one size."""
    features = clusters(n, dim)
    found = exact_graph(features)
    reference = NearestNeighbors(n_neighbors=K).fit(features).kneighbors(return_distance=False)
    assert (found == reference).mean() > 0.999  # theirs may differ in the last digits of a distance

    def ours() -> None:
        exact_graph(features)

    def scikit_learn() -> None:
        NearestNeighbors(n_neighbors=K).fit(features).kneighbors()

    def faiss_flat() -> None:
        import faiss

        index = faiss.IndexFlatL2(dim)
        index.add(features)
        index.search(features, K + 1)

    block = np.empty((1024, n), np.float32)

    def product() -> None:
        for start in range(0, n, 1024):
            rows = features[start : start + 1024]
            np.matmul(rows, features.T, out=block[: len(rows)])

    mine, theirs, flat, limit = in_turns([ours, scikit_learn, faiss_flat, product], repeats)
    name, size = "exact neighbour graph, K = 5", f"{n:,} x {dim}"
    return [
        row(name, size, mine, "scikit-learn NearestNeighbors", theirs, ">= 2"),
        row(name, size, mine, "FAISS IndexFlatL2", flat, "-"),
        row(name, size, mine, "matrix product (limit)", limit, "<= 1.5"),
    ]


def compare_large(n: int, dim: int, repeats: int) -> list[dict[str, Any]]:
    """The same where all pairs take the others too long: they search for `PART` of the instances, scaled up."""
    features = clusters(n, dim)
    some = np.random.default_rng(1).choice(n, PART, replace=False)
    queries = features[some]
    found: list[Any] = [None, None]

    def ours() -> None:
        found[0] = exact_graph(features)[some]

    def scikit_learn() -> None:
        nearest = NearestNeighbors(n_neighbors=K + 1).fit(features).kneighbors(queries, return_distance=False)
        found[1] = nearest[:, 1:]  # the first is the instance

    def product() -> None:
        for start in range(0, PART, 1024):
            np.matmul(queries[start : start + 1024], features.T)

    (mine,) = in_turns([ours], repeats)
    theirs, limit = (times * (n / PART) for times in in_turns([scikit_learn, product], repeats))
    assert (found[0] == found[1]).mean() > 0.999
    name, size = "exact neighbour graph, K = 5", f"{n:,} x {dim}"
    return [
        row(name, size, mine, f"scikit-learn NearestNeighbors, {PART:,} instances scaled up", theirs, ">= 2"),
        row(name, size, mine, f"matrix product (limit), {PART:,} instances scaled up", limit, "<= 1.5"),
    ]


def exact_graph(features: NDArray[Any]) -> NDArray[np.int64]:
    """Neighbours (n, K); by default so many instances as the largest set has are searched approximately."""
    graph = neighbour_graph(features, K, approximate=False)
    assert graph.exact
    return graph.indices


def clusters(n: int, dim: int) -> NDArray[np.float32]:
    """Rectified features in ten overlapping classes, as a network's last layer has them."""
    rng = np.random.default_rng(0)
    middles = np.maximum(rng.normal(size=(10, dim)), 0) * 2
    return np.maximum(middles[rng.integers(10, size=n)] + rng.normal(size=(n, dim)), 0).astype(np.float32)
