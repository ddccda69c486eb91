"""Sentences on errors."""

from __future__ import annotations

from imblens.base.wording import counted, percent
from imblens.lenses._contract import Finding


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class with confident errors, most of them first: how many, and the most confident one."""
    pairs, errors = finding.tables["error_pairs"], finding.tables["errors"]
    counts = pairs.groupby("class", sort=False)[["count", "confident"]].sum()
    counts = counts.sort_values(["confident", "count"], ascending=False, kind="stable")
    found = {}
    first = errors.drop_duplicates("class").set_index("class")
    for name, row in counts[counts["confident"] > 0].iterrows():
        text = (
            f"{name}: {row['confident']:,} of {counted(row['count'], 'error')} "
            f"{'is' if row['confident'] == 1 else 'are'} confident."
        )
        if name in first.index:
            one = first.loc[name]
            text += (
                f" The most confident is {one['id']}, predicted {one['predicted']} with {percent(one['probability'])}."
            )
        found[str(name)] = text
    total = finding.summary["errors"]
    return found or {"": f"No confident error among {counted(total, 'error')}." if total else "No test error."}
