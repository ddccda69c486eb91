"""Sentences on the number of features in effect."""

from __future__ import annotations

from imblens.base.wording import FEW, counted
from imblens.lenses._contract import Finding

NOTABLE = 0.9  # of the median class's features in effect: below it, a class gets a line


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class that relies on clearly fewer features than the median class, fewest first."""
    table = finding.tables["class_diversity"].dropna(subset=["effective_number"])
    shifts = finding.tables["magnitude_match"].set_index("class")
    found: dict[str, str] = {}
    middle = table["effective_number"].median()
    notable = table[table["effective_number"] < NOTABLE * middle]
    for row in notable.sort_values("effective_number", kind="stable").itertuples():
        few = f" ({counted(row.count, 'instance')}, too few to tell)" if row.count < FEW else ""
        text = (
            f"{row[1]} relies on {row.effective_number:.1f} features in effect; the median class has "
            f"{middle:.1f}{few}; a prediction needs {row.needed_mean:.1f} of them on average"
        )
        wrong = shifts.loc[row[1], "wrong_strength"]
        if shifts.loc[row[1], "wrong_count"] >= FEW and wrong <= -0.05:  # less would be written as none
            text += (
                f"; in its misclassified test instances, its strongest features are {abs(wrong):.1f} training standard "
                "deviations weaker"
            )
        found[str(row[1])] = text + "."
    return found
