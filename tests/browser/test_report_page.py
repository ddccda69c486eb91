"""The report as people meet it: in a browser, from disk, with the network gone."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest

from imblens.report import audit
from tests.report.runs import CIFAR, HOSTILE, make_run

pytestmark = pytest.mark.browser
OPEN_ALL = "html => html.querySelectorAll('details').forEach(details => { details.open = true; })"


def chosen(page) -> str:
    return page.eval_on_selector("#class", "select => select.value")


def test_page_is_silent_and_asks_for_nothing(open_page, report):
    opened = open_page(report)
    opened.wait_for_charts()
    assert opened.messages == []
    assert opened.requests == [report.as_uri()]


def test_vega_takes_over_every_chart(open_page, report):
    opened = open_page(report)
    opened.wait_for_charts()
    states = opened.page.eval_on_selector_all("figure[id]", "all => all.map(f => [f.dataset.live, f.dataset.reason])")
    assert states
    assert all(state == ["yes", None] for state in states), states
    counts = opened.page.eval_on_selector_all(
        "figure[id]", "all => all.map(f => f.querySelectorAll('.live svg, .live canvas').length)"
    )
    assert set(counts) == {1}
    assert opened.page.locator("figure[id] > svg, figure[id] > img").count() == 0


def test_answer_stands_on_the_first_screen(open_page, report):
    page = open_page(report).page
    lines = audit(make_run(pictures=True), lenses=["class_accuracy"]).verdict()
    assert page.inner_text("h1") == lines[0]
    for what in ("h1", ".lead", ".cards"):
        box = page.locator(what).bounding_box()
        assert box["y"] + box["height"] < 900, what
    figure = page.locator("figure[id]").first.bounding_box()
    assert figure["y"] < 900


def test_without_script_the_answer_and_the_drawings_are_there(open_page, report):
    page = open_page(report, java_script_enabled=False).page
    assert "is right" in page.inner_text("h1")
    drawings = page.locator("figure[id] > svg, figure[id] > img")
    assert drawings.count() == page.locator("figure[id]").count() > 0
    box = drawings.first.bounding_box()
    assert box["width"] > 400 and box["height"] > 100
    assert not page.locator("#class").is_visible()


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("script", [True, False])
def test_no_sideways_scroll(open_page, report, hostile_report, comparison, width, script):
    for file in (report, hostile_report, comparison):
        opened = open_page(file, width=width, java_script_enabled=script)
        if script:
            opened.wait_for_charts()
        opened.page.locator("html").evaluate(OPEN_ALL)
        widest = opened.page.locator("html").evaluate("html => html.scrollWidth")
        assert widest <= width


def test_names_never_run(open_page, hostile_report):
    opened = open_page(hostile_report)
    opened.wait_for_charts()
    page = opened.page
    assert page.evaluate("window.PWNED") is None
    assert page.locator("img[src='x']").count() == 0
    for name in HOSTILE:
        page.select_option("#class", name)
        assert chosen(page) == name
        assert page.inner_text("#chosen h2") == name
    page.locator("figure[id]").first.hover(position={"x": 400, "y": 60})
    page.wait_for_timeout(100)
    assert page.evaluate("window.PWNED") is None
    assert opened.messages == []
    assert opened.requests == [hostile_report.as_uri()]


def test_choosing_a_class_moves_everything(open_page, report):
    opened = open_page(report)
    opened.wait_for_charts()
    page = opened.page
    name = CIFAR[-1]
    page.select_option("#class", name)
    assert page.evaluate("location.hash") == f"#class={name}"
    assert page.inner_text("#chosen h2") == name
    assert page.locator(f'.classes tr.chosen[data-class="{name}"]').count() == 1
    lines = page.locator(".lines li[data-class]:visible")
    assert all(lines.nth(i).get_attribute("data-class") in ("", name) for i in range(lines.count()))
    page.wait_for_function("document.querySelector('figure[id] .live svg [opacity=\"0.15\"]') !== null")
    page.select_option("#class", "")
    assert page.evaluate("location.hash") == ""
    assert not page.locator("#chosen").is_visible()


def test_a_view_can_be_sent(open_page, report, hostile_report):
    page = open_page(report, fragment="#class=horse").page
    assert chosen(page) == "horse"
    page = open_page(hostile_report, fragment="#class=" + quote(HOSTILE[1], safe="")).page
    assert chosen(page) == HOSTILE[1]
    page = open_page(report, fragment="#class=%E0%A4%A").page  # not an encoding of anything
    assert chosen(page) == ""


def test_a_click_on_a_mark_or_a_row_chooses_its_class(open_page, report):
    opened = open_page(report)
    opened.wait_for_charts()
    page = opened.page
    page.locator('.classes tr[data-class="deer"] th').click()
    assert chosen(page) == "deer"
    page.locator('.classes tr[data-class="deer"] th').click()
    assert chosen(page) == ""
    page.locator("figure[id]").first.locator(".mark-symbol path").first.click()
    assert chosen(page) == CIFAR[0]


def test_everything_can_be_reached_by_keyboard(open_page, report):
    page = open_page(report).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    page.focus("#class")
    page.keyboard.type("ho")
    assert chosen(page) == "horse"


def test_dark_scheme_darkens_page_and_drawings(open_page, report):
    page = open_page(report, color_scheme="dark").page
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(ground.split("(")[1].split(",")[0])
    assert red < 60
    page = open_page(report, color_scheme="dark", java_script_enabled=False).page
    assert "invert" in page.locator("figure[id] > svg").first.evaluate("svg => getComputedStyle(svg).filter")


def test_prints_as_a_paper(open_page, report, tmp_path):
    opened = open_page(report)
    opened.wait_for_charts()
    page = opened.page
    paper = page.pdf(format="A4")
    assert paper.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b(?!s)", paper)) <= 40
    page.emulate_media(media="print")
    assert not page.locator("#class").is_visible()
    assert page.locator("h1").is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    still = page.locator("figure[id] > svg, figure[id] > img")
    assert still.count() == page.locator("figure[id]").count()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert still.count() == 0


def test_pictures_have_names(open_page, report):
    page = open_page(report).page
    nameless = page.eval_on_selector_all(
        ".gallery img", "all => all.filter(img => !img.alt || !img.naturalWidth).length"
    )
    assert nameless == 0


@pytest.mark.parametrize("which", ["report", "comparison"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_accessibility_checker_finds_nothing(open_page, request, which, scheme, width):
    report = request.getfixturevalue(which)
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed")
    script = (Path(found.origin).parent / "axe.min.js").read_text()
    opened = open_page(report, width=width, color_scheme=scheme)
    opened.wait_for_charts()
    opened.page.evaluate(f"({OPEN_ALL})(document.documentElement)")
    opened.page.evaluate("document.querySelectorAll('tbody tr:nth-child(n+4)').forEach(row => row.remove())")  # alike
    opened.page.evaluate(script)
    result = opened.page.evaluate("axe.run()")
    told = [(v["id"], v["impact"], [node["html"][:200] for node in v["nodes"][:3]]) for v in result["violations"]]
    assert told == [], json.dumps(told, indent=1)
    assert len(result["passes"]) > 15


def test_page_is_small_and_light(open_page, report):
    opened = open_page(report)
    opened.wait_for_charts()
    assert report.stat().st_size < 1_600_000
    everything = opened.page.evaluate("document.querySelectorAll('*').length")
    in_tables = opened.page.evaluate("document.querySelectorAll('table *').length")
    assert everything - in_tables < 3000


def test_comparison_is_silent_safe_and_alive(open_page, comparison):
    opened = open_page(comparison)
    opened.wait_for_charts()
    page = opened.page
    states = page.eval_on_selector_all("figure[id]", "all => all.map(f => [f.dataset.live, f.dataset.reason])")
    assert all(state == ["yes", None] for state in states), states
    assert page.evaluate("window.PWNED") is None
    assert opened.messages == []
    assert opened.requests == [comparison.as_uri()]
    page.select_option("#class", HOSTILE[1])
    lines = page.locator(".lines li[data-class]:visible")
    assert all(lines.nth(i).get_attribute("data-class") == HOSTILE[1] for i in range(lines.count()))
    assert page.locator("h1").bounding_box()["y"] < 200
