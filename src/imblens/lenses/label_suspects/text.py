"""Sentences on label suspects."""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.wording import counted
from imblens.lenses._contract import Finding

NOTABLE = 0.01  # share of a class that is suspect from which the class gets a line


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class of which at least 1% is suspect, largest share first."""
    counts, suspects = finding.tables["label_suspect_counts"], finding.tables["label_suspects"]
    first = {row["class"]: row for row in suspects.drop_duplicates("class").to_dict("records")}
    found: dict[str, str] = {}
    for row in counts.sort_values("share", ascending=False, kind="stable").itertuples():
        if row.suspects and row.share >= NOTABLE:
            text = (
                f"{row[1]}: the evidence favours another label for {row.suspects:,} of "
                f"{counted(row.count, 'training instance')}, mostly {row.often}"
            )
            if "auroc" in counts:
                text = (
                    f"{row[1]}: the evidence contradicts the label of {counted(row.suspects, 'training instance')} of "
                    f"{row.count:,}, {row.suspect_positives:,} of them positive"
                )
            text += f"{_estimated(row, 'label' if 'auroc' in counts else 'class')}."
            if row.rare_class:
                text += " The class is rare: a head often predicts other classes for it where labels are correct."
            if row[1] in first:  # none beyond the limit
                text += f" Check the label of {first[row[1]]['id']} first (suggested: {first[row[1]]['suggested']})."
            found[str(row[1])] = text
    none = (
        f"The evidence favours another label for {counted(finding.summary['suspects'], 'training instance')}, less than 1% of "
        "any class."
    )
    return found or {"": none}


def _estimated(row: Any, of: str) -> str:
    """What a comparison with test instances gives for the number of wrong labels; "" where it gives nothing."""
    if np.isnan(row.estimated):
        return ""
    compared, low = f"; compared with test instances of the {of},", np.floor(row.estimated_low)
    if np.isnan(row.estimated_high):
        return f"{compared} at least {low:,.0f} are mislabelled" if low else ""
    high = np.ceil(row.estimated_high)
    if not low:
        return f"{compared} at most {high:,.0f} are mislabelled"
    return f"{compared} about {row.estimated:,.0f} [{low:,.0f}, {high:,.0f}] are mislabelled"
