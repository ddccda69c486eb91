"""The k nearest other instances of every instance: exact, in bounded memory, near the cost of one matrix product or below.

With |a - b|^2 = |a|^2 + |b|^2 - 2 ab, a float32 matrix product ranks many columns for a block of rows at once, but not
exactly. So the product is made to give a *lower bound*: norms are shortened by the error it can have. What was found so
far gives each row a threshold that no true neighbour can exceed. The few columns below it are measured in float64 by
direct differences and sorted. What comes out does not depend on the rounding of the product, and so neither on threads
nor on the machine. Rows for which the bound is too loose (clusters that are tiny beside the spread of all) go through the
same steps in float64.

Rows lie in cells, found by k-means on a sample. A block of rows is multiplied with its own cell first, then with those
nearby, and at last with those that a bound from geometry cannot exclude: where classes are clusters, a few per cent of
all pairs; where features have no structure, all of them.

FAISS's flat index multiplies all pairs, and its distances would have to be checked all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imblens.base.arguments import checked
from imblens.base.wording import in_one_line
from imblens.errors import DependencyError, InputError, ShapeError
from imblens.run._exact import Progress, search, sorted_pairs
from imblens.run._rules import NEIGHBOURS
from imblens.run._space import Indices, Matrix, Space, Wide, pieces

APPROXIMATE_ABOVE = 300_000  # instances; exact search is quadratic
RECALL_SAMPLE = 1_000
Approximate = bool | Literal["cuvs"] | None


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


@checked(approximate=NEIGHBOURS["approximate"])
def neighbour_graph(
    features: NDArray[Any], k: int, *, approximate: Approximate = None, progress: Progress | None = None
) -> NeighbourGraph:
    """Find the k nearest other instances of every instance by Euclidean distance.

    An instance is never its own neighbour, by index; a copy of it is one, at distance 0. Squared distances are compared
    in float64, equal ones ordered by index. The result does not depend on the number of threads.

    Args:
        features: (N, D) finite numbers, in memory or memory-mapped.
        k: neighbours wanted, at least 1; where N - 1 or more are asked for, every other instance is returned.
        approximate: True searches with pynndescent (faster beyond some 100,000 instances) and measures the recall on
            1,000 instances; False never does; None does above 300,000 instances where pynndescent is installed.
            "cuvs" takes what is measured from NVIDIA's cuVS on a GPU, which may differ from call to call.
            Few distinct instances (up to 1,000, or 8 k) are always searched exactly.
        progress: called every few seconds with a line of text, which states the time left of an exact search.

    Raises:
        ShapeError: features are not a matrix with rows and columns.
        InputError: features are not finite numbers, k < 1, or `approximate` is something else; or cuVS fails.
        DependencyError: approximate=True without pynndescent, or "cuvs" without cuVS.

    Example:
        >>> graph = neighbour_graph(np.array([[0.0], [1.0], [3.0], [3.0]]), k=2)
        >>> graph.indices.tolist()
        [[1, 2], [0, 2], [3, 1], [2, 1]]
        >>> graph.distances[2].tolist()
        [0.0, 2.0]
    """
    matrix = _checked(features, "features", k)
    propose: Callable[[NDArray[np.float32], int], Indices] = _proposals
    if approximate == "cuvs":
        propose = partial(_proposals_of_cuvs, _cuvs())
    elif approximate and not _has_pynndescent():
        raise DependencyError(
            "approximate neighbours need pynndescent, which is not installed.",
            hint="Run `pip install 'imblens[approximate]'`, or ask for exact neighbours.",
        )
    if approximate is None:
        approximate = len(matrix) > APPROXIMATE_ABOVE and _has_pynndescent()
        if len(matrix) > APPROXIMATE_ABOVE and not approximate and progress is not None:
            progress(
                f"neighbours of {len(matrix):,} instances are searched exactly: pynndescent is not installed, which "
                "searches so many approximately (pip install 'imblens[approximate]')"
            )
    k = min(k, len(matrix) - 1)
    if k == 0:
        return NeighbourGraph(np.empty((1, 0), np.int64), np.empty((1, 0)))
    space = Space.of(matrix)
    if approximate and len(space.base) > max(1_000, 8 * (k + 1)):
        if progress is not None:
            progress(f"approximate neighbours of {len(matrix):,} instances; the time left of this search is not known")
        found, squared = _descend(space, k + 1, propose)
    else:
        approximate = False
        found, squared = search(space, space.base, k + 1, progress)
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
        queries: (M, D) finite numbers; one that is also in `base` finds itself there, at distance 0.
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
    space = Space.of(known, asked)
    indices, squared = space.expand(*search(space, space.shifted(asked), k), k)
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


def _without_self(found: Indices, squared: Wide, own: Indices) -> tuple[Indices, Wide]:
    """Drop each instance from its own k + 1 nearest; where it is not among them (many copies), drop the last.

    Both arrays are overwritten: a second copy of them would be the most memory that a search takes.
    """
    assert found.flags.c_contiguous and squared.flags.c_contiguous
    n, k = found.shape
    for rows in pieces(n, 4 * k):
        itself = found[rows] == own[rows, None]
        itself[~itself.any(axis=1), -1] = True
        for values in (found, squared):  # rows move to the front, never beyond what was read
            values.reshape(-1)[rows.start * (k - 1) : rows.stop * (k - 1)] = values[rows][~itself]
    size, shape = n * (k - 1), (n, k - 1)
    return found.reshape(-1)[:size].reshape(shape), squared.reshape(-1)[:size].reshape(shape)


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


def _cuvs() -> Any:
    """The part of NVIDIA's cuVS that finds neighbours of all rows at once."""
    try:
        from cuvs.neighbors import nn_descent
    except (ImportError, OSError, RuntimeError) as error:  # not there, or without the libraries or the driver of CUDA
        raise DependencyError(
            f"approximate='cuvs' needs NVIDIA's cuVS, which cannot be imported: {in_one_line(error)}.",
            hint="Install it as its documentation states for your version of CUDA, or give approximate=True.",
        ) from error
    return nn_descent


def _proposals_of_cuvs(nn_descent: Any, scaled: NDArray[np.float32], k: int) -> Indices:
    """(U, 2 k) about the nearest rows of every row, from a GPU; -1 where fewer were found. Another call may find others."""
    options = {"metric": "sqeuclidean", "graph_degree": 2 * k, "intermediate_graph_degree": 3 * k}
    try:
        graph = nn_descent.build(nn_descent.IndexParams(**options), scaled).graph
    except Exception as error:  # of cuVS, of CUDA, of the memory of the GPU
        raise InputError(
            f"cuVS failed: {in_one_line(error)}.", hint="Give approximate=True or approximate=False instead."
        ) from error
    found = np.asarray(graph).astype(np.int64)
    found[found >= len(scaled)] = -1  # 2^32 - 1
    return found


def _descend(space: Space, k: int, propose: Callable[[NDArray[np.float32], int], Indices]) -> tuple[Indices, Wide]:
    """About the k nearest distinct rows (the row itself first) of every distinct row; their distances are true."""
    scaled = np.empty(space.base.shape, np.float32)
    for rows in pieces(*space.base.shape):
        scaled[rows] = (space.base[rows] - space.centre) * space.unit
    proposed = propose(scaled, k)
    indices, squared = np.empty((len(scaled), k), np.int64), np.empty((len(scaled), k))
    short = []
    for rows in pieces(len(scaled), 4 * proposed.shape[1]):
        own = np.arange(rows.start, rows.stop)
        candidates = np.sort(np.column_stack([proposed[rows], own]), axis=1)  # itself, proposed or not
        usable = candidates >= 0
        usable[:, 1:] &= candidates[:, 1:] != candidates[:, :-1]
        enough = usable.sum(axis=1) >= k
        short.append(own[~enough])
        row, place = np.nonzero(usable[enough])
        indices[own[enough]], squared[own[enough]] = sorted_pairs(
            space.base[own[enough]], space.base, row, candidates[enough][row, place], k
        )
    rest = np.concatenate(short)
    if rest.size:
        indices[rest], squared[rest] = search(space, space.base[rest], k)
    return indices, squared


def _recall(space: Space, indices: Indices) -> float:
    """Share of the true nearest others of a sample of instances that `indices` holds."""
    n_instances, k = indices.shape
    sample = np.random.default_rng(0).choice(n_instances, min(RECALL_SAMPLE, n_instances), replace=False)
    found = space.expand(*search(space, space.base[space.group[sample]], k + 1), k + 1)
    true, _ = _without_self(*found, sample)
    return float((true[:, :, None] == indices[sample][:, None, :]).any(axis=2).mean())
