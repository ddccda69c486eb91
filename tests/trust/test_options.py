"""Every odd value of the table is served or refused as the table states."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trust.options import cases, defects


@pytest.mark.parametrize(("entry", "argument"), cases())
def test_odd_values(entry: str, argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not defects(entry, argument)
