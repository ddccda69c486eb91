"""Which drops are notable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imblens.base.wording import FEW

if TYPE_CHECKING:
    import pandas as pd

NOTABLE = 0.1  # accuracy that is lost at least, with its whole interval


def relied_on(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table `shortcuts` where a class relies on a cue, the largest share of its evidence first."""
    chosen = (table["explained_low"] > table["usual"]) & (table["drop_low"] >= NOTABLE) & (table["image_count"] >= FEW)
    return table[chosen].sort_values("explained", ascending=False, kind="stable")
