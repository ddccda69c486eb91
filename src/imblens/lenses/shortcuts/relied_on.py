"""Which drops are notable."""

from __future__ import annotations

import pandas as pd

from imblens.base.wording import FEW

NOTABLE = 0.1  # accuracy that is lost at least, with its whole interval


def relied_on(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table `shortcuts` where a class relies on a cue, the largest share of its evidence first."""
    chosen = (table["explained_low"] > table["usual"]) & (table["drop_low"] >= NOTABLE) & (judged_by(table) >= FEW)
    return table[chosen].sort_values("explained", ascending=False, kind="stable")


def judged_by(table: pd.DataFrame) -> pd.Series[int]:
    """Images of each row, or groups of them where groups are known: what decides whether there are enough."""
    return table.get("groups", table["image_count"])
