"""Items of other packages join a family; broken ones are left out with a warning and harm no other."""

from __future__ import annotations

import importlib.metadata
from types import SimpleNamespace

import pytest

from imblens.base.registry import Registry
from imblens.errors import ImblensWarning, InputError, MissingError


def points(*found: object) -> list[SimpleNamespace]:
    def load(value: object) -> object:
        if isinstance(value, Exception):
            raise value
        return value

    return [SimpleNamespace(name=f"x{i}", value=f"pkg:x{i}", load=lambda v=v: load(v)) for i, v in enumerate(found)]


def test_items_of_packages_follow_and_replace_none(monkeypatch: pytest.MonkeyPatch) -> None:
    other, same = SimpleNamespace(name="other"), SimpleNamespace(name="own")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points(other, same))
    own = SimpleNamespace(name="own")
    family = Registry("thing", {"own": own}, group="g")
    assert list(family) == ["own", "other"]
    assert family.find("own") is own


def test_what_cannot_be_used_is_left_out_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points(RuntimeError("no")))
    with pytest.warns(ImblensWarning, match=r"thing 'x0' of another package is left out: pkg:x0 cannot be loaded"):
        assert list(Registry("thing", {"own": 1}, group="g")) == ["own"]


def test_or_replaced_where_the_family_wants_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points(RuntimeError("no")))
    family = Registry("thing", {"own": "a"}, group="g", broken=lambda name, reason: f"{name}: {reason}")
    assert family["x0"] == "x0: pkg:x0 cannot be loaded: RuntimeError: no"


def test_unknown_names_are_refused_with_the_nearest() -> None:
    family = Registry("thing", {"long_name": 1})
    assert family.find("long-name") == 1
    with pytest.raises(MissingError, match="Did you mean 'long_name'"):
        family.find("lnog_name")
    with pytest.raises(InputError, match="chosen by name"):
        family.find(3)
