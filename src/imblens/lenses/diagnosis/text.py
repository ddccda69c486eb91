"""Sentences on causes."""

from __future__ import annotations

from imblens.lenses._contract import Finding


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class with a named cause: the cause's evidence and what to try; least accurate first."""
    table = finding.tables["diagnosis"]
    named = table[table["strength"] > 0].groupby("class", sort=False).head(1)
    named = named.sort_values(["accuracy", "strength"], ascending=[True, False], kind="stable")
    return {str(row[1]): f"{row[1]}: {row.evidence} Try: {row.treatment}." for row in named.itertuples()}
