"""Every awkward input of the table comes to what the table says."""

from __future__ import annotations

import pytest

from tests.trust.inputs import Case, applicable, expected, outcome

EVERY = 4  # the others wait for `make test-all` and `make soak`


@pytest.mark.parametrize(
    ("entry", "case"),
    [
        pytest.param(e, c, id=f"{e}-{c.name}", marks=[pytest.mark.thorough] * (i % EVERY > 0))
        for i, (e, c) in enumerate(applicable())
    ],
)
def test_awkward_input(entry: str, case: Case) -> None:
    if "tensor" in case.name:
        pytest.importorskip("torch")
    kind, said = outcome(entry, case)
    assert kind == expected(entry, case), said
