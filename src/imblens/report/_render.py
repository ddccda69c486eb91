"""The charts of an audit, drawn once for the page, the folder of figures and the notebook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from imblens.lenses import BUILT_IN, Finding, lens_info

if TYPE_CHECKING:
    from imblens.report._audit import Audit
    from imblens.report._figures import Figure

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


def charts(finding: Finding, name: str) -> dict[str, Any]:
    """The charts of a finding; none where another package's lens fails to make them."""
    try:
        return finding.charts()
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


def _charts(audit: Audit, keys: list[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    for name, finding in audit.findings.items():
        for chart, made in charts(finding, name).items():
            keys.append((name, chart))
            yield f"figure-{len(keys)}", made
