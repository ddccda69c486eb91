"""Vega-Lite specifications, from what Altair writes to what a page holds: names, sizes, marks that follow the chosen class."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from imblens.charts import CHOSEN

Spec = dict[str, Any]
MANY_ROWS = 1000  # rows of data above which numbers have fewer digits, and a drawing is a bitmap in the page
# names that every JavaScript object has: Vega takes a class of such a name for a group that it knows already
OF_ALL_OBJECTS = frozenset({
    "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "__proto__", "constructor",
    "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf",
})  # fmt: skip


@contextmanager
def _defaults() -> Iterator[None]:
    """Altair as it comes: neither a notebook's theme nor its limit on rows may change a report."""
    import altair as alt

    with alt.data_transformers.enable("default", max_rows=None), alt.theme.enable("none"):
        yield


def specification(chart: Any) -> Spec:
    with _defaults():
        found: Spec = chart.to_dict(validate=False)
    return found


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> Spec:
    both = dict(under)
    for key, value in over.items():
        known = both.get(key)
        both[key] = merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return both


def plain_names(spec: Spec) -> Spec:
    """Number parameters and views by position: Altair counts them over the life of the process."""
    declared: list[str] = []
    for node in nodes({key: value for key, value in spec.items() if key != "datasets"}):
        name = node.get("name")
        if isinstance(name, str) and re.fullmatch(r"(param|view|concat|layer)_\d+", name) and name not in declared:
            declared.append(name)
    if not declared:
        return spec
    new = {name: f"{name.split('_')[0]}_at_{i}" for i, name in enumerate(declared)}
    word = re.compile(r"\b(" + "|".join(map(re.escape, declared)) + r")(?=\b|_)")
    data = spec.pop("datasets", {})
    renamed: Spec = _renamed(spec, word, new)
    return {**renamed, "datasets": data}


_NAMING = {
    "name",
    "param",
    "views",
    "expr",
    "test",
    "filter",
    "signal",
    "calculate",
    "select",
    "empty",
    "and",
    "or",
    "not",
}


def _renamed(node: Any, word: re.Pattern[str], new: Mapping[str, str], key: str = "") -> Any:
    if isinstance(node, dict):
        return {k: _renamed(v, word, new, k) for k, v in node.items()}
    if isinstance(node, list):
        return [_renamed(v, word, new, key) for v in node]
    if isinstance(node, str) and key in _NAMING:
        return word.sub(lambda found: new[found.group(1)], node)
    return node


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from nodes(value)


def set_apart(node: Any) -> Any:
    """Add a no-break space to names that every JavaScript object has; `page.js` removes it."""
    if isinstance(node, dict):
        return {key: set_apart(value) for key, value in node.items()}
    if isinstance(node, list):
        return [set_apart(value) for value in node]
    return f"{node}\u00a0" if isinstance(node, str) and node in OF_ALL_OBJECTS else node


def sized(spec: Spec, width: int) -> Spec:
    """Put pixels in place of "container"."""
    for node in nodes(spec):
        if node.get("width") == "container":
            node["width"] = width
    return spec


def class_columns(data: Mapping[str, Sequence[Mapping[str, Any]]], classes: Sequence[str]) -> list[str]:
    """Columns that hold names of classes alone: the one a mark is of first, then the one that it is confused or shared with."""
    known = set(classes)
    for key in ("name", "class", "reference"):
        for rows in data.values():
            if rows and {row.get(key) for row in rows} <= known:
                others = ("predicted", "adversary", "other")
                return [key, *(other for other in others if {row.get(other) for row in rows} <= known)]
    return []


def follow_choice(spec: Spec, keys: Sequence[str]) -> None:
    """Let marks of other classes fade while a class is chosen. Marks with an opacity of their own are left alone."""
    for node in nodes(spec):
        mark = node.get("mark")
        encoding = node.get("encoding", {})
        if mark is None or "opacity" in encoding or "aggregate" in json.dumps(encoding):
            continue
        if any("calculate" not in step for step in node.get("transform", ())):  # others may drop the class
            continue
        full = mark.get("opacity", 1) if isinstance(mark, dict) else 1
        if not isinstance(full, (int, float)):
            continue
        test = " || ".join([f"{CHOSEN} == ''", *(f"datum[{json.dumps(key)}] == {CHOSEN}" for key in keys)])
        node["encoding"] = {
            **encoding,
            "opacity": {"condition": {"test": test, "value": full}, "value": round(full * 0.15, 4)},
        }


def used_columns(rows: Sequence[Mapping[str, Any]], spec: Spec) -> Sequence[Mapping[str, Any]]:
    """Drop the columns that the specification never names."""
    if not rows:
        return rows
    text = json.dumps(spec, ensure_ascii=False)
    kept = [key for key in rows[0] if key in text]
    return [{key: row.get(key) for key in kept} for row in rows]
