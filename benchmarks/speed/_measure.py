"""Timing in turns, so that whatever else the machine does falls on all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Times:
    """Seconds of each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return float(np.median(self.rounds))

    def __mul__(self, factor: float) -> Times:
        """What was measured on a part, scaled up."""
        return Times(tuple(seconds * factor for seconds in self.rounds))

    def __add__(self, other: Times) -> Times:
        return Times(tuple(a + b for a, b in zip(self.rounds, other.rounds, strict=True)))


def in_turns(functions: Sequence[Callable[[], object]], repeats: int = 7) -> list[Times]:
    """Times of each, run in turns and in both orders; one round first to warm up."""
    taken: list[list[float]] = [[] for _ in functions]
    pairs = list(zip(functions, taken, strict=True))
    for round_number in range(repeats + 1):
        for function, found in pairs if round_number % 2 else reversed(pairs):
            start = time.perf_counter()
            function()
            if round_number:
                found.append(time.perf_counter() - start)
    return [Times(tuple(found)) for found in taken]


def row(operation: str, size: str, ours: Times | float, peer: str, other: Times | float, target: str) -> dict[str, Any]:
    """One comparison: against a peer, how many times faster; against a limit ("<= ..."), how many times slower.

    Times and ratio are medians over rounds; `spread` are the quartiles of the ratio over rounds, None of a single one.
    """
    ours_s, peer_s = (value.median if isinstance(value, Times) else value for value in (ours, other))
    found = ratios(ours, other, limit=target.startswith("<="))
    return {
        "operation": operation,
        "size": size,
        "ours_s": ours_s,
        "peer": peer,
        "peer_s": peer_s,
        "ratio": float(np.median(found)),
        "spread": None if len(found) == 1 else tuple(map(float, np.quantile(found, [0.25, 0.75]))),
        "target": target,
    }


def ratios(ours: Times | float, other: Times | float, *, limit: bool) -> NDArray[np.float64]:
    """(rounds,) the ratio of each round; to the median of the other where it has fewer or more rounds."""
    mine, theirs = (np.array(value.rounds if isinstance(value, Times) else [value]) for value in (ours, other))
    if len(mine) != len(theirs):
        theirs = np.median(theirs)
    return np.asarray(mine / theirs if limit else theirs / mine)
