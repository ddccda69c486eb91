"""Results that are stored and compared: what the public functions return on small runs that are made in tests.

    python -m tests.golden                      what differs today
    python -m tests.golden lenses --write       store the results of this room

A result is stored as plain values in tests/ROOM/golden/RUN.json.gz: whole numbers and words as they are, other numbers with six
digits; of more than 24 values in a row, their number, how many are undefined, and two sums that change where one of them or
their order does. Numbers are compared with a tolerance of 1e-5, as other machines and versions round differently.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib
import json
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parent
ROOMS = ("lenses", "resampling", "treatments", "decisions")
LONG = 24  # values, from which a digest is stored in their place
RELATIVE, ABSOLUTE = 1e-5, 1e-9
PANDAS = 3  # results were stored with; older versions order and name a few of them otherwise
PLACES = ("x", "y")  # on a map, found by descent: machines differ
Cases = Mapping[str, Callable[[], Any]]


def plain(value: Any) -> Any:
    """JSON values of tables, arrays, findings and what holds them."""
    if type(value).__name__.endswith("Chart"):
        return plain(_drawn(value))
    if hasattr(value, "columns") and hasattr(value, "to_dict"):
        index = {} if type(value.index).__name__ == "RangeIndex" else {"(index)": plain(list(value.index))}
        return {**index, **{str(name): plain(value[name].tolist()) for name in value.columns}}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        if len(value) > 100 and not any(isinstance(item, (Mapping, list)) for item in value.values()):
            return plain([part for item in value.items() for part in item])
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return plain(sorted(value))
    if isinstance(value, (list, tuple)):
        return _row([plain(item) for item in value])
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return _short(value)
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()[:16]
    assert " object at 0x" not in repr(value), f"{type(value)} has no plain value"
    return "undefined" if str(value) in ("<NA>", "NaT") else str(value)


def _short(value: float) -> Any:
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)


def _row(values: list[Any]) -> Any:
    """Values, or the digest of many."""
    return values if len(values) <= LONG or any(isinstance(value, dict) for value in values) else _digest(values)


def _digest(values: list[Any]) -> dict[str, Any]:
    flat = list(_leaves(values))
    numbers = np.array([value for value in flat if isinstance(value, (int, float))], dtype=float)
    words = [value for value in flat if not isinstance(value, (int, float))]
    weights = 4 + np.modf(np.arange(len(numbers)) * 0.6180339887)[0]
    sums = [_short(float(np.abs(numbers).sum())), _short(float(weights @ (numbers + np.abs(numbers))))]
    named = hashlib.sha256(json.dumps(words).encode()).hexdigest()[:8] if words else ""
    return {"values": [len(values), len(flat), len(words)], "sums": sums, "words": named}


def _leaves(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _leaves(value)
        elif isinstance(value, dict):
            yield from value["sums"]
            yield value["words"]
        else:
            yield value


def _drawn(drawing: Any) -> Any:
    """A specification of Vega-Lite without what is altair's own, and the digest of its rows."""
    import altair as alt

    with alt.data_transformers.enable("default", max_rows=None):
        chart = drawing.to_dict()
    own = {key: value for key, value in chart.items() if key not in ("$schema", "config", "datasets")}
    order = {name: f"rows {place}" for place, name in enumerate(sorted_names(own)) if name in chart.get("datasets", {})}
    rows = {order[name]: _columns(some) for name, some in chart.get("datasets", {}).items() if name in order}
    text = json.dumps(own)
    for name, short in order.items():
        text = text.replace(name, short)
    params = {
        name: f"param {i}" for i, name in enumerate(dict.fromkeys(re.findall(r"\bparam_\d+\b|\bview_\d+\b", text)))
    }
    for name, short in params.items():
        text = re.sub(rf"\b{name}\b", short, text)
    return {**json.loads(text), **rows}


def sorted_names(node: Any) -> list[str]:
    """The data that a specification names, in its order."""
    found = [node["data"]["name"]] if isinstance(node, dict) and "name" in (node.get("data") or {}) else []
    inside = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return list(dict.fromkeys([*found, *(name for one in inside for name in sorted_names(one))]))


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The digest of all rows, as they mostly repeat a table; of whole numbers and others alike."""
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if name not in PLACES]
    return {" ".join(names): _digest([plain(row.get(name)) for name in names for row in rows])}


def finding(found: Any) -> dict[str, Any]:
    """All that a lens states: tables, summary, notes, lines and charts."""
    parts = {"tables": found.tables, "summary": found.summary, "notes": found.notes, "lines": found.lines()}
    return {**parts, "charts": found.charts()}


def raised(function: Callable[[], Any]) -> str:
    """The error that a call ends with."""
    try:
        function()
    except Exception as error:
        return re.sub(r"\{'[^{}]*'\}", "{...}", f"{type(error).__name__}: {error}")  # sets of texts have no fixed order
    return "no error"


def differences(stored: Any, found: Any, path: str = "", loose: float = 1.0) -> Iterator[str]:
    """Where two plain values differ by more than `loose` times the tolerance."""
    if isinstance(stored, dict) and isinstance(found, dict):
        for key in {**stored, **found}:
            if key not in stored or key not in found:
                yield f"{path}/{key}: {'new' if key in found else 'gone'}"
            else:
                yield from differences(stored[key], found[key], f"{path}/{key}", loose)
    elif isinstance(stored, list) and isinstance(found, list):
        if len(stored) != len(found):
            yield f"{path}: {len(stored)} values stored, {len(found)} found"
        for place, pair in enumerate(zip(stored, found, strict=False)):
            yield from differences(*pair, f"{path}/{place}", loose)
    elif _number(stored) and _number(found):
        exact = isinstance(stored, int) and isinstance(found, int)
        if (
            stored != found
            if exact
            else not math.isclose(stored, found, rel_tol=loose * RELATIVE, abs_tol=loose**2 * ABSOLUTE)
        ):
            yield f"{path}: {stored} stored, {found} found"
    elif {str(stored), str(found)} == {"None", "nan"}:
        return  # a column without values, by the version of pandas
    elif stored != found or type(stored) is not type(found):
        yield f"{path}: {stored!r} stored, {found!r} found"


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@cache
def _stored(room: str, run: str) -> dict[str, Any]:
    return json.loads(gzip.decompress((FOLDER / room / "golden" / f"{run}.json.gz").read_bytes()))


def check(room: str, case: str, found: Any, loose: float = 1.0) -> None:
    """Fail where the result of a case, named RUN/WHAT, is not the stored one, up to `loose` times the tolerance."""
    if int(pd.__version__.split(".")[0]) < PANDAS:
        pytest.skip(f"results were stored with pandas {PANDAS}")
    run, what = case.split("/", 1)
    apart = list(differences(_stored(room, run)[what], json.loads(json.dumps(plain(found))), loose=loose))
    told = f"{len(apart)} values of {case} differ from those stored; if that is meant: python -m tests.golden {room} --write"
    assert not apart, "\n".join([told, *apart[:20]])


def today(room: str) -> dict[str, dict[str, Any]]:
    """What the cases of a room give today, by file."""
    files: dict[str, dict[str, Any]] = {}
    for module in sorted((FOLDER / room).glob("test_golden*.py")):
        cases: Cases = importlib.import_module(f"tests.{room}.{module.stem}").CASES
        for case, make in cases.items():
            run, what = case.split("/", 1)
            files.setdefault(run, {})[what] = json.loads(json.dumps(plain(make())))
    return files


def write(room: str, files: dict[str, dict[str, Any]]) -> None:
    """Store them."""
    folder = FOLDER / room / "golden"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.json.gz"):
        old.unlink()
    for run, values in files.items():
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        (folder / f"{run}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def main() -> None:
    """Print what differs, or store what is found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rooms", nargs="*", default=ROOMS)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    for room in asked.rooms:
        files = today(room)
        for run, values in files.items() if (FOLDER / room / "golden").exists() else ():
            stored = _stored(room, run) if (FOLDER / room / "golden" / f"{run}.json.gz").exists() else {}
            print(*(f"{room}/{run}{line}" for line in differences(stored, values)), sep="\n", end="")
        if asked.write:
            write(room, files)


if __name__ == "__main__":
    main()
