"""Sentences on labels that occur together."""

from __future__ import annotations

from imblens.base.wording import FEW, percent, share_with_interval
from imblens.lenses._contract import Finding

SURPRISING = 1.5  # a label is named when it is this many times as frequent with another as overall


def lines(finding: Finding) -> dict[str, str]:
    """One line for each label with which another is clearly more frequent, strongest first; then labels per instance."""
    table = finding.tables["co_occurrence"]
    clear = table[(table["share_low"] > table["expected"]) & (table["lift"] >= SURPRISING) & (table["count"] >= FEW)]
    found: dict[str, str] = {}
    for row in clear.sort_values("lift", ascending=False, kind="stable").itertuples():
        if row[1] not in found:
            found[str(row[1])] = (
                f"{row[1]}: {share_with_interval(row.share, row.share_low, row.share_high)} of its training instances also "
                f"have the label {row.other}, compared with {percent(row.expected)} of all instances."
            )
    summary = finding.summary
    found[""] = (
        f"A training instance has {summary['mean_labels']:.2f} labels on average: {percent(summary['share_none'])} have none, "
        f"{percent(summary['share_several'])} several."
    )
    return found
