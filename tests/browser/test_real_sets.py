"""The errors of real images, in a browser: CIFAR-10 with a long tail (also in 100 classes); blood cells with several labels.

The classifier is a linear model on the colours of a coarse grid: it errs enough, and takes no training of a network.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest

from imblens.report import audit
from imblens.run import Head, Part, Run, Split

pytestmark = pytest.mark.browser
CARDS = "#error-list > li"
KEPT = 300  # images of each split


@pytest.fixture(scope="module")
def saved(real_data, tmp_path_factory) -> Callable[[str], Path]:
    def save(name: str) -> Path:
        run = classified(real_data / {"bccd": "bccd/tiles"}.get(name, name))
        return audit(run, lenses=["class_accuracy", "errors"]).save(
            tmp_path_factory.mktemp(name) / "out", figures=False
        )

    return save


def classified(folder: Path) -> Run:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    from imblens.data import load_images

    found = load_images(folder)
    parts = {}
    for name, split in (("train", found.train), ("test", found.test)):
        chosen = np.random.default_rng(0).permutation(len(split))[:KEPT]
        parts[name] = (*drawn(split, chosen), np.asarray(split.labels)[chosen])
    x, _, y = parts["train"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a hundred steps are enough
        one = LogisticRegression(max_iter=100)
        model = (OneVsRestClassifier(one) if y.ndim == 2 else one).fit(x, y)
    splits = {
        name: split_of(name, part, found.classes, logits=np.asarray(model.decision_function(part[0])))
        for name, part in parts.items()
    }
    return Run(**splits, head=None, classes=found.classes, task=found.task)


def in_a_hundred_classes(folder: Path) -> Run:
    """Every class in ten by colour, "horse 3" for one, with the head of a linear discriminant."""
    from sklearn.cluster import KMeans
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    from imblens.data import load_images

    found = load_images(folder)
    features, pictures = {}, {}
    fine = {name: np.zeros(len(split), np.int64) for name, split in (("train", found.train), ("test", found.test))}
    for name, split in (("train", found.train), ("test", found.test)):
        features[name], pictures[name] = drawn(split, np.arange(len(split)))
    for c in range(len(found.classes)):
        own = {name: np.flatnonzero(np.asarray(split.labels) == c) for name, split in found.splits.items()}
        groups = KMeans(10, n_init=1, random_state=0).fit(features["train"][own["train"]])
        for name in fine:
            fine[name][own[name]] = 10 * c + groups.predict(features[name][own[name]])
    model = LinearDiscriminantAnalysis().fit(features["train"], fine["train"])
    classes = tuple(f"{name} {group}" for name in found.classes for group in range(10))
    head = Head(model.coef_.astype(np.float32), model.intercept_.astype(np.float32))
    splits = {name: split_of(name, (features[name], pictures[name], fine[name]), classes, head=head) for name in fine}
    return Run(**splits, head=head, classes=classes)


def split_of(name: str, part, classes: tuple[str, ...], logits=None, head: Head | None = None) -> Split:
    features, pictures, labels = part
    table = pd.DataFrame({"id": [f"{name}/{i}" for i in range(len(labels))], "thumbnail": pictures})
    return Split((Part(features, labels, logits=logits, table=table),), classes, name, head)


def drawn(split, chosen) -> tuple[np.ndarray, list[bytes]]:
    from PIL import Image

    features, pictures = [], []
    for i in chosen:
        image = Image.fromarray(split.image(int(i))).convert("RGB")
        out = io.BytesIO()
        image.resize((32, 32)).save(out, "PNG")
        pictures.append(out.getvalue())
        features.append(np.asarray(image.resize((4, 4)), dtype=np.float32).ravel() / 255)
    return np.stack(features), pictures


@pytest.mark.parametrize("name", ["cifar10-lt", pytest.param("bccd", marks=pytest.mark.thorough)])
def test_the_errors_of_real_images(open_page, saved, name):
    pypdf = pytest.importorskip("pypdf")
    file = saved(name)
    opened = open_page(file)
    page = opened.page
    chosen = next(
        one
        for one in page.locator("#class option").evaluate_all("all => all.map(option => option.value)")
        if one and page.select_option("#class", one) and page.locator(CARDS).count() > 1
    )
    predicted = page.locator("#predicted option").evaluate_all("all => all.map(option => option.value)")[1]
    page.select_option("#predicted", predicted)
    assert page.locator(CARDS).count() == page.locator(f"{CARDS} > .pic[role=img]").count() > 0
    page.locator(f"{CARDS} .tick").first.focus()
    page.keyboard.press("Space")
    assert page.inner_text("#ticked-errors") == "1 ticked."
    if page.locator(CARDS).count() > 1:
        page.keyboard.press("ArrowRight")
        assert page.evaluate("[...document.querySelectorAll('#error-list .tick')].indexOf(document.activeElement)") == 1
    sent = page.evaluate("location.hash")
    assert sent == f"#class={chosen}&predicted={predicted}"
    other = open_page(file, fragment=sent)
    assert other.page.locator(CARDS).count() == page.locator(CARDS).count()
    pages = pypdf.PdfReader(io.BytesIO(page.pdf())).pages
    assert f"{chosen}" in " ".join(" ".join(one.extract_text() for one in pages).split())
    axe = find_spec("axe_playwright_python")
    if axe is not None and axe.origin is not None:
        page.evaluate((Path(axe.origin).parent / "axe.min.js").read_text())
        assert [one["id"] for one in page.evaluate("axe.run()")["violations"]] == []
    assert opened.messages == [] and other.messages == []


@pytest.mark.thorough  # with arrays: test_budgets.py
def test_a_hundred_classes_of_real_images_stay_in_budget_and_show_their_errors(open_page, real_data, tmp_path):
    found = audit(in_a_hundred_classes(real_data / "cifar10-lt"))
    file = found.save(tmp_path / "out", figures=False)
    pairs = found["errors"].tables["error_pairs"]
    assert pairs.groupby("class")["listed"].sum().min() >= 1  # no class goes without
    name, predicted, count, listed = pairs.loc[pairs["count"].idxmax(), ["class", "predicted", "count", "listed"]]
    text = file.read_text(encoding="utf-8")
    sheet = re.search(r"data:image/jpeg[^)]+", text)[0]
    print(f"{len(text.encode()) / 1e6:.2f} MB, {len(sheet) / 1e6:.2f} MB of it images")
    assert len(text.encode()) < 10e6 and 1e6 < len(sheet) < 4.1e6
    opened = open_page(file, fragment=f"#class={quote(name)}&predicted={quote(predicted)}")
    page = opened.page
    page.locator(CARDS).first.wait_for()
    assert f"{count} test errors of {name} predicted {predicted}" in page.inner_text("#errors-of")
    shown = min(listed, 24)  # before "Show all"
    assert page.locator(CARDS).count() == page.locator(f"{CARDS} > .pic[role=img]").count() == shown > 1
    assert page.locator(f"{CARDS} .neighbour .pic").count() == 3 * shown
    whole = open_page(file)
    whole.wait_for_charts()
    states = whole.page.eval_on_selector_all("figure[id]", "all => all.map(figure => figure.dataset.live)")
    assert len(states) > 20 and set(states) == {"yes"}
    elements = whole.page.evaluate(
        "document.querySelectorAll('*').length - document.querySelectorAll('table *').length"
    )
    print(f"{elements} elements")
    assert elements <= 3_000
    assert opened.messages == [] and whole.messages == []
