"""An audit in a notebook: no script, no style outside its own box."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imblens.report._audit import Audit


def notebook_html(audit: Audit) -> str:
    """Verdict first, then each lens with its drawings, its lines and its tables."""
    from imblens.report import _page, _render

    drawn = _render.figures(audit)
    said = audit.verdict()
    parts = [f"<h3>{escape(said[0])}</h3>", *(f"<p>{escape(line)}</p>" for line in said[1:])]
    for name, finding in audit.findings.items():
        images = [_page.drawing(figure) for (lens, _), figure in drawn.items() if lens == name]
        inside = "".join(f'<div style="background:#fff">{image}</div>' for image in images)
        parts.append(
            f"<details><summary><b>{escape(_page.heading(name))}</b></summary>{finding._repr_html_()}{inside}</details>"
        )
    if audit.skipped:
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in audit.skipped.values())
        parts.append(f"<details><summary>What could not be said</summary><ul>{reasons}</ul></details>")
    return f'<div style="max-width:820px">{"".join(parts)}</div>'
