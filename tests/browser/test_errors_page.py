"""The errors behind a class or a cell: chosen by mouse, keyboard and address, ticked, printed, and there without a script."""

from __future__ import annotations

import io
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest

from imblens.lenses import errors
from imblens.report import audit
from tests.report.runs import HOSTILE, make_run

pytestmark = pytest.mark.browser
CARDS = "#error-list > li"


@pytest.fixture(scope="module")
def pair() -> tuple[str, str, int]:
    """The commonest pair of a class and a prediction in `report`, and its errors."""
    pairs = errors(make_run(images=True)).tables["error_pairs"]
    row = pairs.loc[pairs["count"].idxmax()]
    return row["class"], row["predicted"], int(row["count"])


def address(name: str, predicted: str) -> str:
    return f"#class={quote(name, safe='')}&predicted={quote(predicted, safe='')}"


def test_a_cell_of_the_matrix_shows_its_images(open_page, report):
    opened = open_page(report)
    page = opened.page
    figure = page.locator("#lens-class_accuracy figure[id]").last
    figure.scroll_into_view_if_needed()
    page.wait_for_function("figure => figure.dataset.live === 'yes'", arg=figure.element_handle())
    drawn = figure.locator("canvas, svg").first
    size = drawn.bounding_box()
    for place in range(100):  # a cell of the lower left half, where a rare class is taken for a common one
        x, y = 0.2 + 0.04 * (place % 10), 0.95 - 0.05 * (place // 10)
        drawn.click(position={"x": x * size["width"], "y": y * size["height"]})
        if page.locator(CARDS).count() and "&predicted=" in page.evaluate("location.hash"):
            break
    name, predicted = (page.eval_on_selector(box, "select => select.value") for box in ("#class", "#predicted"))
    pairs = errors(make_run(images=True)).tables["error_pairs"].set_index(["class", "predicted"])
    count = int(pairs.loc[(name, predicted), "count"])
    assert page.evaluate("location.hash") == address(name, predicted)
    assert page.locator(CARDS).count() == min(count, 8)
    assert f"{count} test error" in page.inner_text("#errors-of")
    chances = [float(re.search(r"([\d.]+)%", text)[1]) for text in page.locator(CARDS).all_inner_texts()]
    assert chances == sorted(chances, reverse=True)
    first = page.locator(CARDS).first
    assert first.locator("> .pic[role=img]").count() == 1 and first.locator(".neighbour .pic").count() == 3
    page.wait_for_function("document.querySelector('#error-list').getBoundingClientRect().top < innerHeight")
    assert opened.messages == []


def test_the_address_of_a_cell_can_be_sent(open_page, report, pair):
    name, predicted, count = pair
    page = open_page(report, fragment=address(name, predicted)).page
    assert page.locator(CARDS).count() == min(count, 8)
    assert page.eval_on_selector("#class", "select => select.value") == name
    assert page.eval_on_selector("#predicted", "select => select.value") == predicted
    page.select_option("#predicted", "")
    assert page.evaluate("location.hash") == f"#class={name}"
    assert page.locator(CARDS).count() >= min(count, 8)
    page.select_option("#class", "")
    assert page.locator("#error-list").is_hidden() and page.locator("#predicted").is_disabled()


def test_a_link_of_the_class_table_leads_to_the_errors(open_page, report):
    opened = open_page(report)
    link = opened.page.locator(".classes td[data-label='Errors go to'] a").first
    link.click()
    assert opened.page.evaluate("location.hash") == link.get_attribute("href")
    opened.page.wait_for_function("() => document.getElementById('errors').getBoundingClientRect().y < 900")
    opened.page.locator(CARDS).first.wait_for()


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
    assert text.count(f"{name} predicted {predicted}") == 1 + min(count, 8)


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


@pytest.mark.parametrize("kind", ["text", "labels"])
def test_texts_and_labels_have_errors_too(open_page, tmp_path, kind):
    run, name = made(kind)
    opened = open_page(audit(run, lenses=["class_accuracy", "errors"]).save(tmp_path / "out", figures=False))
    page = opened.page
    page.select_option("#class", name)
    page.wait_for_selector(CARDS)
    if kind == "text":
        assert page.locator(f"{CARDS} > .preview").count() == page.locator(CARDS).count()
        assert page.locator(f"{CARDS} .near .preview").count() > 2
    else:
        options = page.locator("#predicted option").evaluate_all("all => all.map(option => option.value)")
        assert "" in options and set(options) <= {"", "negative", "positive"}
        page.select_option("#predicted", options[1])
        assert page.evaluate("location.hash") == f"#class={name}&predicted={options[1]}"
    assert opened.messages == []


def made(kind):
    from tests.lenses.made import NAMES, captured_run

    if kind == "labels":
        return captured_run(task="multilabel"), NAMES[0]
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from imblens.run import Run
    from tests.report.test_previews import texts

    train, test = texts((120, 50, 12), 0), texts((30, 30, 30), 1)
    pipeline = make_pipeline(TfidfVectorizer(token_pattern="[a-z]{2,}"), LogisticRegression()).fit(*train)
    return Run.from_sklearn(pipeline, train=train, test=test), "fraud"
