"""Nearest neighbours one pair at a time: every squared distance summed exactly, then sorted by (distance, index)."""

from __future__ import annotations

import math

import numpy as np


def brute_force(base, queries, k, *, own=None):
    """Indices and distances of the k nearest of `base`; `own[i]` is left out for query i."""
    base, queries = np.asarray(base, dtype=np.float64), np.asarray(queries, dtype=np.float64)
    indices, distances = [], []
    for i, query in enumerate(queries):
        ranked = []
        for j, row in enumerate(base):
            if own is None or own[i] != j:
                ranked.append((math.fsum(((query - row) ** 2).tolist()), j))
        ranked.sort()
        indices.append([j for _, j in ranked[:k]])
        distances.append([math.sqrt(d) for d, _ in ranked[:k]])
    return np.array(indices, dtype=np.int64), np.array(distances)


def brute_graph(features, k):
    """The k nearest others of every instance."""
    return brute_force(features, features, k, own=range(len(features)))
