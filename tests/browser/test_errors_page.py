"""The errors behind a class or a cell: chosen by mouse, keyboard and address, ticked, printed, and there without a script."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from imblens.lenses import errors
from imblens.report import audit
from imblens.run import Run
from tests.report.runs import HOSTILE, make_run

pytestmark = pytest.mark.browser
CARDS = "#error-list > li"
AT_ONCE = 24  # cards before "Show all"


@pytest.fixture(scope="module")
def pair() -> tuple[str, str, int]:
    """The commonest pair of a class and a prediction in `report`, and its errors."""
    pairs = errors(make_run(images=True)).tables["error_pairs"]
    row = pairs.loc[pairs["count"].idxmax()]
    return row["class"], row["predicted"], int(row["count"])


def address(name: str, predicted: str) -> str:
    return f"#class={quote(name, safe='')}&predicted={quote(predicted, safe='')}"


def expected(name: str, predicted: str | None = None) -> list[tuple[str, str]]:
    """Id and prediction of the test errors of a class, or of a cell, in the order of their probability; from the arrays."""
    run = make_run(images=True)
    logits = run.test.features.astype(np.float64) @ run.head.weight.T + run.head.bias
    chance = np.exp(logits - logits.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    order = np.argsort(-chance.max(axis=1), kind="stable")
    told = [(run.classes[run.test.labels[i]], run.classes[logits[i].argmax()], run.test.ids[i]) for i in order]
    wrong = [(of, taken_for, one) for of, taken_for, one in told if of == name != taken_for]
    return [(one, taken_for) for _, taken_for, one in wrong if predicted in (None, taken_for)]


def nearest_training(test_id: str) -> list[str]:
    run = make_run(images=True)
    own = run.test.features[list(run.test.ids).index(test_id)]
    near = np.argsort(((run.train.features - own) ** 2).sum(axis=1), kind="stable")[:3]
    return [f"{run.train.ids[i]}, {run.classes[run.train.labels[i]]}" for i in near]


def click_cell(page, figure, name: str, predicted: str) -> None:
    """Search the cell of a matrix by its tooltip, from row to column, and click it."""
    box = figure.locator(".live").bounding_box()

    def at(x: float, y: float) -> list[str]:
        page.mouse.move(box["x"] + x, box["y"] + y)
        return page.locator("#tip:not([hidden]) dd").all_inner_texts()

    rows = ((x, y) for y in range(40, int(box["height"]), 9) for x in (0.5 * box["width"], 0.7 * box["width"]))
    y = next(y for x, y in rows if at(x, y)[:1] == [name])
    x = next(x for x in range(40, int(box["width"]), 14) if at(x, y)[:2] == [name, predicted])
    page.mouse.click(box["x"] + x, box["y"] + y)


@pytest.mark.parametrize("matrix", ["confusion", "adversaries_observed", "adversaries"])
def test_a_cell_of_a_matrix_shows_its_images(open_page, report, pair, matrix):
    name, predicted, count = pair
    opened = open_page(report)
    page = opened.page
    figure = page.locator(f'figure[id]:has(+ .take [data-name="{matrix}"])')
    figure.scroll_into_view_if_needed()
    page.wait_for_function("figure => figure.dataset.live === 'yes'", arg=figure.element_handle())
    click_cell(page, figure, name, predicted)
    page.locator(CARDS).first.wait_for()
    assert page.evaluate("location.hash") == address(name, predicted)
    shown = page.locator(f"{CARDS} .mark").all_inner_texts()
    assert shown == [one for one, _ in expected(name, predicted)[:AT_ONCE]] and len(shown) == min(count, AT_ONCE)
    assert f"{count} test error" in page.inner_text("#errors-of")
    first = page.locator(CARDS).first
    assert first.locator("> .pic[role=img]").get_attribute("aria-label") == f"{shown[0]}, {name}"
    near = first.locator(".neighbour .pic").evaluate_all("all => all.map(pic => pic.ariaLabel)")
    assert near == nearest_training(shown[0])
    page.wait_for_function("document.querySelector('#error-list').getBoundingClientRect().top < innerHeight")
    assert opened.messages == []


def test_every_error_of_a_cell_of_forty_can_be_seen(open_page, tmp_path):
    rng = np.random.default_rng(0)
    labels, taken_for = np.repeat([0, 1, 2], 40), np.repeat([1, 1, 2], 40)  # every "a" is taken for "b"
    logits = 3 * np.eye(3)[taken_for] + rng.uniform(size=(120, 3))
    features = rng.normal(size=(120, 4)) + 4 * np.eye(3, 4)[taken_for]
    run = Run.from_arrays(train=(features, labels), test=(features, labels, logits), classes=("a", "b", "c"))
    file = audit(run, lenses=["class_accuracy", "errors"]).save(tmp_path / "out", figures=False)
    page = open_page(file, fragment=address("a", "b")).page
    page.locator(CARDS).first.wait_for()
    assert (
        page.inner_text("#errors-of") == "40 test errors of a predicted b." and page.locator(CARDS).count() == AT_ONCE
    )
    page.click("#all-errors")
    assert sorted(page.locator(f"{CARDS} .mark").all_inner_texts(), key=int) == [str(i) for i in range(40)]


def test_a_class_that_is_clicked_or_typed_lists_its_errors(open_page, report, pair):
    name, predicted, _ = pair
    page = open_page(report).page
    page.locator('.classes tr[data-class="truck"] th').click()
    page.locator(CARDS).first.wait_for()
    told = expected("truck")
    shown = page.locator(f"{CARDS} .mark").all_inner_texts()
    assert shown == [one for one, _ in told if one in shown] and shown[0] == told[0][0]
    assert f"{len(told)} test errors of truck" in page.inner_text("#errors-of")
    page.keyboard.press("Escape")
    assert page.locator("#error-list").is_hidden()
    page.focus("#class")
    page.keyboard.type(name)
    page.locator(CARDS).first.wait_for()
    assert page.locator(f"{CARDS} .mark").first.inner_text() == expected(name)[0][0]
    page.focus("#predicted")
    page.keyboard.type(predicted)
    assert page.evaluate("location.hash") == address(name, predicted)
    for _ in range(4):  # "Show all", the download and "Clear" are before the list
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#error-list .tick')"):
            break
    assert page.evaluate("document.activeElement.parentElement.innerText") == expected(name, predicted)[0][0]


def test_the_address_of_a_cell_can_be_sent(open_page, report, pair):
    name, predicted, count = pair
    page = open_page(report, fragment=address(name, predicted)).page
    assert page.locator(CARDS).count() == min(count, AT_ONCE)
    assert page.eval_on_selector("#class", "select => select.value") == name
    assert page.eval_on_selector("#predicted", "select => select.value") == predicted
    page.select_option("#predicted", "")
    assert page.evaluate("location.hash") == f"#class={name}"
    assert page.locator(CARDS).count() >= min(count, AT_ONCE)
    page.select_option("#class", "")
    assert page.locator("#error-list").is_hidden() and page.locator("#predicted").is_disabled()


def test_a_link_of_the_class_table_leads_to_the_errors(open_page, report):
    opened = open_page(report)
    link = opened.page.locator(".classes td[data-label='Errors go to'] a").first
    link.click()
    assert opened.page.evaluate("location.hash") == link.get_attribute("href")
    opened.page.wait_for_function("() => document.getElementById('errors').getBoundingClientRect().y < 900")
    opened.page.locator(CARDS).first.wait_for()
    assert opened.page.evaluate("document.activeElement.id") == "errors"  # the next Tab is in the list


def test_errors_are_walked_through_and_ticked_by_key(open_page, report, pair):
    name, predicted, _ = pair
    page = open_page(report, fragment=address(name, predicted)).page
    boxes = page.locator(f"{CARDS} .tick")
    boxes.first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement === document.querySelector('#error-list .tick')")
    assert page.inner_text("#ticked-errors") == "2 ticked."
    with page.expect_download() as started:
        page.click("#take-errors")
    lines = Path(started.value.path()).read_text().splitlines()
    table = errors(make_run(images=True)).tables["errors"]
    rows = table[(table["class"] == name) & (table["predicted"] == predicted)].head(2)
    assert started.value.suggested_filename == "errors.csv" and lines[0] == "id,class,predicted,probability"
    assert [line.split(",")[:3] for line in lines[1:]] == rows[["id", "class", "predicted"]].values.tolist()
    page.reload()
    assert page.inner_text("#ticked-errors") == "2 ticked." and page.locator(f"{CARDS} .tick:checked").count() == 2
    page.click("#clear-errors")
    assert page.locator(f"{CARDS} .tick:checked").count() == 0


def test_names_of_cells_are_data(open_page, hostile_report):
    opened = open_page(hostile_report)
    page = opened.page
    for name in HOSTILE:
        page.select_option("#class", name)
        options = page.locator("#predicted option").evaluate_all("all => all.map(option => option.value)")
        assert set(options) <= {"", *HOSTILE}
        if len(options) > 1:
            page.select_option("#predicted", options[1])
            assert page.locator(CARDS).count() > 0
            shared = page.evaluate("location.hash")
            page.reload()
            assert page.evaluate("location.hash") == shared and page.locator(CARDS).count() > 0
    assert page.evaluate("window.PWNED") is None and opened.messages == []


def test_without_script_each_class_shows_its_errors_and_cells_have_an_address(open_page, report, pair):
    name, predicted, _ = pair
    page = open_page(report, fragment=address(name, predicted), java_script_enabled=False).page
    assert page.locator(".gallery.errors > li").count() == errors(make_run()).tables["errors"]["class"].nunique()
    at = page.locator(".gallery.errors figure:has(:target)")
    assert at.count() == 1 and predicted in at.inner_text()
    for _ in range(100):  # the address is followed once the page is laid out
        if 0 <= at.bounding_box()["y"] < 900:
            break
        page.wait_for_timeout(100)
    assert 0 <= at.bounding_box()["y"] < 900
    assert at.locator(".pic").count() == 1
    assert not page.locator("#predicted").is_visible()


def test_the_chosen_cell_is_printed(open_page, report, pair):
    pypdf = pytest.importorskip("pypdf")
    name, predicted, count = pair
    page = open_page(report, fragment=address(name, predicted)).page
    page.wait_for_selector(CARDS)
    text = " ".join(part.extract_text() for part in pypdf.PdfReader(io.BytesIO(page.pdf())).pages)
    text = " ".join(text.split())
    assert f"{count} test errors of {name} predicted {predicted}" in text
    assert text.count(f"{name} predicted {predicted}") == 1 + min(count, AT_ONCE)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_accessibility_checker_finds_nothing_in_the_errors(open_page, report, pair, scheme, width):
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed")
    page = open_page(report, width=width, color_scheme=scheme, fragment=address(*pair[:2])).page
    page.wait_for_selector(CARDS)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate((Path(found.origin).parent / "axe.min.js").read_text())
    violations = page.evaluate("axe.run(document.querySelector('#lens-errors'), {resultTypes: ['violations']})")[
        "violations"
    ]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in violations] == []
