"""A benchmark that misses its target ends with exit code 1."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import scale
from benchmarks.memory import commands

WITHIN = {"seconds": 60.0, "processor": 60.0, "gib": 3.0, "table_mb": 10.0, "report_mb": 3.0, "recall": 0.99}


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ({}, 0),
        ({"recall": None}, 0),
        ({"gib": 6.1}, 1),
        ({"seconds": 1860.0}, 1),
        ({"recall": 0.9}, 1),
        ({"report_mb": 11.0}, 1),
    ],
)
def test_an_audit_that_misses_a_target_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: dict[str, float], code: int
) -> None:
    monkeypatch.setattr("sys.argv", ["scale", "--keep", str(tmp_path)])
    monkeypatch.setattr(scale, "make", lambda *_: None)
    monkeypatch.setattr(scale, "audited", lambda *_: WITHIN | found)
    assert scale.main() == code


@pytest.mark.parametrize(("gib", "code"), [(5.9, 0), (6.1, 1)])
def test_a_command_that_takes_too_much_memory_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gib: float, code: int
) -> None:
    monkeypatch.setattr("sys.argv", ["commands", "--keep", str(tmp_path), "gate"])
    monkeypatch.setattr(commands, "make", lambda *_: None)
    monkeypatch.setattr(commands, "measured", lambda *_: scale.verdict(gib, commands.LIMIT_GIB, "GiB"))
    assert commands.main() == code


def test_the_target_of_make_runs_both() -> None:
    lines = (Path(__file__).parents[1] / "Makefile").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("bench-scale:"))
    assert "benchmarks.scale;" in lines[start + 1] and "benchmarks.memory.commands" in lines[start + 1]
