"""An audit in a notebook: no script, and no style outside its own box."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from imblens.report import _html, _page, _render, _summary

if TYPE_CHECKING:
    from imblens.report._data import AuditFields


def notebook_html(audit: AuditFields) -> str:
    """Verdict first, then each lens with its lines, tables and drawings."""
    drawn = _render.figures(audit)
    first, *others = _summary.verdict(audit)
    parts = [f"<h3>{escape(first)}</h3>", *(f"<p>{escape(line)}</p>" for line in others)]
    for name, finding in audit.findings.items():
        images = [_page.image(figure) for (lens, _), figure in drawn.items() if lens == name]
        inside = "".join(f'<div style="background:#fff">{image}</div>' for image in images)
        title = escape(_html.heading(name))
        parts.append(f"<details><summary><b>{title}</b></summary>{finding._repr_html_()}{inside}</details>")
    if audit.skipped:
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in audit.skipped.values())
        parts.append(f"<details><summary>Skipped analyses</summary><ul>{reasons}</ul></details>")
    return f'<div style="max-width:820px">{"".join(parts)}</div>'
