"""Timing in turns, so that whatever else the machine does falls on all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any


def in_turns(functions: Sequence[Callable[[], object]], repeats: int = 7) -> list[float]:
    """Seconds of the fastest run of each, the one that others disturbed least; one round first to warm up."""
    taken: list[list[float]] = [[] for _ in functions]
    for round_number in range(repeats + 1):
        for function, found in zip(functions, taken, strict=True):
            start = time.perf_counter()
            function()
            if round_number:
                found.append(time.perf_counter() - start)
    return [min(found) for found in taken]


def row(operation: str, size: str, ours_s: float, peer: str, peer_s: float, target: str) -> dict[str, Any]:
    """One comparison: against a peer, how many times faster; against a limit ("<= ..."), how many times slower."""
    ratio = ours_s / peer_s if target.startswith("<=") else peer_s / ours_s
    return {
        "operation": operation,
        "size": size,
        "ours_s": ours_s,
        "peer": peer,
        "peer_s": peer_s,
        "ratio": ratio,
        "target": target,
    }
