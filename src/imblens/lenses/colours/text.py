"""Sentences on colours."""

from __future__ import annotations

from imblens.base.wording import percent, share_with_interval
from imblens.lenses._contract import Finding
from imblens.lenses.colours.standing_out import NOTABLE, standing_out


def lines(finding: Finding) -> dict[str, str]:
    """One line for each class with a band that stands out from the other classes, largest difference first."""
    found: dict[str, str] = {}
    for row in standing_out(finding.tables["colours"]).itertuples():
        name = str(row[1])
        if name in found:
            found[name] = found[name][:-1] + f"; {row.band} {percent(row.share)}, other classes {percent(row.others)}."
        else:
            share = share_with_interval(row.share, row.share_low, row.share_high)
            found[name] = (
                f"{name}: {share} of its most salient pixels are {row.band}, against {percent(row.others)} on average in the "
                f"other classes; {row.band} is {percent(row.present)} of all pixels of its images."
            )
    none = f"No class relies on a colour by {100 * NOTABLE:.0f} points more than the other classes on average."
    return found or {"": none}
