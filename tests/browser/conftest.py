"""A real Chromium, offline; skipped where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from imblens.report import audit, compare
from tests.report.runs import HOSTILE, make_run

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Opened:
    """A page with all its messages and requests since it was opened."""

    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def wait_for_charts(self) -> None:
        """Scroll to every chart and wait until its live twin stands there."""
        for figure in self.page.query_selector_all("figure[id]"):
            figure.scroll_into_view_if_needed()
            self.page.wait_for_function("figure => ['yes', 'no'].includes(figure.dataset.live)", arg=figure)
        self.page.evaluate("scrollTo(0, 0)")

    def left_as_found(self) -> None:
        """Choose no class, and go to the top."""
        self.page.mouse.move(2, 2)
        self.page.select_option("#class", "")
        self.page.evaluate("scrollTo(0, 0)")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    where = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if where is None:
        pytest.skip("no Chromium on this machine; install it or set CHROMIUM to its path")
    with sync_api.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=where, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser) -> Iterator[Any]:
    with ExitStack() as contexts:
        yield lambda file, **options: opened(browser, contexts, file, **options)


@pytest.fixture(scope="module")
def woken_once(browser) -> Iterator[Callable[[Path], Opened]]:
    """Pages with every chart live; drawing all charts takes seconds, so the tests of a file share them."""
    pages: dict[Path, Opened] = {}
    with ExitStack() as contexts:

        def woken(file: Path) -> Opened:
            if file not in pages:
                pages[file] = opened(browser, contexts, file)
                pages[file].wait_for_charts()
            return pages[file]

        yield woken


@pytest.fixture
def woken(woken_once, report) -> Iterator[Opened]:
    """`report`, left as it was found."""
    yield woken_once(report)
    woken_once(report).left_as_found()


@pytest.fixture
def woken_comparison(woken_once, comparison) -> Iterator[Opened]:
    """`comparison`, left as it was found."""
    yield woken_once(comparison)
    woken_once(comparison).left_as_found()


def opened(
    browser: Any,
    contexts: ExitStack,
    file: Path,
    *,
    width: int = 1280,
    height: int = 900,
    fragment: str = "",
    **options: Any,
) -> Opened:
    """A page in a context of its own, which is closed with `contexts`."""
    options = {"reduced_motion": "reduce", **options}  # else every jump within the page is an animation
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
    contexts.callback(context.close)
    found = Opened(context.new_page())
    found.page.on("console", lambda message: found.messages.append(message.text))
    found.page.on("pageerror", lambda error: found.messages.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(file.as_uri() + fragment)
    return found


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> Path:
    return _made_once(tmp_path_factory, "report", lambda folder: _save(make_run(images=True), folder))


@pytest.fixture(scope="session")
def hostile_report(tmp_path_factory) -> Path:
    run = make_run(HOSTILE)
    run.meta["data"]["name"] = HOSTILE[1]
    return _made_once(tmp_path_factory, "hostile", lambda folder: _save(run, folder))


@pytest.fixture(scope="session")
def comparison(tmp_path_factory) -> Path:
    runs = [make_run(HOSTILE), make_run(HOSTILE, seed=2), make_run(HOSTILE, seed=3)]
    names = [HOSTILE[0], HOSTILE[1], "three"]
    return _made_once(
        tmp_path_factory, "comparison", lambda folder: compare(runs, names=names).save(folder, figures=False)
    )


def _save(run, folder: Path) -> None:
    audit(run, options={"embedding_map": {"n_points": 100}}).save(folder, figures=False)


def _made_once(tmp_path_factory, name: str, save: Callable[[Path], object]) -> Path:
    """Return the report that `save` writes into a folder of that name; the processes of one run of tests share it."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "reports"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / f"{name}.lock"):
        if not (folder / name).exists():
            save(folder / "unfinished" / name)
            (folder / "unfinished" / name).rename(folder / name)
    return folder / name / "report.html"
