"""Every unusual file of the tables comes to what the tables state."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trust.files import Case, cases, expected, outcome


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.kind}-{case.name}") for case in cases()])
def test_an_unusual_file(case: Case, tmp_path: Path) -> None:
    kind, said = outcome(case, tmp_path)
    assert kind == expected(case), said
