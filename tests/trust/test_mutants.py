"""Every small fault that no test notices is explained."""

from __future__ import annotations

from tests.trust import mutants


def test_survivors_are_explained() -> None:
    assert len(mutants.figures()) == 1
    kinds = {one["kind"] for one in mutants.read(mutants.EXPLAINED)}
    assert kinds <= {*mutants.NO_FAULT, "gap"}
    assert all(one["reason"] for one in mutants.read(mutants.EXPLAINED))
