"""Sentences on confidence and accuracy."""

from __future__ import annotations

import pandas as pd

from imblens.base.wording import FEW, counted, percent
from imblens.lenses._contract import Finding

NOTABLE = 0.02  # a difference between confidence and accuracy that is worth a line


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class whose confidence lies outside the interval of its accuracy, largest difference first."""
    table, summary = finding.tables["calibration"], finding.summary
    found = _classes(table) if summary["task"] == "multiclass" else _labels(table)
    if summary["ece"] is not None:
        found[""] = f"Expected calibration error over all classes: {summary['ece']:.3f} ({summary['n_bins']} bins)."
    return found


def _classes(table: pd.DataFrame) -> dict[str, str]:
    outside = (table["confidence"] > table["accuracy_high"]) | (table["confidence"] < table["accuracy_low"])
    enough = table.get("groups", table["test_count"]) >= FEW
    gap = table["over_confidence"].abs()
    off = table.assign(gap=gap)[enough & outside & (gap >= NOTABLE)]
    return {
        str(row[1]): (
            f"{row[1]}: on its {counted(row.test_count, 'test instance')} mean confidence is {percent(row.confidence)} and "
            f"accuracy {percent(row.accuracy)}: {'over' if row.over_confidence > 0 else 'under'}-confident by "
            f"{100 * row.gap:.0f} points."
        )
        for row in off.sort_values("gap", ascending=False, kind="stable").itertuples()
    }


def _labels(table: pd.DataFrame) -> dict[str, str]:
    off = table[(table["accuracy"] > 0) & (table["confidence"] > 2 * table["accuracy"])]
    return {
        str(row[1]): (
            f"{row[1]}: mean probability is {percent(row.confidence)}, but only {percent(row.accuracy)} of the test instances "
            "are positive."
        )
        for row in off.sort_values("over_confidence", ascending=False, kind="stable").itertuples()
    }
