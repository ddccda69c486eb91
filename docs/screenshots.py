"""Photograph reports as people meet them: the first screen at three widths, and what a page does.

    python -m docs.screenshots [NAME=RUN_FOLDER ...]

Without a folder the demo is run first (training included) and photographed as `shapes`, with its comparison. Of every run the
first screen is kept at 1280, 768 and 400 pixels (`report-NAME-WIDTH.webp`); of `shapes` also the dark scheme, a chosen class,
its errors, points on the map and label suspects. Images of a set whose licence does not allow it do not belong here: a first
screen shows none.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imblens

IMAGES = Path(__file__).resolve().parent / "images"
SCREENS = {1280: 900, 768: 1024, 400: 800}
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
QUALITY, TALLEST = 88, 1000
LIVE = "figure => figure.dataset.live === 'yes' || figure.getBoundingClientRect().top > innerHeight + 500"


def main(arguments: list[str]) -> None:
    """Audit the runs that were named, or the demo, and photograph their reports."""
    with tempfile.TemporaryDirectory() as folder:
        if not arguments:
            subprocess.run(["imblens", "demo", "--out", folder, "--force"], check=True)
            arguments = [f"shapes={Path(folder) / 'run'}"]
            photograph_comparison(Path(folder) / "comparison" / "report.html")
        for argument in arguments:
            name, _, run = argument.partition("=")
            report = imblens.audit(imblens.Run.load(Path(run))).save(Path(folder) / f"report-{name}", figures=False)
            photograph(report, name)


def photograph(report: Path, name: str) -> None:
    """Keep the first screens of a report; of shapes, which is ours to show, also what it does."""
    for width, height in SCREENS.items():
        with opened(report, width, height) as page:
            keep(page, f"report-{name}-{width}")
    if name != "shapes":
        return
    with opened(report, 1280, 900, color_scheme="dark") as page:
        keep(page, f"report-{name}-dark")
    with opened(report, 1280, 900) as page:
        page.select_option("#class", index=-1 + page.locator("#class option").count())
        page.locator("#lens-archetypes").scroll_into_view_if_needed()
        keep(page, f"report-{name}-chosen", of="#lens-archetypes")
        page.wait_for_selector("#error-list > li")
        keep(page, f"report-{name}-errors", of="#lens-errors")
        page.select_option("#class", "")
        keep(page, f"report-{name}-map", of="#lens-embedding_map figure")
        keep(page, f"report-{name}-suspects", of="#lens-label_suspects .plot.whole")


def photograph_comparison(report: Path) -> None:
    """Keep the first screen of a comparison."""
    with opened(report, 1280, 900) as page:
        keep(page, "comparison-shapes")


@contextmanager
def opened(report: Path, width: int, height: int, **options: Any) -> Iterator[Any]:
    """A page in Chromium, once the charts near its first screen are live."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("error: images need playwright\nhint: pip install 'imblens[dev]'")
    where = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if where is None:
        sys.exit("error: no Chromium on this machine\nhint: install it, or set CHROMIUM to its path")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=where, args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        page.goto(report.as_uri())
        page.wait_for_function(LIVE, arg=page.query_selector("figure[id]"))
        yield page
        browser.close()


def keep(page: Any, name: str, of: str | None = None) -> None:
    """Write a photograph of the screen, or of one part of the page once its charts are live, into docs/images."""
    from PIL import Image

    if of is not None:
        for figure in page.query_selector_all(f"{of} figure[id], {of}[id]"):
            figure.scroll_into_view_if_needed()
            page.wait_for_function(
                "figure => !figure.id.startsWith('figure-') || figure.dataset.live === 'yes'", arg=figure
            )
        page.wait_for_timeout(500)
    taken = page.screenshot() if of is None else page.locator(of).first.screenshot(style=".top { visibility: hidden; }")
    image = Image.open(io.BytesIO(taken)).convert("RGB")
    image = image.crop((0, 0, image.width, min(image.height, TALLEST)))
    image.save(IMAGES / f"{name}.webp", "WEBP", quality=QUALITY, method=6)


if __name__ == "__main__":
    main(sys.argv[1:])
