"""The report as people meet it: in a browser, from disk, with the network gone."""

from __future__ import annotations

import base64
import io
import json
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from imblens.report import audit
from tests.report.runs import CIFAR, HOSTILE, make_run

pytestmark = pytest.mark.browser
OPEN_ALL = "html => html.querySelectorAll('details').forEach(details => { details.open = true; })"


def chosen(page) -> str:
    return page.eval_on_selector("#class", "select => select.value")


def test_page_is_silent_and_asks_for_nothing(woken, report):
    assert woken.messages == []
    assert woken.requests == [report.as_uri()]


def test_vega_takes_over_every_chart(woken):
    states = woken.page.eval_on_selector_all("figure[id]", "all => all.map(f => [f.dataset.live, f.dataset.reason])")
    assert states
    assert all(state == ["yes", None] for state in states), states
    counts = woken.page.eval_on_selector_all(
        "figure[id]", "all => all.map(f => f.querySelectorAll('.live svg, .live canvas').length)"
    )
    assert set(counts) == {1}
    assert woken.page.locator("figure[id] > svg, figure[id] > img").count() == 0


def test_verdict_is_on_the_first_screen(open_page, report):
    page = open_page(report).page
    lines = audit(make_run(images=True), lenses=["class_accuracy"]).verdict()
    assert page.inner_text("h1") == lines[0]
    for what in ("h1", ".why", ".lead:not(.why)", ".cards"):
        box = page.locator(what).bounding_box()
        assert box["y"] + box["height"] < 900, what
    figure = page.locator("figure[id]").first.bounding_box()
    assert figure["y"] < 900


def test_without_script_the_answer_and_the_drawings_are_there(open_page, report):
    page = open_page(report, java_script_enabled=False).page
    assert "of the time" in page.inner_text("h1")
    drawings = page.locator("figure[id] > svg, figure[id] > img")
    assert drawings.count() == page.locator("figure[id]").count() > 0
    box = drawings.first.bounding_box()
    assert box["width"] > 400 and box["height"] > 100
    assert not page.locator("#class").is_visible()


THOROUGH = pytest.mark.thorough  # one of each is enough to see most faults


@pytest.mark.parametrize(
    ("script", "width"),
    [(True, 400), (False, 1280), pytest.param(True, 1280, marks=THOROUGH), pytest.param(False, 400, marks=THOROUGH)],
)
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


def test_choosing_a_class_moves_everything(woken):
    page = woken.page
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


LOOKS = """all => all.map(figure => {
  const drawn = figure.querySelector('.live svg, .live canvas');
  return [drawn.tagName === 'svg' ? drawn.outerHTML : drawn.toDataURL(),
          figure.parentElement.querySelector('.apart')?.textContent ?? ''];
})"""


def alike(one: str, other: str) -> bool:
    """Whether two looks are the same; where a canvas was drawn again a few pixels at its edges may differ."""
    if one == other or not one.startswith("data:") or not other.startswith("data:"):
        return one == other
    a, b = (Image.open(io.BytesIO(base64.b64decode(text.split(",")[1]))).convert("RGBA") for text in (one, other))
    if a.size != b.size:
        return False
    return int((np.abs(np.asarray(a, int) - np.asarray(b, int)).max(axis=-1) > 8).sum()) < 20


@pytest.mark.parametrize("which", ["report", "comparison"])
def test_every_chart_follows_the_chosen_class_or_states_why_not(request, which):
    page = request.getfixturevalue("woken" if which == "report" else "woken_comparison").page
    name = page.evaluate("JSON.parse(document.getElementById('imblens-page').textContent).classes.at(-1)")
    before = page.eval_on_selector_all("figure[id]", LOOKS)
    page.select_option("#class", name)
    page.wait_for_timeout(500)
    titles = page.eval_on_selector_all("figure[id]", "all => all.map(figure => figure.ariaLabel.split('.')[0])")
    after = page.eval_on_selector_all("figure[id]", LOOKS)
    apart = {}
    for title, (then, silent), (now, told) in zip(titles, before, after, strict=True):
        assert silent == ""
        if alike(now, then):
            apart[title] = told
    # among the suspects of large classes a rare one has no bar
    assert set(apart) <= {"Label suspects", "Diagnosis"}
    assert all(name in told for told in apart.values()), apart
    page.select_option("#class", "")
    page.wait_for_timeout(500)
    again = page.eval_on_selector_all("figure[id]", LOOKS)
    assert all(alike(now, then) and not told for (now, told), (then, _) in zip(again, before, strict=True))


def test_back_leads_to_the_class_before_and_links_keep_the_class(open_page, report):
    page = open_page(report).page
    page.select_option("#class", "deer")
    page.select_option("#class", "dog")
    page.locator(".toc a[href='#lens-archetypes']").click()
    assert page.evaluate("location.hash") == "#class=dog&at=lens-archetypes"
    page.wait_for_function("() => Math.abs(document.getElementById('lens-archetypes').getBoundingClientRect().y) < 100")
    assert page.evaluate("document.activeElement.id") == "lens-archetypes" and chosen(page) == "dog"
    page.go_back()
    assert page.evaluate("location.hash") == "#class=dog"
    page.go_back()
    page.wait_for_function("() => document.getElementById('class').value === 'deer'")
    page.go_back()
    page.wait_for_function("() => document.getElementById('class').value === ''")
    page.go_forward()
    page.wait_for_function("() => document.getElementById('class').value === 'deer'")
    sent = open_page(report, fragment="#class=dog&at=lens-archetypes").page
    assert chosen(sent) == "dog"
    sent.wait_for_function("() => Math.abs(document.getElementById('lens-archetypes').getBoundingClientRect().y) < 100")


def test_a_view_can_be_sent(open_page, report, hostile_report):
    page = open_page(report, fragment="#class=horse").page
    assert chosen(page) == "horse"
    page = open_page(hostile_report, fragment="#class=" + quote(HOSTILE[1], safe="")).page
    assert chosen(page) == HOSTILE[1]
    page = open_page(report, fragment="#class=%E0%A4%A").page  # not an encoding of anything
    assert chosen(page) == ""


def test_a_click_on_a_mark_or_a_row_chooses_its_class(woken):
    page = woken.page
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


def test_dark_scheme_darkens_the_page_and_leaves_the_colours_of_charts(open_page, report):
    page = open_page(report, color_scheme="dark").page
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(ground.split("(")[1].split(",")[0])
    assert red < 60
    for kind, colour in (("safe", "rgb(0, 114, 178)"), ("border", "rgb(86, 180, 233)"), ("rare", "rgb(230, 159, 0)")):
        swatch = page.locator(f".swatch.{kind}").evaluate("element => getComputedStyle(element).backgroundColor")
        assert swatch == colour, kind  # as charts have it
    page = open_page(report, color_scheme="dark", java_script_enabled=False).page
    style = "element => [getComputedStyle(element).filter, getComputedStyle(element).backgroundColor]"
    assert page.locator("figure[id]").first.evaluate(style) == ["none", "rgb(255, 255, 255)"]


def test_without_the_fonts_of_charts_no_label_of_a_drawing_is_cut(open_page, report):
    page = open_page(report, java_script_enabled=False).page
    cut = """all => all.flatMap(svg => [...svg.querySelectorAll('text')].filter(text =>
      text.getBoundingClientRect().left < svg.getBoundingClientRect().left - 2).map(text => text.textContent))"""
    assert page.locator("figure[id] > svg").count() and page.locator("figure[id] > svg").evaluate_all(cut) == []


def printed(page) -> list[str]:
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")
    return [sheet.extract_text() for sheet in pypdf.PdfReader(io.BytesIO(page.pdf(format="A4"))).pages]


def flat(pages: list[str]) -> str:
    return " ".join("".join(pages).split())


def test_prints_as_a_paper(open_page, report):
    """Two pages of summary, then no more than a page for each class that needs help."""
    page = open_page(report).page
    needed = page.locator("section.paper h2").all_text_contents()
    pages = printed(page)
    assert needed and len(pages) <= 2 + len(needed)
    assert all(len(text) > 20 for text in pages)  # none is blank
    assert "is classified correctly" in pages[0] and all(name in flat(pages[:2]) for name in CIFAR)
    rest = flat(pages[2:])
    assert all(name in rest for name in needed) and "Skipped analyses" in rest and "Confusion" in rest
    assert "Does the head lean" not in rest  # the question of a lens, whose charts are left out
    assert "Show class" not in flat(pages)


def test_every_chart_prints_on_request(woken):
    page = woken.page
    page.evaluate("print = () => {}")
    page.click("#print-all")
    page.emulate_media(media="print")
    assert not page.locator("#class").is_visible()
    assert page.locator("h1").is_visible() and not page.locator(".paper").first.is_visible()
    page.emulate_media(media="screen")
    pages = printed(page)  # which ends with `afterprint`
    assert 5 <= len(pages) <= 30 and all(len(text) > 20 for text in pages)
    titles = page.locator(".plot:not(.whole) > h3").all_text_contents()
    assert len(titles) > 15 and all(title in flat(pages) for title in titles)
    assert "whole" not in page.evaluate("document.documentElement.className")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    still = page.locator("figure[id] > svg, figure[id] > img")
    assert still.count() == page.locator("figure[id]").count()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert still.count() == 0


def test_without_script_every_chart_is_printed(open_page, report):
    page = open_page(report, java_script_enabled=False).page
    page.emulate_media(media="print")
    figures = page.locator("figure[id]")
    assert all(figures.nth(i).is_visible() for i in range(figures.count()))
    assert not page.locator(".paper").first.is_visible()


def test_images_have_names(woken):
    page = woken.page
    nameless = page.eval_on_selector_all(
        ".pic", "all => [all.length, all.filter(pic => pic.role !== 'img' || !pic.ariaLabel).length]"
    )
    assert nameless[0] > 20 and nameless[1] == 0
    shown = page.locator(".gallery .pic").first.evaluate("pic => getComputedStyle(pic).backgroundImage")
    assert shown.startswith('url("data:image/jpeg;base64,')


def column(page, table: str, place: int) -> list[str]:
    rows = f"{table} tbody tr:visible > :nth-child({place})"
    return page.locator(rows).evaluate_all("cells => cells.map(cell => cell.innerText.split('\\n')[0])")


def test_column_heads_sort_the_table_of_classes(open_page, report):
    page = open_page(report).page
    assert column(page, ".classes", 1) == list(CIFAR)  # rarest last
    head = page.get_by_role("columnheader", name="Accuracy")
    head.get_by_role("button").click()
    rising = [float(text.split("%")[0]) for text in column(page, ".classes", 3)]
    assert rising == sorted(rising) and head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").press("Enter")
    falling = [float(text.split("%")[0]) for text in column(page, ".classes", 3)]
    assert falling == sorted(rising, reverse=True) and head.get_attribute("aria-sort") == "descending"
    page.get_by_role("columnheader", name="Class").get_by_role("button").click()
    assert column(page, ".classes", 1) == sorted(CIFAR)
    assert page.locator("th[aria-sort]").count() == 1


def test_a_narrow_screen_sorts_by_a_list(open_page, report):
    page = open_page(report, width=400).page
    page.locator("#classes .sort-by select").select_option(label="Training, ascending")
    assert column(page, ".classes", 1) == list(reversed(CIFAR))


def test_classes_are_stepped_through_and_cleared_by_key(open_page, report):
    page = open_page(report).page
    page.focus("#after")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert chosen(page) == CIFAR[1]
    page.focus("#before")
    page.keyboard.press("Space")
    assert chosen(page) == CIFAR[0]
    page.keyboard.press("Escape")
    assert chosen(page) == ""
    page.locator(".card").first.click()
    assert chosen(page) == page.inner_text(".card h3")


def test_the_chosen_class_is_reported_by_every_lens(open_page, report):
    page = open_page(report, fragment=f"#class={CIFAR[-1]}").page
    page.locator("#chosen summary").click()
    told = page.locator("#chosen .stated li")
    assert told.count() >= 3 and all(CIFAR[-1] in told.nth(i).inner_text() for i in range(told.count()))
    assert page.locator("#chosen .pic").count() >= 1


def test_a_point_on_the_map_shows_its_image(woken):
    page = woken.page
    figure = page.locator("#lens-embedding_map figure[id]")
    figure.scroll_into_view_if_needed()
    box = figure.locator("canvas").bounding_box()
    tip = page.locator("#tip")
    with_image = False
    grid = [(x, y) for x in range(20, int(box["width"]), 9) for y in range(60, int(box["height"]) - 20, 9)]
    grid.sort(key=lambda at: abs(at[0] - box["width"] / 2) + abs(at[1] - box["height"] / 2))
    for x, y in grid:  # from the middle outwards until a point is met
        page.mouse.move(box["x"] + x, box["y"] + y)
        if tip.is_visible() and tip.locator(".pic").count():
            with_image = True
            break
    assert with_image
    assert any(name in tip.inner_text() for name in CIFAR)
    page.mouse.move(2, 2)
    assert not tip.is_visible()
    assert woken.messages == []


def test_ticked_suspects_are_downloaded_and_kept(open_page, report):
    page = open_page(report).page
    rows = page.locator(".suspects tbody tr")
    if rows.count() > 12:
        assert page.locator(".suspects tbody tr:visible").count() == 12
        page.click("#unfold")
    assert page.locator(".suspects tbody tr:visible").count() == rows.count()
    assert rows.count() > 1 and page.locator("#take-ticks").is_disabled()
    wanted = [rows.nth(i).locator(".tick").get_attribute("data-id") for i in (0, 1)]
    for i in (0, 1):
        rows.nth(i).locator(".tick").check()
    assert page.inner_text("#ticked") == "2 ticked."
    with page.expect_download() as started:
        page.click("#take-ticks")
    assert started.value.suggested_filename == "wrong-labels.csv"
    lines = Path(started.value.path()).read_text().splitlines()
    assert lines[0] == "id,class,suggested" and [line.split(",")[0] for line in lines[1:]] == wanted
    page.reload()
    assert page.inner_text("#ticked") == "2 ticked."
    page.click("#clear-ticks")
    assert page.locator(".tick:checked").count() == 0


def test_drawings_and_numbers_can_be_taken(open_page, report):
    opened = open_page(report)
    page = opened.page
    with page.expect_download() as started:
        page.locator(".save[data-kind=svg]").first.click()
    assert started.value.suggested_filename == "class_accuracy.svg"
    assert Path(started.value.path()).read_text().startswith("<svg")
    with page.expect_download() as started:
        page.locator(".save[data-kind=png]").first.click()
    image = Image.open(started.value.path())
    assert image.width > 2000 and image.getpixel((0, 0))[:3] == (255, 255, 255)
    with page.expect_download() as started:
        page.locator(".save[data-kind=csv]").first.click()
    lines = Path(started.value.path()).read_text().splitlines()
    assert len(lines) == 1 + len(CIFAR) and "accuracy" in lines[0]
    assert opened.messages == []


@pytest.mark.thorough  # tests/report/test_papers.py
def test_a_hundred_classes_are_summed_up_on_two_pages(open_page, tmp_path):
    made = make_run(tuple(f"kind {i}" for i in range(100)), n=3000, per_test=20)
    file = audit(made, lenses=["class_accuracy", "archetypes"]).save(tmp_path / "out", figures=False)
    page = open_page(file).page
    pages = printed(page)
    assert "In print: the 8 rarest of 100 classes" in flat(pages[:2])
    needed = page.locator("section.paper").count()
    assert 1 < needed <= 8 and len(pages) <= 2 + needed
    assert "rare (1)" in flat(pages[:2])  # the key stands with its table


@pytest.mark.thorough  # the next test, with more classes
def test_a_class_among_very_many_is_found_by_name(open_page, tmp_path):
    names = tuple(f"kind {i}" for i in range(150))
    made = audit(make_run(names, n=3000, per_test=4), lenses=["class_accuracy", "adversaries"])
    page = open_page(made.save(tmp_path / "out", figures=False)).page
    rows = page.locator(".classes tbody tr:visible")
    assert rows.count() == 60
    page.fill("#find", "kind 77")
    assert column(page, ".classes", 1) == ["kind 77"]
    page.locator(".classes tr:visible th").last.click()
    assert chosen(page) == "kind 77" and page.inner_text("#chosen h2") == "kind 77"
    page.fill("#find", "")
    assert rows.count() == 61  # the ends, and the chosen one
    page.get_by_role("columnheader", name="Training").get_by_role("button").click()
    counts = [int(text) for text in column(page, ".classes", 2)]
    assert counts == sorted(counts) and counts[0] < counts[-1]


def test_a_class_that_the_page_holds_packed_is_found_sorted_and_addressed(open_page, tmp_path, monkeypatch):
    monkeypatch.setattr("imblens.report._class_table.ALL_ROWS", 130)
    monkeypatch.setattr("imblens.report._class_table.WORST", 10)
    names = tuple(f"kind {i:03d}" for i in range(150))
    made = audit(make_run(names, n=3000, per_test=4), lenses=["class_accuracy", "adversaries"])
    file = made.save(tmp_path / "out", figures=False)
    whole = set(re.findall('<tr data-class="([^"]+)"', file.read_text()))
    packed = next(name for name in names if name not in whole)
    opened = open_page(file)
    page = opened.page
    rows = page.locator(".classes tbody tr:visible")
    assert rows.count() == 60 and page.locator(".classes tbody tr").count() == len(whole) < 75
    page.fill("#find", packed)
    rows.filter(has_text=packed).first.wait_for()
    assert column(page, ".classes", 1) == [packed]
    page.fill("#find", "")
    page.get_by_role("columnheader", name="Class").get_by_role("button").click()
    assert column(page, ".classes", 1) == [*names[:30], *names[-30:]]
    page.get_by_role("columnheader", name="Training").get_by_role("button").click()
    counts = [int(text) for text in column(page, ".classes", 2)]
    assert counts == sorted(counts) and counts[0] < counts[-1]
    page.goto(file.as_uri() + "#class=" + packed.replace(" ", "%20"))
    page.reload()
    page.locator("#chosen h2").wait_for()
    assert page.inner_text("#chosen h2") == packed == chosen(page)
    assert "Accuracy" in page.inner_text("#chosen") and "Results of each lens" in page.inner_text("#chosen")
    assert packed in column(page, ".classes", 1)
    assert opened.messages == []
    plain = open_page(file, java_script_enabled=False).page
    assert plain.locator(".classes tbody tr:visible").count() == len(whole)


@pytest.mark.thorough  # the test before
def test_ten_thousand_classes_open_and_each_of_them_is_found(open_page, tmp_path):
    names = tuple(f"kind {i:05d}" for i in range(10_000))
    made = audit(make_run(names, n=20_000, per_test=1), lenses=["class_accuracy"])
    file = made.save(tmp_path / "out", figures=False)
    assert file.stat().st_size < 10e6
    opened = open_page(file)
    opened.wait_for_charts()
    page = opened.page
    whole = set(re.findall('<tr data-class="([^"]+)"', file.read_text()))
    assert page.locator(".classes tbody tr").count() == len(whole) <= 300
    for packed in [name for name in names if name not in whole][::3_000]:
        page.fill("#find", packed)
        page.locator(".classes tbody tr:visible", has_text=packed).first.wait_for()
        assert column(page, ".classes", 1) == [packed]
        page.locator(".classes tr:visible th").last.click()
        assert chosen(page) == packed and page.inner_text("#chosen h2") == packed
        page.select_option("#class", "")  # else its row stays
    page.fill("#find", "")
    page.get_by_role("columnheader", name="Training").get_by_role("button").click()
    counts = [int(text) for text in column(page, ".classes", 2)]
    assert counts == sorted(counts) and counts[0] < counts[-1]
    assert opened.messages == []


def test_zoomed_to_twice_the_size_nothing_is_cut(open_page, report):
    opened = open_page(report, width=640, height=450)  # what 200 % makes of 1280 x 900
    opened.wait_for_charts()
    page = opened.page
    assert page.locator("html").evaluate("html => html.scrollWidth") <= 640
    assert page.locator("#class").bounding_box()["x"] + page.locator("#class").bounding_box()["width"] <= 640


@pytest.mark.parametrize(
    ("which", "scheme", "width"),
    [
        ("report", "light", 1280),
        ("comparison", "dark", 400),
        pytest.param("report", "dark", 400, marks=THOROUGH),
        pytest.param("comparison", "light", 1280, marks=THOROUGH),
    ],
)
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
    result = opened.page.evaluate("axe.run({resultTypes: ['violations']})")
    told = [(v["id"], v["impact"], [node["html"][:200] for node in v["nodes"][:3]]) for v in result["violations"]]
    assert told == [], json.dumps(told, indent=1)
    assert len(result["passes"]) > 15


def test_page_is_small_and_light(woken, report):
    thumbnails = re.findall(
        r'<span class="pic[^>]*></span>|data:image/jpeg[^"\')]+', report.read_text(encoding="utf-8")
    )
    assert thumbnails, "the budget is for a page without them"
    assert report.stat().st_size - sum(map(len, thumbnails)) < 1_600_000
    everything = woken.page.evaluate("document.querySelectorAll('*').length")
    in_tables = woken.page.evaluate("document.querySelectorAll('table *').length")
    assert everything - in_tables < 3000


def test_a_comparison_has_a_row_for_each_class_that_sorts_and_chooses(open_page, comparison):
    page = open_page(comparison).page
    assert column(page, ".compared", 1) == list(HOSTILE)  # rarest last
    head = page.locator(".compared thead th").last
    head.get_by_role("button").click()
    rising = [text.split(" points")[0].replace("\u2212", "-") for text in column(page, ".compared", 7)]
    assert [float(text) for text in rising] == sorted(map(float, rising))
    row = page.locator(".compared tbody tr").first
    row.locator("th").click()
    assert chosen(page) == row.get_attribute("data-class")
    assert page.locator(".compared tbody tr:visible").count() == len(HOSTILE)


def test_comparison_is_silent_safe_and_alive(woken_comparison, comparison):
    opened = woken_comparison
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
