"""Inputs on which a reader once failed with another library's message: each is read, or refused by imblens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trust.fuzz import READERS, fault

CRASHES = sorted((Path(__file__).parent / "results").glob("fuzz-*.bin"))


@pytest.mark.parametrize("path", CRASHES, ids=lambda path: path.stem)
def test_a_crash_stays_fixed(path: Path) -> None:
    reader = path.stem.removeprefix("fuzz-").rsplit("-", 1)[0]
    if reader == "weights":
        pytest.importorskip("torch")
    assert fault(READERS[reader], path.read_bytes()) is None


def test_there_are_crashes_to_try() -> None:
    assert CRASHES
