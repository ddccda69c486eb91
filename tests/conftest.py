"""Fixtures shared by all tests."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import get_ident
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("imblens", deadline=None)  # no test depends on how fast the machine is
settings.load_profile("imblens")
ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = "thorough; `make test-all` runs it"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that no process is left alone with one; thorough tests wait for their hour."""
    heavy = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("browser")}
    items.sort(key=lambda item: item.path not in heavy)
    if not os.environ.get("IMBLENS_THOROUGH"):
        for item in items:
            if item.get_closest_marker("thorough"):
                item.add_marker(pytest.mark.skip(reason=LEFT_OUT))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many thorough tests were left out."""
    skipped = terminalreporter.stats.get("skipped", [])
    left = sum(str(report.longrepr[2]).endswith(LEFT_OUT) for report in skipped if isinstance(report.longrepr, tuple))
    if left:
        terminalreporter.write_line(f"thorough tests left out: {left}; `make test-all` runs them")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real image sets, or a skip that says how to give one."""
    folder = Path(os.environ.get("IMBLENS_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "cifar10-lt" / "train.parquet").exists():
        pytest.skip(f"no real data in {folder}; set IMBLENS_DATA to a folder with cifar10-lt/, bccd/, ...")
    return folder


@pytest.fixture
def drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of drawing itself: what was drawn before is not taken."""
    monkeypatch.setenv("DRAWN_ANEW", "1")


@pytest.fixture(scope="session", autouse=True)
def drawn_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What has been drawn from the same specification is not drawn again: a report has twenty charts.

    The processes of one run of tests share the drawings; the next run draws anew. Failures are not kept.
    """
    import vl_convert

    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "drawings"
    folder.mkdir(exist_ok=True)

    def once(draw: Callable[..., Any]) -> Callable[..., Any]:
        def drawn(*given: Any, **options: Any) -> Any:
            asked = json.dumps((draw.__name__, given, options))
            kept = folder / hashlib.sha256(asked.encode()).hexdigest()
            if kept.exists() and "DRAWN_ANEW" not in os.environ:
                return pickle.loads(kept.read_bytes())
            drawing = draw(*given, **options)
            new = kept.with_suffix(f".{os.getpid()}-{get_ident()}")
            new.write_bytes(pickle.dumps(drawing))
            new.replace(kept)
            return drawing

        return drawn

    with pytest.MonkeyPatch.context() as patch:
        for name in ("vegalite_to_svg", "svg_to_png", "svg_to_pdf"):
            patch.setattr(vl_convert, name, once(getattr(vl_convert, name)))
        yield
