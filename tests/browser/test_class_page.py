"""What is sent beside the report: the page of one class, and the gallery of errors at native size."""

from __future__ import annotations

import io
import re
import unicodedata
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest

from imblens.report import audit
from tests.report.runs import HOSTILE, make_run

pytestmark = pytest.mark.browser
NAME = HOSTILE[6]  # 300 characters without a space
CARDS = "#error-list > li"
AT_ONCE = 24  # cards before "Show all"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    """The folder of a report with both, and its listed errors."""
    found = audit(make_run(HOSTILE, images=True), lenses=["class_accuracy", "errors"], of=NAME)
    noise = np.random.default_rng(0).integers(0, 255, (150, 700, 3), np.uint8)  # wider than a narrow screen
    out = tmp_path_factory.mktemp("class") / "out"
    found.save(out, figures=False, gallery=lambda split, name: noise if split == "test" else None)
    return out, found["errors"].tables["errors"]


def violations(page) -> list[tuple[str, list[str]]]:
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed")
    page.evaluate((Path(found.origin).parent / "axe.min.js").read_text())
    told = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in told]


@pytest.mark.parametrize(("scheme", "width"), [("dark", 400), ("light", 1280)])
def test_the_page_of_a_class_fits_the_screen_and_is_accessible(open_page, written, scheme, width):
    folder, errors = written
    opened = open_page(folder / "class.html", width=width, color_scheme=scheme)
    page = opened.page
    page.locator(CARDS).first.wait_for()
    assert page.locator(CARDS).count() == page.locator(f"{CARDS} > .pic[role=img]").count()
    assert (
        page.locator(f"{CARDS} .mark").all_inner_texts() == errors.loc[errors["class"] == NAME, "id"].tolist()[:AT_ONCE]
    )
    page.locator("html").evaluate(
        "html => html.querySelectorAll('details').forEach(details => { details.open = true; })"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    assert page.evaluate("window.PWNED") is None
    assert opened.messages == [] and opened.requests == [(folder / "class.html").as_uri()]


def test_the_page_of_a_class_needs_no_script(open_page, written):
    folder, errors = written
    own = errors[errors["class"] == NAME].head(AT_ONCE)
    predicted = own["predicted"].iloc[0]
    fragment = f"#class={NAME}&predicted=" + quote(predicted, safe="!'()*")  # as the script writes it
    page = open_page(folder / "class.html", width=400, java_script_enabled=False, fragment=fragment).page
    assert NAME in page.inner_text("h1") and "of the time" in page.inner_text("h1")
    assert page.locator(".gallery.errors figure .pic").count() == len(own)
    assert predicted in page.locator(".gallery.errors figure:has(:target)").inner_text()
    assert not page.locator("button:visible, select:visible, input:visible").count()
    assert page.locator("html").evaluate("html => html.scrollWidth") <= 400


def test_the_page_of_a_class_is_printed_with_its_errors(open_page, written):
    pypdf = pytest.importorskip("pypdf")
    folder, errors = written
    page = open_page(folder / "class.html").page
    page.locator(CARDS).first.wait_for()
    pages = [sheet.extract_text() for sheet in pypdf.PdfReader(io.BytesIO(page.pdf(format="A4"))).pages]
    text = unicodedata.normalize("NFKC", " ".join(" ".join(pages).split()))  # "fi" may be one sign
    assert all(len(sheet) > 20 for sheet in pages)
    assert text.index("is classified correctly") < text.index("misclassified?")
    assert all(f"{one} " in text for one in errors.loc[errors["class"] == NAME, "id"][:AT_ONCE])
    assert "Download" not in text and "Predicted as" not in text


def test_the_page_of_a_class_stays_with_its_class(open_page, written):
    folder, errors = written
    other = next(name for name in errors["class"] if name != NAME)
    own = errors.loc[errors["class"] == NAME, "id"].tolist()[:AT_ONCE]
    cell = quote(errors.loc[errors["class"] == other, "predicted"].iloc[0], safe="")
    opened = open_page(folder / "class.html", fragment=f"#class={quote(other, safe='')}&predicted={cell}")
    page = opened.page
    page.locator(CARDS).first.wait_for()
    ids = page.locator(f"{CARDS} .mark")
    assert ids.all_inner_texts() == own
    predicted = page.locator("#predicted option").nth(1).get_attribute("value")
    page.select_option("#predicted", predicted)
    assert page.evaluate("location.hash").endswith("&predicted=" + quote(predicted, safe="!'()*"))
    page.keyboard.press("Escape")
    assert ids.all_inner_texts() == own and page.input_value("#predicted") == ""
    page.locator(f"{CARDS} .tick").nth(1).check()
    page.goto((folder / "report.html").as_uri() + f"#class={quote(NAME, safe='')}")
    page.locator(CARDS).first.wait_for()
    assert page.inner_text("#ticked-errors") == "1 ticked."
    assert page.locator(f"{CARDS}:has(.tick:checked) .mark").all_inner_texts() == [own[1]]
    assert opened.messages == []


@pytest.mark.parametrize("script", [True, False])
def test_tables_of_a_class_are_folded_on_the_screen_and_printed(open_page, written, script):
    pypdf = pytest.importorskip("pypdf")
    page = open_page(written[0] / "class.html", java_script_enabled=script).page
    tables = page.locator("details.in-print table")
    assert tables.count() and not tables.first.is_visible()
    header = tables.first.locator("th").first.text_content()
    pages = pypdf.PdfReader(io.BytesIO(page.pdf(format="A4"))).pages
    text = re.sub(r"[\s\u200b]+", "", "".join(sheet.extract_text() for sheet in pages))  # lines may break in a word
    assert header in text[text.index("Howaccurate") :]
    assert not tables.first.is_visible()


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1280), ("light", 400)])
def test_the_pages_of_the_gallery_fit_the_screen_and_are_accessible(open_page, written, scheme, width):
    folder, errors = written
    files = sorted((folder / "gallery").glob("*.html"))
    assert len(files) == 1 + errors["class"].nunique()
    for file in (files[-1], folder / "gallery" / f"class-{HOSTILE.index(NAME):05d}.html"):  # the list, and a class
        opened = open_page(file, width=width, color_scheme=scheme)
        page = opened.page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(page) == []
        assert page.evaluate("window.PWNED") is None
        assert opened.messages == [] and opened.requests == [file.as_uri()]
    widths = page.locator("img.large").evaluate_all("all => all.map(image => image.getBoundingClientRect().width)")
    assert widths and all(found == min(700, width - 32) for found in widths)


def test_the_gallery_is_walked_through_by_key(open_page, written):
    folder, errors = written
    page = open_page(folder / "report.html").page
    page.locator("a[href='gallery/index.html']").press("Enter")
    page.wait_for_url("**/gallery/index.html")
    links = page.locator("a").evaluate_all("all => all.map(link => link.getAttribute('href'))")
    reached = []
    for _ in links:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.getAttribute('href')"))
    assert reached == links and len(links) == 1 + errors["class"].nunique()
    page.keyboard.press("Enter")
    page.wait_for_url("**/gallery/class-*.html")
    of = HOSTILE[int(page.url.rsplit("-", 1)[1].removesuffix(".html"))]
    ids = page.locator("h2").all_inner_texts()
    assert ids == errors.loc[errors["class"] == of, "id"].tolist()
    page.locator("a", has_text="all classes").press("Enter")
    page.wait_for_url("**/gallery/index.html")
    page.locator("a", has_text="Report").press("Enter")
    page.wait_for_url("**/report.html#lens-errors")
