"""The errors of real images, in a browser: CIFAR-10 with a long tail, and blood cells with several labels.

The classifier is a logistic regression on the colours of a coarse grid: it errs enough, and takes no training of a network.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from imblens.report import audit
from imblens.run import Part, Run, Split

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
    logits = {name: np.asarray(model.decision_function(part[0])) for name, part in parts.items()}

    def split_of(name: str) -> Split:
        import pandas as pd

        features, pictures, labels = parts[name]
        table = pd.DataFrame({"id": [f"{name}/{i}" for i in range(len(labels))], "thumbnail": pictures})
        return Split((Part(features, labels, logits=logits[name], table=table),), found.classes, name)

    return Run(train=split_of("train"), test=split_of("test"), head=None, classes=found.classes, task=found.task)


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
