"""Sentences on shared features."""

from __future__ import annotations

from imblens.base.wording import ratio
from imblens.lenses._contract import Finding


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class whose features are at least twice as common in another class, largest ratio first."""
    table = finding.tables["feature_density"]
    total = table.groupby(["reference", "adversary"], sort=False, as_index=False)["ratio"].mean()
    found: dict[str, str] = {}
    for row in total.sort_values("ratio", ascending=False, kind="stable").itertuples():
        if row.ratio >= 2 and row.reference not in found:
            found[str(row.reference)] = (
                f"{row.reference}: on average, one of its strongest features is among the strongest in "
                f"{ratio(row.ratio)}x as many {row.adversary} instances as in its own."
            )
    return found
