"""Sentence on the embedding map."""

from __future__ import annotations

from imblens.lenses._contract import Finding


def lines(finding: Finding) -> dict[str, str]:
    """How many instances the map shows, in one line."""
    shown, total = finding.summary["points"], finding.summary["instances"]
    part = "all" if shown == total else f"{shown:,} of"
    return {"": f"The map shows {part} {total:,} instances; close points have similar features."}
