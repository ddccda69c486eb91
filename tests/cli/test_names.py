"""Names of outputs in the last line of a command are free."""

from __future__ import annotations

from pathlib import Path

import pytest

from imblens.cli._names import following, unused


def test_a_name_that_is_taken_is_numbered_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert unused("comparison") == Path("comparison")
    for name in ("comparison", "comparison-2", "more-2.parquet"):
        Path(name).mkdir()
    assert unused("comparison") == unused("comparison-2") == Path("comparison-3")
    assert (unused("more.parquet"), unused("more-2.parquet")) == (Path("more.parquet"), Path("more-3.parquet"))


def test_what_follows_a_run_has_the_next_number_that_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cells", "cells-2", "v1.5"):
        (tmp_path / name).mkdir()
    assert following(tmp_path / "cells") == following(tmp_path / "cells-2") == tmp_path / "cells-3"
    assert following(tmp_path / "v1.5").name == "v1.5-2" and following(tmp_path / "arrays.npz").name == "arrays-2"
    monkeypatch.chdir(tmp_path / "cells-2")
    assert following(Path(".")) == tmp_path / "cells-3"
