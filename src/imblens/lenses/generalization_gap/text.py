"""Sentences on wide gaps."""

from __future__ import annotations

from imblens.base.wording import counted, ratio
from imblens.lenses._contract import Finding

NOTABLE = 1.5  # times the median gap: beyond it, a class gets a line


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class whose gap is far above the median, widest first."""
    table = finding.tables["generalization_gap"].dropna(subset=["gap"])
    middle = table["gap"].median()
    found: dict[str, str] = {}
    for row in table[table["gap"] > NOTABLE * middle].sort_values("gap", ascending=False, kind="stable").itertuples():
        times = f"{ratio(row.gap / middle)}x the median class" if middle > 0 else "the median class has no gap"
        found[str(row[1])] = (
            f"{row[1]}: test features exceed the range of its {counted(row.train_count, 'training instance')} by "
            f"{row.gap:.2f}, {times}."
        )
    return found
