"""Every example runs and writes its report."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tests.commands import as_a_process

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with as_a_process(tmp_path, [str(script), str(tmp_path / "report")]):
        runpy.run_path(str(script), run_name="__main__")
    assert (tmp_path / "report" / "report.html").stat().st_size > 10_000
    assert "report:" in capsys.readouterr().out
