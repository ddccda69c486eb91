"""The k nearest other instances of every instance: exact, ties and duplicates included, at the speed of FAISS.

FAISS computes squared distances as |x|^2 + |y|^2 - 2 x.y in float32: fast, but blurred where two instances are close to
each other and far from the origin. So it only proposes candidates, on centred features. Their distances are computed anew
as sums of squared differences in float64, and a row counts as done when rounding cannot have hidden a nearer instance.
The other rows (ties, near-ties, tight clusters) take every instance within the rounding of float64. Equal rows are
collapsed before and spread out after, or a thousand copies of one picture would hide everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.errors import DependencyError, InputError

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]
APPROXIMATE_ABOVE = 300_000
RECALL_SAMPLE = 1_000
SLACK = 6  # candidates beyond k that FAISS proposes
BLOCK_NUMBERS = 2**21  # numbers in one working block of float64


@dataclass(frozen=True)
class NeighbourGraph:
    """The nearest other instances of each instance.

    Attributes:
        indices: (N, k) positions, nearest first; of equal distances the lower position first.
        distances: (N, k) Euclidean, float64.
        exact: whether these are the true neighbours.
        recall: where they are approximate, the share of true neighbours found, on a sample.
    """

    indices: Indices
    distances: NDArray[np.float64]
    exact: bool = True
    recall: float | None = None

    @property
    def k(self) -> int:
        """Neighbours of each instance."""
        return int(self.indices.shape[1])

    def first(self, k: int) -> NeighbourGraph:
        """The k nearest of them."""
        return NeighbourGraph(self.indices[:, :k], self.distances[:, :k], self.exact, self.recall)


def neighbour_graph(features: NDArray[Any], k: int, *, approximate: bool | None = None) -> NeighbourGraph:
    """The k nearest OTHER instances of each instance, in Euclidean distance.

    An instance is left out of its own neighbours by position, so a duplicate is a neighbour at distance 0. Order is by
    (distance, position): the result does not depend on threads or on how FAISS breaks ties.

    Args:
        features: (N, D), finite.
        k: 1 or more; at most N - 1 are returned.
        approximate: True for pynndescent (needs `pip install 'imblens[approximate]'`), False for exact; None takes exact up to
            300,000 instances, and above that pynndescent where it is installed.

    Returns:
        The graph; an approximate one tells its recall on a sample of 1,000 instances.

    Raises:
        InputError: k is less than 1.
        DependencyError: approximate neighbours were asked for and pynndescent is not installed.

    Example:
        >>> neighbour_graph(np.array([[0.0], [1.0], [1.0], [5.0]]), 2).indices.tolist()
        [[1, 2], [2, 0], [1, 0], [1, 2]]
    """
    if k < 1:
        raise InputError(f"k={k} neighbours were asked for.", hint="Ask for 1 or more.")
    k = min(k, len(features) - 1)
    if k == 0:
        return NeighbourGraph(np.zeros((len(features), 0), np.int64), np.zeros((len(features), 0)))
    if approximate is None:
        approximate = len(features) > APPROXIMATE_ABOVE and _has_pynndescent()
    if approximate:
        return _approximate(features, k)
    unique, group = _collapse(features)
    if len(unique) == len(features):
        indices, distances = _search(features, np.arange(len(features)), k)
        return NeighbourGraph(indices, distances)
    reach = min(k, len(unique) - 1)
    if reach:
        indices, distances = _search(np.ascontiguousarray(features[unique]), np.arange(len(unique)), reach)
    else:
        indices, distances = np.zeros((1, 0), np.int64), np.zeros((1, 0))
    return NeighbourGraph(*_spread(indices, distances, group, k))


def nearest(base: NDArray[Any], queries: NDArray[Any], k: int) -> tuple[Indices, NDArray[np.float64]]:
    """The k nearest of `base` to each query, exact, by (distance, position).

    Args:
        base: (N, D), finite.
        queries: (M, D), finite.
        k: 1 or more; at most N are returned.

    Returns:
        Positions in `base` (M, k) and Euclidean distances (M, k).
    """
    return _search(base, None, min(k, len(base)), queries=queries)


# ----------------------------------------------------------------------------------------------------------- searching


def _search(
    base: NDArray[Any], own: Indices | None, k: int, *, queries: NDArray[Any] | None = None
) -> tuple[Indices, NDArray[np.float64]]:
    """Exact k nearest of `base`; `own` holds each query's position in `base`, which is left out (None: nothing is)."""
    import faiss

    if queries is None:
        queries = base
    centred, asked, scale = _centred(base, queries)
    n_candidates = min(len(base), k + SLACK + (own is not None))
    index = faiss.IndexFlatL2(centred.shape[1])
    index.add(centred)
    rough, candidates = index.search(asked, n_candidates)  # (M, n_candidates)
    indices = np.empty((len(queries), k), np.int64)
    distances = np.empty((len(queries), k))
    for rows in _blocks(len(queries), n_candidates * base.shape[1]):
        found = np.sort(candidates[rows], axis=1)  # by position, so that a stable sort breaks ties by it
        squared = _squared(base, queries[rows, None], found)
        if own is not None:
            squared[found == own[rows, None]] = np.inf
        order = np.argsort(squared, axis=1, kind="stable")[:, :k]
        indices[rows] = np.take_along_axis(found, order, axis=1)
        distances[rows] = np.sqrt(np.take_along_axis(squared, order, axis=1))
    if n_candidates < len(base):
        length = np.linalg.norm(asked.astype(np.float64), axis=1)
        last = np.maximum(rough[:, -1].astype(np.float64), 0.0)
        hidden = last - _rounding(length, last, base.shape[1], 2.0**-24)  # nothing beyond the candidates is nearer
        redo = np.flatnonzero((distances[:, -1] * scale) ** 2 >= hidden)
        if redo.size:
            left_out = None if own is None else own[redo]
            indices[redo], distances[redo] = _within_rounding(base, queries[redo], left_out, k)
    return indices, distances


def _within_rounding(
    base: NDArray[Any], queries: NDArray[Any], own: Indices | None, k: int
) -> tuple[Indices, NDArray[np.float64]]:
    """Exact k nearest from every instance that the rounding of float64 leaves possible, however many there are."""
    wide = np.asarray(base, dtype=np.float64)
    centre = wide.mean(axis=0)
    wide = wide - centre
    norms = np.einsum("nd,nd->n", wide, wide)
    indices = np.empty((len(queries), k), np.int64)
    distances = np.empty((len(queries), k))
    for rows in _blocks(len(queries), 4 * len(base)):
        asked = np.asarray(queries[rows], dtype=np.float64) - centre
        length = np.linalg.norm(asked, axis=1)
        rough = norms + (length**2)[:, None] - 2 * (asked @ wide.T)  # (m, N)
        if own is not None:
            rough[np.arange(len(asked)), own[rows]] = np.inf
        reached = np.maximum(np.partition(rough, k - 1, axis=1)[:, k - 1], 0.0)
        limit = reached + 2 * _rounding(length, reached, base.shape[1], 2.0**-53)
        at, found = np.nonzero(rough <= limit[:, None])
        squared = np.empty(len(at))
        for pairs in _blocks(len(at), base.shape[1]):
            squared[pairs] = _squared(base, queries[rows][at[pairs]], found[pairs])
        order = np.lexsort((found, squared, at))
        start = np.searchsorted(at[order], np.arange(len(asked)))
        take = order[start[:, None] + np.arange(k)]
        indices[rows], distances[rows] = found[take], np.sqrt(squared[take])
    return indices, distances


def _rounding(length: Floats, squared: Floats, dim: int, unit: float) -> Floats:
    """Bound on the error of |x|^2 + |y|^2 - 2 x.y where it matters: for y no farther than `squared` from x, and doubt."""
    other = length + 1.1 * np.sqrt(squared)
    return (2 * dim + 16) * unit * (length + other) ** 2


def _squared(base: NDArray[Any], queries: NDArray[Any], found: Indices) -> NDArray[np.float64]:
    """Squared distances as sums of squared differences in float64."""
    difference = base[found].astype(np.float64) - queries
    return np.einsum("...d,...d->...", difference, difference)


def _centred(base: NDArray[Any], queries: NDArray[Any]) -> tuple[Floats, Floats, float]:
    """Both in float32, centred, and scaled by a power of two so that squares neither vanish nor overflow."""
    centre = np.asarray(base).mean(axis=0, dtype=np.float64)
    low, high = np.min(base, axis=0) - centre, np.max(base, axis=0) - centre
    largest = float(np.maximum(np.abs(low), np.abs(high)).max())
    scale = 1.0 if largest == 0 else float(np.exp2(-np.round(np.log2(largest))))
    moved = [
        np.concatenate([((rows[block] - centre) * scale).astype(np.float32) for block in _blocks(*rows.shape)])
        for rows in ((base,) if queries is base else (base, queries))
    ]
    return moved[0], moved[-1], scale


def _blocks(n_rows: int, numbers_per_row: int) -> Iterator[slice]:
    step = max(1, BLOCK_NUMBERS // max(1, numbers_per_row))
    for low in range(0, n_rows, step):
        yield slice(low, min(low + step, n_rows))


# ------------------------------------------------------------------------------------------------------------ duplicates


def _collapse(features: NDArray[Any]) -> tuple[Indices, Indices]:
    """First position of each distinct row, and for every row the number of its distinct row.

    Rows are told apart by a 64-bit multiplicative hash of their bits; equal hashes are then compared in full.
    """
    kind = np.float32 if features.dtype == np.float32 else np.float64
    rows: NDArray[Any] = np.ascontiguousarray(features, dtype=kind)
    drawn = np.random.default_rng(0).integers(0, 2**63, rows.shape[1], dtype=np.uint64)
    odd = np.asarray(drawn * np.uint64(2) + np.uint64(1))
    hashed = np.empty(len(rows), np.uint64)
    for block in _blocks(*rows.shape):
        bits = (rows[block] + 0.0).view(np.uint32 if rows.dtype == np.float32 else np.uint64)  # -0.0 becomes 0.0
        mixed = bits.astype(np.uint64) * odd
        hashed[block] = ((mixed ^ (mixed >> np.uint64(29))) * odd[::-1]).sum(axis=1, dtype=np.uint64)
    _, unique, group = np.unique(hashed, return_index=True, return_inverse=True)
    if len(unique) < len(rows) and any((rows[b] != rows[unique[group[b]]]).any() for b in _blocks(*rows.shape)):
        _, unique, group = np.unique(rows, axis=0, return_index=True, return_inverse=True)  # two rows share a hash
    order = np.argsort(unique)  # number distinct rows by first position, so that ties keep their order
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return unique[order].astype(np.int64), rank[group.ravel()].astype(np.int64)


def _spread(
    indices: Indices, distances: NDArray[np.float64], group: Indices, k: int
) -> tuple[Indices, NDArray[np.float64]]:
    """From neighbours among distinct rows to neighbours among all rows."""
    members = np.argsort(group, kind="stable")  # by group, then position
    sizes = np.bincount(group)
    first = np.cumsum(sizes) - sizes
    kept = np.minimum(sizes, k + 1)  # more of one group never fit
    n_groups = len(sizes)
    seen = np.concatenate([np.arange(n_groups)[:, None], indices], axis=1)  # (G, 1 + reach): itself first
    far = np.concatenate([np.zeros((n_groups, 1)), distances], axis=1)
    repeats = kept[seen].ravel()
    of = np.repeat(np.repeat(np.arange(n_groups), seen.shape[1]), repeats)
    within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    at = members[np.repeat(first[seen].ravel(), repeats) + within]
    away = np.repeat(far.ravel(), repeats)
    order = np.lexsort((at, away, of))
    start = np.searchsorted(of[order], np.arange(n_groups))
    take = order[start[:, None] + np.arange(k + 1)]  # k neighbours, and perhaps the instance itself
    near, away = at[take][group], away[take][group]  # (N, k + 1)
    itself = near == np.arange(len(group))[:, None]
    itself[~itself.any(axis=1), -1] = True  # not among them: the last one goes
    return near[~itself].reshape(-1, k), away[~itself].reshape(-1, k)


# ----------------------------------------------------------------------------------------------------------- approximate


def _has_pynndescent() -> bool:
    from importlib.util import find_spec

    return find_spec("pynndescent") is not None


def _approximate(features: NDArray[Any], k: int) -> NeighbourGraph:
    if not _has_pynndescent():
        raise DependencyError(
            "approximate neighbours need pynndescent, which is not installed.",
            hint="pip install 'imblens[approximate]', or ask for exact neighbours.",
        )
    from pynndescent import NNDescent

    built = NNDescent(np.asarray(features, np.float32), n_neighbors=k + 1, random_state=0, n_jobs=None)
    found = np.asarray(built.neighbor_graph[0], dtype=np.int64)  # (N, k + 1), itself among them or not
    itself = found == np.arange(len(found))[:, None]
    itself[~itself.any(axis=1), -1] = True
    found = found[~itself].reshape(len(found), k)
    distances = np.empty(found.shape)
    for rows in _blocks(len(found), k * features.shape[1]):
        distances[rows] = np.sqrt(_squared(features, features[rows, None], found[rows]))
    order = np.lexsort((found, distances), axis=1)
    found, distances = np.take_along_axis(found, order, axis=1), np.take_along_axis(distances, order, axis=1)
    sample = np.sort(np.random.default_rng(0).choice(len(found), min(RECALL_SAMPLE, len(found)), replace=False))
    true, _ = _search(features, sample, k, queries=features[sample])
    hits = (found[sample][:, :, None] == true[:, None, :]).any(axis=2)
    return NeighbourGraph(found, distances, exact=False, recall=float(hits.mean()))
