"""Build hook: put one Vega bundle beside the report template, so that no report has to make it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUNDLE = Path("src/imblens/report/vega.js")


class VegaBundle(BuildHookInterface):  # type: ignore[type-arg]
    """Writes `report/vega.js` (about 0.9 MB) with the vl-convert release of the build environment."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the bundle once and add it to the wheel."""
        import vl_convert

        target = Path(self.root) / BUNDLE
        if not target.exists():
            target.write_text(vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;"), encoding="utf-8")
        build_data["artifacts"].append(str(BUNDLE))
