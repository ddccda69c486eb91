"""The errors of texts, of the rows of a table and of several labels: without images, otherwise as in test_errors_page.py."""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest

from imblens.report import audit
from imblens.run import Run

pytestmark = pytest.mark.browser
CARDS = "#error-list > li"
AT_ONCE = 24  # cards before "Show all"
UNQUOTED = "!'()*"  # by encodeURIComponent
MARKUP = "<img src=x onerror=window.PWNED=1>"  # the name of a feature


@dataclass(frozen=True)
class Kind:
    """A report, and a class of it whose errors are looked at."""

    report: Path
    name: str
    errors: pd.DataFrame

    @property
    def cell(self) -> tuple[str, pd.DataFrame]:
        """The prediction with most listed errors of the class, and those that are shown at once."""
        own = self.errors[self.errors["class"] == self.name]
        predicted = own["predicted"].mode()[0]
        return predicted, own[own["predicted"] == predicted].head(AT_ONCE)

    @property
    def address(self) -> str:
        """As the script writes it."""
        return "#" + "&".join(
            f"{key}={quote(of, safe=UNQUOTED)}" for key, of in (("class", self.name), ("predicted", self.cell[0]))
        )


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    made: dict[str, Kind] = {}

    def kind(which: str) -> Kind:
        if which not in made:
            run, name = {"text": of_texts, "values": of_rows, "labels": of_labels}[which]()
            found = audit(run, lenses=["class_accuracy", "errors"], of=name)
            report = found.save(tmp_path_factory.mktemp(which) / "out", figures=False)
            made[which] = Kind(report, name, found["errors"].tables["errors"])
        return made[which]

    return kind


def of_texts() -> tuple[Run, str]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from tests.report.test_previews import texts

    train, test = texts((120, 50, 12), 0), texts((30, 30, 30), 1)
    pipeline = make_pipeline(TfidfVectorizer(token_pattern="[a-z]{2,}"), LogisticRegression()).fit(*train)
    return Run.from_sklearn(pipeline, train=train, test=test), "fraud"


def of_rows() -> tuple[Run, str]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(3)

    def drawn(counts: tuple[int, ...]) -> tuple[pd.DataFrame, pd.Series]:
        labels = np.repeat(["none", "early", "late (stage 4/5)"], counts)
        places = np.repeat(np.arange(3), counts)[:, None] * [0.8, -0.5, 0.3]
        return pd.DataFrame(rng.normal(size=places.shape) + places, columns=["age", "dose", MARKUP]), pd.Series(labels)

    train, test = drawn((150, 50, 12)), drawn((30, 30, 30))
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(*train)
    return Run.from_sklearn(pipeline, train=train, test=test), "late (stage 4/5)"


def of_labels() -> tuple[Run, str]:
    from tests.lenses.made import NAMES, captured_run

    return captured_run(task="multilabel"), NAMES[0]


@pytest.mark.parametrize("which", ["text", "values"])
def test_the_errors_are_walked_ticked_and_downloaded_by_key(open_page, kinds, which):
    kind = kinds(which)
    predicted, rows = kind.cell
    opened = open_page(kind.report, fragment=kind.address)
    page = opened.page
    page.locator(CARDS).first.wait_for()
    assert [page.eval_on_selector(f"#{of}", "select => select.value") for of in ("class", "predicted")] == [
        kind.name,
        predicted,
    ]
    assert page.locator(f"{CARDS} .mark").all_inner_texts() == rows["id"].tolist()
    assert page.locator(f"{CARDS} > .preview").count() == len(rows) > 1
    assert page.locator(f"{CARDS} .near .preview").count() == 3 * len(rows)
    page.locator(f"{CARDS} .tick").first.focus()
    for key in ("Space", "ArrowDown", "Space"):
        page.keyboard.press(key)
    page.focus("#take-errors")
    with page.expect_download() as started:
        page.keyboard.press("Enter")
    lines = Path(started.value.path()).read_text().splitlines()
    assert lines[0] == "id,class,predicted,probability"
    assert [line.split(",")[:3] for line in lines[1:]] == [[one, kind.name, predicted] for one in rows["id"][:2]]
    assert page.evaluate("window.PWNED") is None and opened.messages == []


@pytest.mark.parametrize("which", ["text", "values"])
def test_the_errors_are_printed_and_shown_without_script(open_page, kinds, which):
    pypdf = pytest.importorskip("pypdf")
    kind = kinds(which)
    predicted, rows = kind.cell
    page = open_page(kind.report, fragment=kind.address).page
    page.locator(CARDS).first.wait_for()
    wanted = " ".join(page.locator(f"{CARDS} > .preview").first.inner_text().split())
    text = " ".join(" ".join(part.extract_text() for part in pypdf.PdfReader(io.BytesIO(page.pdf())).pages).split())
    assert text.count(f"{kind.name} predicted {predicted}") == 1 + len(rows)
    assert wanted.replace(" ", "") in text.replace(" ", "")
    still = open_page(kind.report, fragment=kind.address, java_script_enabled=False).page
    at = still.locator(".gallery.errors figure:has(:target)")
    assert predicted in at.inner_text() and at.locator(".preview").count() == 1
    assert at.locator(".preview").is_visible() and not still.locator("#predicted").is_visible()


@pytest.mark.parametrize(("which", "width"), [("text", 400), ("values", 1280)])
def test_accessibility_checker_finds_nothing_and_nothing_is_cut(open_page, kinds, which, width):
    kind = kinds(which)
    page = open_page(kind.report, width=width, fragment=kind.address).page
    page.locator(CARDS).first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed")
    page.evaluate((Path(found.origin).parent / "axe.min.js").read_text())
    violations = page.evaluate("axe.run(document.querySelector('#lens-errors'))")["violations"]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in violations] == []


def test_the_page_of_a_class_shows_texts(open_page, kinds):
    kind = kinds("text")
    opened = open_page(kind.report.with_name("class.html"))
    page = opened.page
    page.locator(CARDS).first.wait_for()
    own = kind.errors[kind.errors["class"] == kind.name]
    assert page.locator(f"{CARDS} > .preview").count() == page.locator(CARDS).count() == min(len(own), AT_ONCE)
    assert opened.messages == []


def test_labels_are_missed_or_false(open_page, kinds):
    kind = kinds("labels")
    opened = open_page(kind.report)
    page = opened.page
    page.select_option("#class", kind.name)
    page.locator(CARDS).first.wait_for()
    options = page.locator("#predicted option").evaluate_all("all => all.map(option => option.value)")
    assert "" in options and set(options) <= {"", "negative", "positive"}
    page.select_option("#predicted", options[1])
    assert page.evaluate("location.hash") == f"#class={kind.name}&predicted={options[1]}"
    assert opened.messages == []
