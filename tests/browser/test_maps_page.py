"""Maps over images in a real browser: drawn, shared between drawings, silent, accessible, and never wider than the screen."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from imblens.report import audit, compare
from tests.report.test_overlays import NAMES, make


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("maps")
    one, two = make(), make(seed=1)
    lenses = ["alignment", "concepts"]
    return {
        "audit": audit(one, lenses=[*lenses, "errors"]).save(folder / "audit", figures=False),
        "comparison": compare([one, two], names=["one", "two"]).save(folder / "comparison", figures=False),
    }


@pytest.mark.browser
@pytest.mark.parametrize(
    ("which", "width"),
    [
        ("audit", 1280),
        ("comparison", 400),
        pytest.param("audit", 400, marks=pytest.mark.thorough),
        pytest.param("comparison", 1280, marks=pytest.mark.thorough),
    ],
)
def test_maps_are_drawn_and_nothing_else_happens(open_page, pages, which, width) -> None:
    opened = open_page(pages[which], width=width)
    page = opened.page
    drawings = page.locator(".overlays svg")
    assert drawings.count() == (9 if which == "audit" else 3 * 2 * 2)
    sizes = drawings.evaluate_all("all => all.map(e => e.getBoundingClientRect()).map(r => [r.width, r.height])")
    assert all(w > 60 and abs(w - h) < 4 for w, h in sizes)
    used = page.locator(".overlays use").evaluate_all(
        "all => all.map(e => document.querySelector(e.getAttribute('href')) !== null)"
    )
    assert all(used) and len(used) == (0 if which == "audit" else 6)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.PWNED") is None
    assert set(page.locator(".overlays [data-class]").evaluate_all("all => all.map(e => e.dataset.class)")) == set(
        NAMES
    )
    found = find_spec("axe_playwright_python")
    if found is not None and found.origin is not None:
        opened.wait_for_charts()
        page.evaluate((Path(found.origin).parent / "axe.min.js").read_text())
        violations = page.evaluate("axe.run()")["violations"]
        assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in violations] == []
    if which == "audit":
        of = audit(make(), lenses=["errors"])["errors"].tables["errors"]["class"]
        page.select_option("#class", of[0])
        cards = page.locator("#error-list > li")
        cards.first.wait_for()
        assert cards.count() == (of == of[0]).sum() == page.locator("#error-list image.map").count()
    assert opened.messages == []
