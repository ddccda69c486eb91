"""Build hooks: one Vega bundle beside the report template, so that no report has to make it; links of the README for PyPI."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

BUNDLE = Path("src/imblens/report/vega.js")
RELATIVE = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|mailto:|#)([^)\s]+)\)")


class VegaBundle(BuildHookInterface):  # type: ignore[type-arg]
    """Writes `report/vega.js` (about 0.9 MB) with the vl-convert release of the build environment."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the bundle once and add it to the wheel."""
        import vl_convert

        target = Path(self.root) / BUNDLE
        if not target.exists():
            target.write_text(vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;"), encoding="utf-8")
        build_data["artifacts"].append(str(BUNDLE))


class Readme(MetadataHookInterface):
    """Gives the package the README with the repository's addresses: on PyPI, a relative link leads nowhere."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the field `readme`."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        found = with_addresses(text, metadata["urls"]["Repository"])
        metadata["readme"] = {"content-type": "text/markdown", "text": found}


def with_addresses(text: str, repository: str) -> str:
    """Return Markdown whose relative links lead to the files of `repository`, images to their bytes."""
    raw = repository.replace("://github.com/", "://raw.githubusercontent.com/") + "/main/"
    return RELATIVE.sub(lambda m: f"{m[1]}[{m[2]}]({raw if m[1] else f'{repository}/blob/main/'}{m[3]})", text)
