"""Names of metrics: accepted by every tracker, different for different classes."""

from __future__ import annotations

import posixpath
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imblens.watch import metric_names

ODD = ["cat (tabby)", "cat, tabby", "a/b", "a//b", "../x", "\U0001f600", "Cat", "cat", "\u732b", " ", "", "cat_tabby.1"]


@pytest.mark.parametrize("classes", [ODD, ODD[::-1]])
def test_odd_names(classes):
    names = dict(zip(classes, metric_names(classes), strict=True))
    assert names["cat"] in ("cat", f"cat.{classes.index('cat')}")
    assert names["cat_tabby.1"] == "cat_tabby.1"
    assert names["../x"] == "x"


@given(st.lists(st.text(max_size=12), unique=True, max_size=8))
def test_any_names(classes):
    names = metric_names(classes)
    assert len({name.casefold() for name in names}) == len(classes)
    for name in names:
        metric = f"imblens/accuracy/{name}"
        assert re.fullmatch("[A-Za-z0-9_.-]+", name) and posixpath.normpath(metric) == metric


def test_plain_names_stay():
    plain = ["cat", "b-2", "x.y", "A_1"]
    assert metric_names(plain) == plain
    assert len(metric_names(["x" * 300])[0]) == 80
