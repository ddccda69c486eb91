"""Sentences on label suspects."""

from __future__ import annotations

from imblens.base.wording import counted
from imblens.lenses._contract import Finding

NOTABLE = 0.01  # share of a class that is suspect from which the class gets a line


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class of which at least 1% is suspect, largest share first."""
    counts, suspects, summary = (
        finding.tables["label_suspect_counts"],
        finding.tables["label_suspects"],
        finding.summary,
    )
    found: dict[str, str] = {}
    for row in counts.sort_values("share", ascending=False, kind="stable").itertuples():
        if row.suspects and row.share >= NOTABLE:
            text = (
                f"{row[1]}: {row.suspects:,} of {counted(row.count, 'training instance')} have no {row[1]} among their "
                f"{summary['k']} nearest neighbours; their neighbours are mostly {row.often}."
            )
            for first in suspects[suspects["class"] == row[1]].head(1).to_dict("records"):  # none beyond the limit
                text += f" Check the label of {first['id']} first (its neighbours suggest {first['suggested']})."
            found[str(row[1])] = text
    none = (
        f"{summary['suspects']:,} training instances of large classes have only neighbours of other classes, less than 1% of "
        "any class."
    )
    return found or {"": none}
