"""Which drops are notable."""

from __future__ import annotations

import pandas as pd

from imblens.base.wording import FEW

NOTABLE = 0.1  # accuracy that is lost at least, with its whole interval
HELD = 0.9  # share of a class's images that have a colour, from which the class may rely on it


def relied_on(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table `shortcuts` where a class relies on a cue, the largest share of its evidence first.

    A colour that more than a tenth of the images tried do not have does not count: where it is that of objects or backgrounds
    in some images, removing it removes the outline of the object.
    """
    chosen = (table["explained_low"] > table["usual"]) & (table["drop_low"] >= NOTABLE) & (judged_by(table) >= FEW)
    chosen &= (table["cue"] != "colour") | (
        table["image_count"] >= HELD * table.groupby("class")["image_count"].transform("max")
    )
    return table[chosen].sort_values("explained", ascending=False, kind="stable")


def judged_by(table: pd.DataFrame) -> pd.Series[int]:
    """Images of each row, or groups of them where groups are known: what decides whether there are enough."""
    return table.get("groups", table["image_count"])
