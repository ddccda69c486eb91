"""Every awkward input of the table comes to what the table says."""

from __future__ import annotations

import pytest

from tests.trust.inputs import Case, applicable, expected, outcome


@pytest.mark.parametrize(("entry", "case"), [pytest.param(e, c, id=f"{e}-{c.name}") for e, c in applicable()])
def test_awkward_input(entry: str, case: Case) -> None:
    kind, said = outcome(entry, case)
    assert kind == expected(entry, case), said
