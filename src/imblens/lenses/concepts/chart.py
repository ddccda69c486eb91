"""Charts of channels and regions."""

from __future__ import annotations

from typing import Any

from imblens.lenses._boxes import interval_chart
from imblens.lenses._contract import Finding


def charts(finding: Finding) -> dict[str, Any]:
    """Channels with a region in the boxes, and regions, per image."""
    table = finding.tables["concepts"].sort_values("unique", kind="stable")
    return {
        "concepts": interval_chart(table, "unique", "channels activated in boxes, per image (unique)"),
        "concepts_disjoint": interval_chart(table, "disjoint", "activated regions in boxes, per image (disjoint)"),
    }
