"""Sentences on shared features."""

from __future__ import annotations

from imblens.lenses._contract import Finding


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class that shares at least half its strongest features with another, most shared first.

    None where the strongest are half of all features or more: then any two classes share many.
    """
    top = int(finding.summary["top"])
    if top * 2 >= finding.summary["features"]:
        return {}
    pairs = finding.tables["feature_overlap_pairs"].sort_values("shared", ascending=False, kind="stable")
    found: dict[str, str] = {}
    for name, other, shared in pairs[pairs["shared"] * 2 >= top].itertuples(index=False):
        found.setdefault(str(name), f"{name} shares {shared} of its {top} strongest features with {other}.")
    return found
