"""Sentences on channels and regions."""

from __future__ import annotations

import numpy as np

from imblens.base.wording import FEW, counted
from imblens.lenses._contract import Finding


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class with boxes, fewest channels first; then the means."""
    found: dict[str, str] = {}
    summary = finding.summary
    channels = summary["channels"]
    of = f" of {channels - summary['dead_channels']:,} live" if channels else ""
    for row in finding.tables["concepts"].dropna(subset=["unique"]).sort_values("unique", kind="stable").itertuples():
        few = ", too few to tell" if row.image_count < FEW else ""
        found[str(row[1])] = (
            f"{row[1]}: {row.unique:.1f}{_interval(row.unique_low, row.unique_high)}{of} channels per image have a strongly "
            f"activated region inside its boxes, with {row.disjoint:.1f}{_interval(row.disjoint_low, row.disjoint_high)} "
            f"regions in total ({counted(row.image_count, 'image')}{few})."
        )
    if found:
        found[""] = (
            f"Mean over {summary['image_count']:,} {summary['split']} images and their classes: "
            f"{summary['mean_disjoint']:.1f} disjoint and {summary['mean_unique']:.1f} unique concepts."
        )
    return found


def _interval(low: float, high: float) -> str:
    return "" if not np.isfinite(low) else f" [{low:.1f}, {high:.1f}]"
