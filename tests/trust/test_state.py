"""What a process and its user own is as it was after public functions, also where they refuse or are interrupted."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.trust import calls, state

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
# The others are tried by `python -m tests.trust.state`.
QUICK = (
    "BalancedSVM",
    "Run.from_arrays",
    "Decision.predict",
    "treat",
    "merge",
    "archetypes",
    "find_head",
    "build_loss",
)


@pytest.mark.parametrize("name", QUICK)
def test_a_call_leaves_all_as_it_was(name: str) -> None:
    assert not state.trials(name, interrupts=1)


def test_a_change_is_found() -> None:
    import numpy as np

    before = state.portrait()
    kept = np.random.get_state()
    np.random.random()
    assert state.changes(before, state.portrait()) == ["numpy's random state"]
    np.random.set_state(kept)


def test_every_documented_function_is_called() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    called = " ".join(calls.CALLS)
    for path in re.findall(r"^::: (imblens\.\S+)", pages, re.MULTILINE):
        room, name = path.rsplit(".", 1)
        if room.count(".") == 1 and inspect.isfunction(getattr(import_module(room), name, None)):
            assert re.search(rf"(?<!\w){name}(?!\w)", called), name
