"""Charts of activation maps and boxes."""

from __future__ import annotations

from typing import Any

from imblens.lenses._boxes import interval_chart
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """IoR beside the share that boxes cover, IoBB, and how often the maximum is inside a box."""
    table = finding.tables["alignment"].sort_values("excess", kind="stable")
    ior = "share of the activation inside boxes (IoR); tick: if it were uniform"
    return {
        "alignment": interval_chart(table, "ior", ior, mark="box_share", share=True),
        "alignment_iobb": interval_chart(table, "iobb", "share of the box area that is activated (IoBB)", share=True),
        "alignment_pointing": interval_chart(
            table, "pointing", "images whose maximum activation is inside a box", mark="box_share", share=True
        ),
    }
