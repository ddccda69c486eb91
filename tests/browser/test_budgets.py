"""What a page of very many classes weighs, in bytes and elements, with every chart live.

Seconds are measured by `python -m benchmarks.speed report`, never here.
"""

from __future__ import annotations

import re

import pytest

from imblens.report import audit
from tests.report.runs import make_run

pytestmark = pytest.mark.browser
ELEMENTS = (
    "document.querySelectorAll('*').length - document.querySelectorAll('table *, option').length"  # of those laid out
)
CARDS = "#error-list > li"


@pytest.mark.parametrize(
    ("n_classes", "n", "per_test", "lenses", "megabytes"),
    [
        (1_000, 4_000, 2, ("class_accuracy", "errors"), 4.0),
        pytest.param(100, 3_000, 20, None, 3.0, marks=pytest.mark.thorough),
        pytest.param(1_000, 8_000, 3, None, 4.0, marks=pytest.mark.thorough),
        pytest.param(10_000, 30_000, 1, ("class_accuracy", "errors"), 3.0, marks=pytest.mark.thorough),
    ],
)
def test_a_page_of_many_classes_stays_in_budget(open_page, tmp_path, n_classes, n, per_test, lenses, megabytes):
    names = tuple(f"kind {i}" for i in range(n_classes))
    found = audit(make_run(names, n=n, per_test=per_test, images=True), lenses=lenses)
    file = found.save(tmp_path / "out", figures=False)
    text = file.read_text(encoding="utf-8")
    images = sum(map(len, re.findall(r"data:image/[^\"')]+", text)))
    assert images and len(text.encode()) - images <= megabytes * 1e6
    opened = open_page(file)
    opened.wait_for_charts()
    page = opened.page
    states = page.eval_on_selector_all("figure[id]", "all => all.map(figure => figure.dataset.live)")
    assert states and set(states) == {"yes"}
    elements = page.evaluate(ELEMENTS)
    print(
        f"{n_classes} classes: {len(text.encode()) / 1e6:.2f} MB, {images / 1e6:.2f} MB of it images; {elements} elements"
    )
    assert elements <= 3_000
    own = found["errors"].tables["errors"].iloc[-1]  # of a class that may have no row of its own in the page
    page.select_option("#class", own["class"])
    page.locator(CARDS).first.wait_for()
    assert own["id"] in page.locator(f"{CARDS} .mark").all_inner_texts()
    assert page.locator(CARDS).count() == page.locator(f"{CARDS} > .pic[role=img]").count()
    pairs = found["errors"].tables["error_pairs"]
    bare = pairs[pairs["listed"] == 0].iloc[0]  # a cell whose errors are counted and not listed says so
    page.evaluate("hash => { location.hash = hash; }", f"#class={bare['class']}&predicted={bare['predicted']}")
    page.wait_for_function(
        "() => document.getElementById('errors-of').textContent.includes('none of them is among the 500 listed errors')"
    )
    assert page.locator(CARDS).count() == 0
    assert opened.messages == []
