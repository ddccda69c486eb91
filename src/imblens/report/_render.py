"""The charts of an audit, drawn for the page, the folder of figures and the notebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from imblens.lenses import Finding
from imblens.report._ahead import drawn_ahead
from imblens.report._class_table import ENDS, LEAST_ACCURATE, MANY_CLASSES
from imblens.report._evidence import ends
from imblens.report._figures import Figure, draw_all, warm_up_beside

if TYPE_CHECKING:
    from imblens.report._data import AuditFields

CLASS_COLUMNS = frozenset({"class", "predicted", "adversary", "other", "reference"})
Drawn = dict[tuple[str, str], Figure]  # by lens and chart


def figures(audit: AuditFields) -> Drawn:
    """Draw every chart, in report order.

    Returns:
        By lens and chart: its title and its drawings, as SVG and as PNG.

    Example:
        >>> import numpy as np, imblens
        >>> y = np.repeat([0, 1], [30, 10])
        >>> run = imblens.Run.from_arrays(train=(np.eye(2)[y], y), test=(np.eye(2)[y], y, np.eye(2)[y]))
        >>> drawn = figures(imblens.audit(run, lenses="feature_overlap"))
        >>> [chart for _, chart in drawn]
        ['feature_overlap_pairs', 'feature_overlap']
    """
    found: dict[tuple[str, str], Figure | Exception | None] = {}
    rest = iter(draw_all(_charts(audit, found), audit.run.classes))
    kept: Drawn = {}
    for key, figure in found.items():
        drawing = next(rest) if figure is None else figure
        if isinstance(drawing, Exception):
            raise drawing
        kept[key] = drawing
    return kept


def drawn_classes(audit: AuditFields) -> list[str] | None:
    """The classes that charts show where there are too many for all: the largest, smallest, least accurate. None: all."""
    if audit.run.n_classes <= MANY_CLASSES:
        return None
    kept = ends(audit, 2 * ENDS)
    known = audit.findings.get("class_accuracy")
    if known is None:
        return kept
    table = known.tables["class_accuracy"].dropna(subset="accuracy")
    worst = table.sort_values(["accuracy", "accuracy_high"], kind="stable")["class"].head(LEAST_ACCURATE)
    return kept + [name for name in worst if name not in kept]


def _of_classes(finding: Finding, kept: frozenset[str]) -> Finding:
    tables = {}
    for name, table in finding.tables.items():
        rows = np.ones(len(table), dtype=bool)
        for column in CLASS_COLUMNS & set(table.columns):
            rows &= table[column].isin(kept).to_numpy()
        tables[name] = table[rows].reset_index(drop=True)
    return replace(finding, tables=tables)


def _charts(audit: AuditFields, drawn: dict[tuple[str, str], Figure | Exception | None]) -> Iterator[tuple[str, Any]]:
    """Yield the charts that are left to draw, named by position; note all in `drawn`, in report order, those drawn ahead."""
    shown = drawn_classes(audit)
    kept = None if shown is None else frozenset(shown)
    for name, finding in audit.findings.items():
        figures = drawn_ahead(finding, len(drawn))
        if figures is not None:
            drawn |= {(name, chart): figure for chart, figure in figures.items()}
            continue
        for chart, made in (finding if kept is None else _of_classes(finding, kept)).charts().items():
            if not drawn:
                warm_up_beside()  # while Altair is imported
            drawn[name, chart] = None
            yield f"figure-{len(drawn)}", made
