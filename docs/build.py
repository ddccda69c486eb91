"""Refresh what the docs show of a real run: figures, sentences and pictures of the report.

    python -m docs.build [RUN_FOLDER]

Without a folder the demo is run first (training included). Each page of `docs/lenses` gets an example between its two
`example` comments; nothing else in it is touched.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from docs.screenshots import photograph, photograph_comparison

import imblens
from imblens.lenses import all_lenses
from imblens.report import Audit

DOCS = Path(__file__).resolve().parent
IMAGES = DOCS / "images"
MARK = re.compile(r"<!-- example -->.*<!-- /example -->\n?", re.DOTALL)
MOST_LINES = 3


def main() -> None:
    """Run the demo where no run was given, then write pages and pictures."""
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            run_folder = Path(sys.argv[1])
        else:
            subprocess.run(["imblens", "demo", "--out", folder, "--force"], check=True)
            run_folder = Path(folder) / "run"
        audit = imblens.audit(imblens.Run.load(run_folder))
        written = Path(folder) / "audit"
        audit.save(written, force=True)
        IMAGES.mkdir(exist_ok=True)
        for name in all_lenses():
            write_example(name, audit, written / "figures")
        photograph(written / "report.html", "shapes")
        if (compared := Path(folder) / "comparison" / "report.html").exists():
            photograph_comparison(compared)


def write_example(name: str, audit: Audit, figures: Path) -> None:
    """Put the finding's first figure and lines on shapes into the lens's page."""
    page = DOCS / "lenses" / f"{name}.md"
    if name not in audit.findings or not page.exists():
        return
    finding = audit[name]
    shown = ["<!-- example -->", "## Example", "", "The drawn shapes of `imblens demo`:", ""]
    chart = next(iter(finding.charts()), None)
    if chart is not None:
        picture = IMAGES / f"{chart}.png"
        picture.write_bytes((figures / f"{chart}.png").read_bytes())
        shown += [f"![{name}](../images/{picture.name})", ""]
    shown += [f"> {line}\n>" for line in list(finding.lines().values())[:MOST_LINES]]
    text = MARK.sub("", page.read_text(encoding="utf-8")).rstrip()
    page.write_text(text + "\n\n" + "\n".join([*shown, "<!-- /example -->"]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
