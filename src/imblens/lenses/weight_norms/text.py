"""Sentence on weight norms."""

from __future__ import annotations

from imblens.lenses._contract import Finding


def lines(finding: Finding) -> dict[str, str]:
    """One line on all classes: largest and smallest norm, and whether norms follow training counts."""
    table = finding.tables["weight_norms"]
    ends = (table.loc[table["norm"].idxmax()], table.loc[table["norm"].idxmin()])
    largest, smallest = (f"{row['class']} ({row['norm']:.2f})" for row in ends)
    correlation = finding.summary["correlation_with_count"]
    follows = "" if correlation is None else f" Rank correlation with training count: {correlation:.2f}."
    return {"": f"Largest weight norm: {largest}, smallest: {smallest}.{follows}"}
