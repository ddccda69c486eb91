"""Array helpers that many rooms need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def divide(above: Any, below: Any, *, otherwise: float = np.nan) -> NDArray[np.float64]:
    """Return above / below, and `otherwise` where below is not positive: undefined is not 0.

    Args:
        above, below: arrays that broadcast against each other.
        otherwise: the value there; NaN unless an empty share has a meaning.

    Example:
        >>> divide(np.array([1, 2]), np.array([4, 0]))
        array([0.25,  nan])
    """
    above, below = np.asarray(above), np.asarray(below)
    out = np.full(np.broadcast_shapes(above.shape, below.shape), otherwise, dtype=np.float64)
    return np.divide(above, below, out=out, where=below > 0)


def imbalance(class_counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(C,) count of the largest class over the count of each; NaN for a class without instances.

    Example:
        >>> imbalance(np.array([100, 10, 0]))
        array([ 1., 10., nan])
    """
    return divide(np.max(class_counts), class_counts)


def place_in_group(sizes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """(n,) place of each instance in its group from 0, for instances in order of their groups, which have these sizes.

    Example:
        >>> place_in_group(np.array([2, 0, 3]))
        array([0, 1, 0, 1, 2])
    """
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def some_rows(rows: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return at most so many of the rows, drawn without replacement, in order.

    Example:
        >>> some_rows(np.arange(3), 5, np.random.default_rng(0))
        array([0, 1, 2])
    """
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def numbered(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Number values of any sortable kind by their sorted order.

    Args:
        values: (N,).

    Returns:
        (N,) numbers from 0, and the sorted distinct values.

    Example:
        >>> numbered(np.array(["b", "a", "b"]))
        (array([1, 0, 1]), array(['a', 'b'], dtype='<U1'))
    """
    distinct, places = np.unique(values, return_inverse=True)
    return places.reshape(-1).astype(np.int64), distinct
