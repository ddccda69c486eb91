"""The report's budgets at 10, 100 and 1,000 classes: seconds to write it, megabytes, seconds to a chart in Chromium, elements.

    python -m benchmarks.speed report
    python -m benchmarks.speed.report CLASSES      one of the sizes alone; `images` is that of 100 classes with images

Features are drawn. In the size with images, every instance has one of 32 x 32 pixels, cut at random out of the two photographs
that come with scikit-learn, so that files are as large as those of photographs. Only the page is written: tables, drawings on
disk and the lenses are measured elsewhere. A first chart is the static drawing laid out on the screen; it is live when Vega has
taken over every chart near the first screen. The median of five openings from disk.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed._measure import Times, row
from imblens import Run, audit
from imblens.extraction import encoded
from imblens.report import report_html
from imblens.run import Split

DIM = 64
OPENINGS = 5
SIZES = {  # classes, training instances, test instances, points on the map, images, megabytes that the page may have
    "10": (10, 12_406, 10_000, 0, False, 1.6),
    "100": (100, 100_000, 20_000, 20_000, False, 3.0),
    "images": (100, 100_000, 20_000, 20_000, True, 10.0),
    "1000": (1_000, 60_000, 20_000, 0, False, 5.0),
}
WATCH = """
const seen = (name, there) => {
  const look = () => there() ? requestAnimationFrame(() => { window[name] = performance.now(); }) : requestAnimationFrame(look);
  look();
};
seen("firstChart", () => (document.querySelector("figure[id] > *")?.getBoundingClientRect().height ?? 0) > 50);
seen("allLive", () => {
  const all = Array.from(document.querySelectorAll("figure[id]"));
  const near = all.filter((figure) => figure.getBoundingClientRect().top < innerHeight + 500);
  return document.readyState === "complete" && near.length > 0 && near.every((figure) => figure.dataset.live === "yes");
});
"""
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def rows(sizes: Iterable[str] = tuple(SIZES)) -> Iterator[dict[str, Any]]:
    """Give the rows of one size after the other."""
    for n_classes, n_train, n_test, points, images, megabytes in (SIZES[name] for name in sizes):
        run = long_tail(n_classes, n_train, n_test)
        if images:
            run = replace(run, train=with_images(run.train, seed=1), test=with_images(run.test, seed=2))
        skip = [] if points else ["embedding_map"]
        found = audit(run, skip=skip, options={"embedding_map": {"n_points": points}} if points else None)
        start = time.perf_counter()
        text = report_html(found)
        taken = time.perf_counter() - start
        size = f"{n_classes:,} classes, {len(run.train):,} + {n_test:,} instances, {points:,} on the map"
        size += ", images" if images else ""
        yield row("page written", size, taken, "-", taken, "-")
        yield {**row("page", size, len(text.encode()) / 1e6, "budget", megabytes, "<= 1"), "unit": "MB"}
        seen = opened(text)
        if seen is None:
            continue
        yield row("first chart on the screen", size, seen["firstChart"] * 1e-3, "budget", 0.5, "<= 1")
        yield row("charts near the first screen live", size, seen["allLive"] * 1e-3, "budget", 2.0, "<= 1")
        yield row("class chosen and painted", size, seen["chosen"] * 1e-3, "budget", 0.2, "<= 1")
        yield {**row("elements besides tables", size, seen["elements"].median, "budget", 3_000, "<= 1"), "unit": ""}


def long_tail(n_classes: int, n_train: int, n_test: int, seed: int = 0) -> Run:
    """Rectified normal classes around means of their own, 100:1, with the linear head that suits them."""
    rng = np.random.default_rng(seed)
    weights = 100.0 ** (-np.arange(n_classes) / (n_classes - 1))
    counts = np.maximum(3, weights / weights.sum() * n_train).astype(int)
    means = 0.9 * np.abs(rng.normal(size=(n_classes, DIM)))

    def draw(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        noise = 0.7 * rng.normal(size=(len(labels), DIM))
        return np.maximum(means[labels] + noise, 0).astype(np.float32), labels

    head = means - means.mean(axis=0), np.log(counts) - (means**2).sum(axis=1) / 2
    train, test = (
        draw(np.repeat(np.arange(n_classes), counts)),
        draw(np.repeat(np.arange(n_classes), n_test // n_classes)),
    )
    return Run.from_arrays(train=train, test=test, head=head, classes=[f"class {i:04d}" for i in range(n_classes)])


def with_images(split: Split, *, seed: int) -> Split:
    """The split with an image of 32 x 32 pixels for every instance."""
    import pandas as pd
    from sklearn.datasets import load_sample_images

    photos, rng = load_sample_images().images, np.random.default_rng(seed)
    tops, lefts = (rng.integers(0, high - 32, len(split)) for high in photos[0].shape[:2])
    cuts = [
        photos[i % 2][top : top + 32, left : left + 32] for i, (top, left) in enumerate(zip(tops, lefts, strict=True))
    ]
    ids = [f"{split.name}/{i:06d}.png" for i in range(len(split))]
    table = pd.DataFrame({"id": ids, "thumbnail": [encoded(cut) for cut in cuts]})
    return replace(split, parts=(replace(split.parts[0], table=table),))


def opened(text: str) -> dict[str, Times] | None:
    """What Chromium measures on a page in each of five openings; None without Chromium or playwright."""
    where = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if where is None:
        return None
    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        file = Path(folder) / "report.html"
        file.write_text(text, encoding="utf-8")
        browser = driver.chromium.launch(executable_path=where, args=FLAGS)
        for _ in range(OPENINGS):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.add_init_script(WATCH)
            page.goto(file.as_uri())
            page.wait_for_function("() => window.allLive > 0", timeout=120_000)
            found.append(page.evaluate(MEASURE))
            page.close()
        browser.close()
    return {key: Times(tuple(one[key] for one in found)) for key in found[0]}


MEASURE = """async () => {
  const select = document.getElementById("class");
  const start = performance.now();
  select.value = select.options[select.options.length - 1].value;
  select.dispatchEvent(new Event("change"));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const chosen = performance.now() - start;
  const all = document.querySelectorAll("*").length - document.querySelectorAll("table *").length;
  return { firstChart: window.firstChart, allLive: window.allLive, chosen, elements: all };
}"""


if __name__ == "__main__":
    for measured in rows(sys.argv[1:] or SIZES):
        print(measured, flush=True)
