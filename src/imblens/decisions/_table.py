"""Decisions as columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """Decisions about n instances as arrays.

    Attributes:
        probability: (n, C) calibrated.
        predicted: (n,) class that the rules predict; in multi-label data (n, C).
        sets: (n, C) which classes are in the prediction set.
        abstain: (n,) whether the instance should be sent to a person.
        distance, distance_rank: (n,) see `Decision.predict`; None without features or in multi-label data.
    """

    probability: Floats
    predicted: NDArray[Any]
    sets: NDArray[np.bool_]
    abstain: NDArray[np.bool_]
    distance: Floats | None = None
    distance_rank: Floats | None = None


def columns_of(found: Outcome, classes: Sequence[str]) -> dict[str, pa.Array]:
    """Arrow columns of one block; see `Decision.predict`."""
    names = pa.array(list(classes), pa.string())
    n = len(found.abstain)
    columns: dict[str, Any] = {}
    if found.predicted.ndim == 2:
        flat = pa.array(np.ascontiguousarray(found.probability, dtype=np.float32).ravel())
        columns["prediction"] = _lists(found.predicted, names)
        columns["probability"] = pa.ListArray.from_arrays(_offsets(np.full(n, len(classes))), flat)
    else:
        rows = np.arange(n)
        others = found.probability.copy()
        others[rows, found.predicted] = -1.0
        second = others.argmax(axis=1)
        columns["prediction"] = names.take(pa.array(found.predicted))
        columns["probability"] = pa.array(found.probability[rows, found.predicted])
        columns["confusion"] = names.take(pa.array(second))
        columns["confusion_probability"] = pa.array(others[rows, second])
    columns["set"] = _lists(found.sets, names)
    columns["set_size"] = pa.array(found.sets.sum(axis=1, dtype=np.int32))
    columns["abstain"] = pa.array(found.abstain)
    if found.predicted.ndim == 1:
        for name in ("distance", "distance_rank"):
            values = getattr(found, name)
            columns[name] = pa.array(np.full(n, np.nan) if values is None else values)
    return columns


def _lists(member: NDArray[np.bool_], names: pa.Array) -> pa.Array:
    """(n, C) membership as lists of names."""
    return pa.ListArray.from_arrays(_offsets(member.sum(axis=1)), names.take(pa.array(np.nonzero(member)[1])))


def _offsets(sizes: NDArray[np.int64]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32))
