"""How long a person waits for the first answer of the command line: whole processes, in turns."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.speed._measure import in_turns, row

MAIN = "import sys; sys.argv[0] = 'imblens'; from imblens.cli import main; main()"
COMMANDS = (["--help"], ["audit", "--help"], ["list", "lenses"], ["audti"])
LIMIT_S = 0.3


def rows() -> Iterator[dict[str, Any]]:
    """The help, a list and a usage error; beside them the limit, an empty Python, and one that imports torch."""
    empty, torch, *ours = in_turns([process("-c", ""), process("-c", "import torch")] + [run(c) for c in COMMANDS])
    for words, mine in zip(COMMANDS, ours, strict=True):
        name = f"start-up: imblens {' '.join(words)}"
        if words == COMMANDS[0]:
            yield row(name, "whole process", mine, "limit of 0.3 s", LIMIT_S, "<= 1")
        yield row(name, "whole process", mine, "empty Python (limit)", empty, "<= -")
        yield row(name, "whole process", mine, "import torch", torch, "-")


def run(words: list[str]) -> Callable[[], object]:
    """The command line with these words."""
    return process("-c", MAIN, *words)


def process(*words: str) -> Callable[[], object]:
    """A Python process with these words, from start to end."""
    return lambda: subprocess.run([sys.executable, *words], capture_output=True, check=False)
