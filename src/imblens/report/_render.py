"""The charts of an audit, drawn once for the page, the folder of figures and the notebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from imblens.lenses import BUILT_IN, Finding, lens_info
from imblens.report._evidence import ENDS, MANY_CLASSES, ends

if TYPE_CHECKING:
    from imblens.report._audit import Audit
    from imblens.report._figures import Figure

CLASS_COLUMNS = frozenset({"class", "predicted", "adversary", "other", "reference"})
_OWN = frozenset(lens_info(function).name for function in BUILT_IN)


def figures(audit: Audit) -> dict[tuple[str, str], Figure]:
    """Every chart by (lens, chart), in report order; those that another package's lens cannot draw are left out."""
    from threading import Thread

    from imblens.report._figures import draw_all, warm_up

    if "figures" not in audit._cache:
        Thread(target=warm_up, daemon=True).start()  # while Altair is being imported
        keys: list[tuple[str, str]] = []
        drawn = draw_all(_charts(audit, keys), audit.run.classes)
        kept = {}
        for key, drawing in zip(keys, drawn, strict=True):
            if not isinstance(drawing, Exception):
                kept[key] = drawing
            elif key[0] in _OWN:
                raise drawing
        audit._cache["figures"] = kept
    found: dict[tuple[str, str], Figure] = audit._cache["figures"]
    return found


def charts(finding: Finding, name: str, kept: frozenset[str] | None = None) -> dict[str, Any]:
    """The charts of a finding, of the classes `kept` alone; none where another package's lens fails to make them."""
    try:
        return (finding if kept is None else _of_classes(finding, kept)).charts()
    except Exception:
        if name in _OWN:
            raise
        return {}


def lines(finding: Finding, name: str) -> dict[str, str]:
    """The lines of a finding; an apology where another package's lens fails to write them."""
    try:
        return {str(key): str(line) for key, line in finding.lines().items()}
    except Exception as error:
        if name in _OWN:
            raise
        return {"": f"{name}: its lines could not be written: {type(error).__name__}: {error}"}


def drawn_classes(audit: Audit) -> list[str] | None:
    """The classes that charts show where there are too many for all: the largest and the smallest. None: all."""
    return None if audit.run.n_classes <= MANY_CLASSES else ends(audit, 2 * ENDS)


def _of_classes(finding: Finding, kept: frozenset[str]) -> Finding:
    tables = {}
    for name, table in finding.tables.items():
        rows = np.ones(len(table), dtype=bool)
        for column in CLASS_COLUMNS & set(table.columns):
            rows &= table[column].isin(kept).to_numpy()
        tables[name] = table[rows].reset_index(drop=True)
    return replace(finding, tables=tables)


def _charts(audit: Audit, keys: list[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    shown = drawn_classes(audit)
    kept = None if shown is None else frozenset(shown)
    for name, finding in audit.findings.items():
        for chart, made in charts(finding, name, kept).items():
            keys.append((name, chart))
            yield f"figure-{len(keys)}", made
