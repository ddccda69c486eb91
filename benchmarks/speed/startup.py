"""How long a person waits for the first answer of the command line: whole processes, best of several."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

MAIN = "import sys; sys.argv[0] = 'imblens'; from imblens.cli import main; main()"
TIMES = 7


def rows() -> Iterator[dict[str, Any]]:
    """The help, a list and a usage error; beside them an empty Python, and one that imports torch."""
    empty, torch = best("-c", ""), best("-c", "import torch")
    for words, target in (
        (["--help"], "<= 0.3 s"),
        (["audit", "--help"], "-"),
        (["list", "lenses"], "-"),
        (["audti"], "-"),
    ):
        ours = best("-c", MAIN, *words)
        for peer, seconds in (("empty Python (limit)", empty), ("import torch", torch)):
            yield {
                "operation": f"start-up: imblens {' '.join(words)}",
                "size": "whole process",
                "ours_s": ours,
                "peer": peer,
                "peer_s": seconds,
                "ratio": ours / seconds if "limit" in peer else seconds / ours,
                "target": target,
            }


def best(*words: str) -> float:
    """The fastest of several starts, the first left out: it fills caches."""
    taken = []
    for _ in range(TIMES + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], capture_output=True, check=False)
        taken.append(time.perf_counter() - start)
    return min(taken[1:])
