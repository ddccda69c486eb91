"""Sentences on safe and other instances."""

from __future__ import annotations

from imblens.base.wording import FEW, counted, percent
from imblens.lenses._contract import Finding


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class with fewer than half of its instances safe, fewest first."""
    table = finding.tables["archetypes"]
    safe = table[(table["archetype"] == "safe") & (table["share"] < 0.5)].sort_values("share", kind="stable")
    places = table.groupby("class").indices
    found: dict[str, str] = {}
    for name in safe["class"]:
        rows = table.iloc[places[name]]
        share = dict(zip(rows["archetype"], rows["share"], strict=True))
        count = int(rows["count"].sum())
        few = f" ({counted(count, 'instance')}, too few to tell)" if count < FEW else ""
        found[str(name)] = (
            f"{percent(share['safe'])} of the training instances of {name} are safe{few}, {percent(share['border'])} border, "
            f"{percent(share['rare'])} rare and {percent(share['outlier'])} outliers."
        )
    return found
