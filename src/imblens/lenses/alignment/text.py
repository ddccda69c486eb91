"""Sentences on activation maps and boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.wording import FEW, counted, percent, share_with_interval
from imblens.lenses._contract import Finding


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class with boxes, least activation inside them first; then the means."""
    found: dict[str, str] = {}
    table, summary = finding.tables["alignment"].dropna(subset=["ior"]), finding.summary
    for row in table.sort_values("excess", kind="stable").itertuples():
        few = ", too few to tell" if row.image_count < FEW else ""
        known = np.isfinite(row.ior_low)
        inside = share_with_interval(row.ior, row.ior_low, row.ior_high) if known else percent(row.ior)
        found[str(row[1])] = (
            f"{row[1]}: {inside} of its activation lies inside its boxes, which cover {percent(row.box_share)} of the image: "
            f"{_conclusion(row)}. Activation covers {percent(row.iobb)} of the box area; its maximum is inside a box in "
            f"{percent(row.pointing)} of {counted(row.image_count, 'image')}{few}."
        )
    if found:
        found[""] = (
            f"Mean over {summary['image_count']:,} {summary['split']} images and their classes: IoBB "
            f"{summary['mean_iobb']:.3f}, IoR {summary['mean_ior']:.3f}, IoU {summary['mean_iou']:.3f}."
        )
    return found


def _conclusion(row: Any) -> str:
    if np.isfinite(row.excess_low) and row.excess_low > 0:
        return "more activation than expected by chance"
    if np.isfinite(row.excess_high) and row.excess_high < 0:
        return "less activation than expected by chance"
    return "no more activation than expected by chance"
