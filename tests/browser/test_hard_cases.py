"""What a page must stand: names that JavaScript knows, charts that cannot wake, narrow screens."""

from __future__ import annotations

from pathlib import Path

import pytest

from imblens.report import audit
from tests.report.runs import CIFAR, make_run

pytestmark = pytest.mark.browser
INHERITED = ("cat", "__proto__", "constructor", "toString")
OUTSIDE = """all => all.flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(text => text.textContent.trim() && text.getAttribute('opacity') !== '0')
    .map(text => [text.textContent, text.getBoundingClientRect()])
    .filter(([, box]) => box.width && (box.left < frame.left - 3 || box.right > frame.right + 3)).map(([text]) => text);
})"""


@pytest.mark.thorough  # their charts: tests/report/test_lens_charts.py
def test_names_that_every_object_of_javascript_has_are_names_like_others(open_page, tmp_path):
    file = audit(make_run(INHERITED)).save(tmp_path / "out", figures=False)
    opened = open_page(file)
    opened.wait_for_charts()
    page = opened.page
    states = page.eval_on_selector_all("figure[id]", "all => all.map(f => [f.dataset.live, f.dataset.reason])")
    assert states and all(state == ["yes", None] for state in states), states
    heights = page.eval_on_selector_all(
        ".live svg, .live canvas", "all => all.map(f => f.getBoundingClientRect().height)"
    )
    assert min(heights) > 60
    page.select_option("#class", "__proto__")
    assert page.inner_text("#chosen h2") == "__proto__"
    page.wait_for_function("document.querySelector('figure[id] .live svg [opacity=\"0.15\"]') !== null")
    chart = page.locator("#lens-archetypes .plot").first
    with page.expect_download() as started:
        chart.locator(".save[data-kind=csv]").click()
    rows = Path(started.value.path()).read_text().splitlines()[1:]
    assert {row.split(",")[0] for row in rows} == set(INHERITED)
    assert opened.messages == []


def test_a_chart_that_cannot_wake_keeps_its_drawing(open_page, report):
    opened = open_page(report)
    page = opened.page
    page.evaluate(
        "() => { window.vegaEmbed = async box => { box.innerHTML = '<svg height=\"0\"></svg>'; return {}; }; }"
    )
    figure = page.locator("figure[id]").last
    figure.scroll_into_view_if_needed()
    page.wait_for_function("figure => figure.dataset.live === 'no'", arg=figure.element_handle())
    assert figure.locator("> svg, > img").bounding_box()["height"] > 60
    assert figure.locator(".live").count() == 0 and "0 pixels" in figure.get_attribute("data-reason")
    assert opened.messages == []


def test_on_a_narrow_screen_no_text_of_a_chart_is_cut(open_page, report):
    opened = open_page(report, width=400)
    opened.wait_for_charts()
    page = opened.page
    first = page.locator("figure[id]").first.locator("svg").text_content()
    assert first.count("x rarer)") == len(CIFAR) - 1 and "…" not in first
    assert page.eval_on_selector_all(".live svg", OUTSIDE) == []


def test_on_a_narrow_screen_a_cell_of_a_comparison_is_one_line(open_page, comparison):
    page = open_page(comparison, width=400).page
    places = page.eval_on_selector_all(
        ".compared td > *", "all => all.map(div => div.offsetLeft - div.parentElement.offsetLeft)"
    )
    assert len(places) == page.locator(".compared td").count() > 0
    assert min(places) > 100  # each beside its label


def test_a_chart_gives_its_numbers_under_the_names_of_classes(open_page, report):
    page = open_page(report).page
    with page.expect_download() as started:
        page.locator(".save[data-kind=csv]").first.click()
    assert started.value.suggested_filename == "class_accuracy-chart.csv"
    lines = [line.split(",") for line in Path(started.value.path()).read_text().splitlines()]
    assert lines[0][0] == "class" and not {"name", "few", "remark"} & set(lines[0])
    assert [line[0] for line in lines[1:]] == list(CIFAR)


@pytest.mark.parametrize("width", [768, *(pytest.param(n, marks=pytest.mark.thorough) for n in (840, 1088, 1280))])
@pytest.mark.parametrize("which", ["report", "hostile_report"])
def test_no_table_in_sight_is_wider_than_the_page(open_page, request, which, width):
    page = open_page(request.getfixturevalue(which), width=width).page
    wide = page.eval_on_selector_all(
        ".scroll",
        "all => all.filter(box => !box.closest('details') && box.scrollWidth > box.clientWidth + 1).map(box => box.ariaLabel)",
    )
    assert wide == []
