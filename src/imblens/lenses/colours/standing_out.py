"""Colour bands that stand out in a class."""

from __future__ import annotations

import pandas as pd

from imblens.base.wording import FEW

NOTABLE = 0.1  # a band's share must exceed its mean over the other classes by this much


def standing_out(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table `colours` whose share exceeds that of the other classes by ten points, and with its whole interval.

    Sorted by the difference, the largest first; classes of fewer than ten images are left out.
    """
    difference = table["share"] - table["others"]
    chosen = (difference >= NOTABLE) & (table["share_low"] > table["others"]) & (table["image_count"] >= FEW)
    return table.assign(difference=difference)[chosen].sort_values("difference", ascending=False, kind="stable")
