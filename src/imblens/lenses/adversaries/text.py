"""Sentences on expected and observed errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.intervals import wilson
from imblens.base.wording import FEW, counted, percent, share_with_interval
from imblens.lenses._contract import Finding


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class with at least 30% of its errors forecast to go to one class, largest share first."""
    table = finding.tables["adversaries"]
    leading = finding.summary["leading"]
    known = table.dropna(subset=[leading])
    best = known.loc[known.groupby("class", sort=False)[leading].idxmax()]
    found: dict[str, str] = {}
    for row in best.sort_values(leading, ascending=False, kind="stable").to_dict("records"):
        if row[leading] >= 0.3:
            text = f"Errors of {row['class']} are expected to go to {row['adversary']} ({percent(row[leading])}{_basis(row)})"
            if np.isfinite(row["observed"]):
                text += f"; {_observed(row['observed'], int(row['test_error_count']))}"
            found[str(row["class"])] = text + "."
    return found


def _basis(row: Any) -> str:
    """How many training errors the forecast has counted."""
    errors = row["train_error_count"]
    if not np.isfinite(errors):
        return ""
    return f", from {counted(int(errors), 'training error')}" if errors else ", without a training error"


def _observed(share: float, errors: int) -> str:
    if errors == 1:
        return f"its one test error {'went there' if share else 'did not go there'}, too few to tell"
    if errors < FEW:
        return f"{share * errors:.0f} of its {errors} test errors went there, too few to tell"
    low, high = wilson(np.array(share * errors), np.array(errors))
    return f"on the test split {share_with_interval(share, float(low), float(high))} went there"
