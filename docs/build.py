"""Build the site, or refresh what the pages show of a real run.

    python -m docs.build                         the site, into build/site; reports of the gallery are made where missing
    python -m docs.build examples [RUN_FOLDER]   figures, sentences and images of reports; without a folder, of a new
                                                `imblens demo`; with DEMO/run, of that demo and its comparison

The example of a lens is docs/examples/NAME.md, which the site shows below the lens's page.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from docs.screenshots import photograph, photograph_comparison

import imblens
from imblens.lenses import all_lenses
from imblens.report import Audit

DOCS = Path(__file__).resolve().parent
BUILD = DOCS.parent / "build"
IMAGES = DOCS / "images"
EXAMPLES = DOCS / "examples"
LOADED = re.compile(
    r"""(?:\bsrc|<link\b[^>]*\bhref)\s*=\s*["']?(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import\s+["']?http"""
)
MOST_LINES = 3


def site() -> None:
    """Build the site strictly, and refuse one that would ask the network for anything."""
    make_gallery(BUILD / "gallery")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    subprocess.run(command, cwd=DOCS.parent, check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    found = loaded_from_elsewhere(BUILD / "site")
    if found:
        sys.exit("error: the site would load from elsewhere:\n" + "\n".join(found))
    print(f"site: {BUILD / 'site' / 'index.html'}")


def make_gallery(folder: Path) -> None:
    """Write the reports that the gallery links to, those that are missing: folder/NAME/report.html."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        wanted = {
            ("shapes", "treated"): (["imblens", "demo"], ["run/audit", "comparison"]),
            ("digits",): (["imblens", "train", "digits"], ["audit"]),
            ("arrays",): ([sys.executable, DOCS.parent / "examples" / "only_arrays.py"], ["."]),
            ("network",): ([sys.executable, DOCS.parent / "examples" / "your_network.py"], ["."]),
        }
        for names, (command, reports) in wanted.items():
            if all((folder / name / "report.html").exists() for name in names):
                continue
            out = work / names[0]
            option = ["--out", out] if command[0] == "imblens" else [out]
            subprocess.run([*command, *option], check=True)
            for name, report in zip(names, reports, strict=True):
                (folder / name).mkdir(parents=True, exist_ok=True)
                shutil.copy(out / report / "report.html", folder / name / "report.html")


def loaded_from_elsewhere(folder: Path) -> list[str]:
    """Return what pages and styles in `folder` would load over the network; links that a reader follows do not count."""
    found = []
    for file in sorted([*folder.rglob("*.html"), *folder.rglob("*.css")]):
        if "gallery" in file.relative_to(folder).parts:
            continue  # reports: their own security policy forbids it
        for match in LOADED.finditer(file.read_text(encoding="utf-8")):
            if 'rel="canonical"' not in match[0]:
                found.append(f"{file.relative_to(folder)}: {match[0]}")
    return found


def examples(run: str | None) -> None:
    """Run the demo where no run was given, then write pages and images."""
    with tempfile.TemporaryDirectory() as folder:
        if run is not None:
            run_folder = Path(run)
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
        if (compared := run_folder.parent / "comparison" / "report.html").exists():
            photograph_comparison(compared)


def write_example(name: str, audit: Audit, figures: Path) -> None:
    """Write the finding's first figure and lines on shapes as the example of the lens."""
    if name not in audit.findings:
        return
    finding = audit[name]
    shown = ["## Example", "", "The drawn shapes of `imblens demo`:", ""]
    chart = next(iter(finding.charts()), None)
    if chart is not None:
        image = IMAGES / f"{chart}.png"
        image.write_bytes((figures / f"{chart}.png").read_bytes())
        shown += [f"![{name}](../images/{image.name})", ""]
    shown += [f"> {line}\n>" for line in list(finding.lines().values())[:MOST_LINES]]
    EXAMPLES.mkdir(exist_ok=True)
    (EXAMPLES / f"{name}.md").write_text("\n".join(shown) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["examples"]:
        examples(sys.argv[2] if len(sys.argv) > 2 else None)
    else:
        site()
