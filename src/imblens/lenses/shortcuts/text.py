"""Sentences on what classes rely on."""

from __future__ import annotations

from typing import Any

from imblens.base.wording import interval, percent
from imblens.lenses._contract import Finding
from imblens.lenses.shortcuts.relied_on import relied_on

WITHOUT = {
    "border": "without the borders of its images",
    "tint": "without the tint of its images",
    "surroundings": "without the surroundings of its boxes",
}


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class that relies on a cue, the largest share of its evidence first."""
    found: dict[str, str] = {}
    for row in relied_on(finding.tables["shortcuts"]).to_dict("records"):
        found.setdefault(str(row["class"]), f"{row['class']}: {evidence(row)}")
    return found or {
        "": "No class relies on borders, a colour, a tint or surroundings more than is usual for this network."
    }


def evidence(row: dict[str, Any]) -> str:
    """Return one row in words."""
    without = WITHOUT.get(row["cue"], f"without {row['band']}")
    return (
        f"{without}, its accuracy falls from {percent(row['accuracy'])} to {percent(row['accuracy_without'])}, by "
        f"{100 * row['drop']:.0f} points {interval(row['drop_low'], row['drop_high'])}; the cue accounts for "
        f"{percent(row['explained'])} of the evidence for the class (usual in this network: up to {percent(row['usual'])})."
    )
