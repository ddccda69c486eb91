"""Instances that represent others: medoids."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks

MEDOID_SAMPLE = 10_000  # a larger cell is represented by an instance among this many drawn ones
FEW_POINTS = 64  # up to which all distances are computed directly
MEDOIDS_SAMPLE = 2_000  # the same where several are sought, which takes all distances at once


def medoids(features: NDArray[Any], rows: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At most `most` rows to which the others lie near (least summed Euclidean distance), and how many rows each stands for.

    Found by FasterPAM from the greedy start of PAM. Copies of an instance are represented once; of fewer distinct instances
    than asked for, all are returned.

    Args:
        features: (N, D).
        rows: positions to choose from, ascending; above 2,000 a fixed draw of 2,000 of them is chosen from.
        most: 1 or more.

    Returns:
        Rows, and for each the number of `rows` nearest to it; most first, of equal ones the first row first.

    Example:
        >>> medoids(np.array([[0.0], [0.2], [0.1], [5.0], [5.1]]), np.arange(5), 2)
        (array([2, 3]), array([3, 2]))
    """
    import kmedoids
    from scipy.spatial.distance import cdist

    points = np.asarray(features[rows], dtype=np.float64)
    drawn = np.arange(len(rows))
    if len(rows) > MEDOIDS_SAMPLE:
        drawn = np.sort(np.random.default_rng(0).choice(len(rows), MEDOIDS_SAMPLE, replace=False))
    _, first = np.unique(points[drawn], axis=0, return_index=True)
    if len(first) <= most:
        chosen = drawn[np.sort(first)]
    else:
        distances = cdist(points[drawn], points[drawn])
        found = kmedoids.fasterpam(distances, most, init="build", random_state=0, n_cpu=1)
        chosen = drawn[np.unique(found.medoids.astype(np.int64))]
    counts = np.bincount(cdist(points, points[chosen]).argmin(axis=1), minlength=len(chosen))
    order = np.argsort(-counts, kind="stable")
    return rows[chosen[order]], counts[order]


def medoid(features: NDArray[Any], rows: NDArray[np.int64]) -> int:
    """The row of least summed Euclidean distance to the other rows; of sums equal to 12 digits the first.

    All sums come from a matrix product, whose error is bounded; those that could be least are summed again directly.

    Args:
        features: (N, D).
        rows: positions to choose from, ascending; above 10,000 a fixed draw of 10,000 of them stands for all.

    Example:
        >>> medoid(np.array([[0.0], [1.0], [5.0]]), np.arange(3))
        1
    """
    if len(rows) <= 2:  # both have the same sum
        return int(rows[0])
    from scipy.spatial.distance import cdist

    if len(rows) > MEDOID_SAMPLE:
        rows = np.sort(np.random.default_rng(0).choice(rows, MEDOID_SAMPLE, replace=False))
    points = np.asarray(features[rows], dtype=np.float64)
    points -= points.mean(axis=0)
    if len(rows) <= FEW_POINTS:
        sums = cdist(points, points).sum(axis=1)
        return int(rows[np.argmax(sums <= sums.min() * (1 + 1e-12))])
    squares = np.einsum("nd,nd->n", points, points)
    rough = np.empty(len(points))
    for part in row_blocks(len(points), len(points)):
        squared = points[part] @ (-2 * points.T)
        squared += squares
        squared += squares[part, None]
        rough[part] = np.sqrt(np.maximum(squared, 0, out=squared), out=squared).sum(axis=1)
    lengths = np.sqrt(squares)
    error = np.sqrt(4 * (points.shape[1] + 8) * 2.0**-53) * (len(points) * lengths + lengths.sum())
    possible = np.flatnonzero(rough - error <= (rough + error).min())
    _, first = np.unique(points[possible], axis=0, return_index=True)  # copies have equal sums
    possible = possible[np.sort(first)]
    sums = np.concatenate(
        [cdist(points[possible[part]], points).sum(axis=1) for part in row_blocks(len(possible), len(rows))]
    )
    return int(rows[possible[np.argmax(sums <= sums.min() * (1 + 1e-12))]])
