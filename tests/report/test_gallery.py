"""The errors at native size: a page for each class in a folder beside the report, linked from it, only on request."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

import numpy as np
import pytest

from imblens.report import audit
from imblens.workflows import native_images
from tests.report.runs import HOSTILE, make_run


@pytest.fixture(scope="module")
def found():
    return audit(make_run(HOSTILE, n=300, per_test=12, images=True), lenses=["class_accuracy", "errors"])


def test_each_class_with_errors_has_a_page_of_images_at_their_size(found, tmp_path: Path) -> None:
    asked = []

    def image(split: str, name: str) -> np.ndarray | None:
        asked.append((split, name))
        return np.full((150, 200, 3), 90, np.uint8) if split == "test" else None

    report = found.save(tmp_path, figures=False, gallery=image)
    index = (tmp_path / "gallery" / "index.html").read_text(encoding="utf-8")
    classes = found["errors"].tables["errors"]["class"].unique()
    assert 'href="gallery/index.html"' in report.read_text(encoding="utf-8")
    assert len(re.findall('href="class-', index)) == len(classes) and "native size" in index
    page = (tmp_path / "gallery" / f"class-{found.run.classes.index(classes[0]):05d}.html").read_text(encoding="utf-8")
    assert 'width="200" height="150"' in page and "data:image/jpeg;base64," in page  # the error, as it was given
    assert 'width="4" height="4"' in page  # its neighbours, as they are stored
    assert {split for split, _ in asked} == {"train", "test"}
    for text in (index, page):
        assert "<img src=x" not in text and "default-src 'none'" in text and '<html lang="en">' in text
    assert all(escape(name, quote=False).split("&")[0] in index for name in classes if name.isalnum())


def test_without_the_request_there_is_none_and_an_earlier_one_goes(found, tmp_path: Path) -> None:
    first = found.save(tmp_path, figures=False).read_bytes()
    assert not (tmp_path / "gallery").exists() and b"gallery/index.html" not in first
    found.save(tmp_path, figures=False, gallery=True, force=True)
    assert "Stored thumbnails" in (tmp_path / "gallery" / "index.html").read_text(encoding="utf-8")
    assert found.save(tmp_path, figures=False, force=True).read_bytes() == first
    assert not list((tmp_path / "gallery").glob("*.html"))


def test_a_page_that_would_be_too_large_leaves_errors_out_and_states_it(found, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("imblens.report._gallery.PAGE_BYTES", 20_000)
    noise = np.random.default_rng(0).integers(0, 255, (128, 32, 3), np.uint8)
    found.save(tmp_path, figures=False, gallery=lambda split, name: noise if split == "test" else None)
    pages = [page.read_text(encoding="utf-8") for page in (tmp_path / "gallery").glob("class-*.html")]
    assert pages and all(page.count("<section") == 1 and len(page) < 30_000 for page in pages)
    assert any("did not fit into this page" in page for page in pages)


def test_errors_that_are_not_listed_count_as_left_out(tmp_path) -> None:
    found = audit(make_run(images=True), lenses=["class_accuracy", "errors"], options={"errors": {"limit": 20}})
    found.save(tmp_path, figures=False, gallery=True)
    listed, pairs = (found["errors"].tables[name] for name in ("errors", "error_pairs"))
    total, shown = pairs.groupby("class")["count"].sum(), listed["class"].value_counts()
    index = (tmp_path / "gallery" / "index.html").read_text(encoding="utf-8")
    assert shown.sum() == 20 < total.sum()
    for name, count in shown.items():
        assert f"<bdi>{name}</bdi></a></th><td>{count}</td><td>{total[name] - count}</td>" in index
        page = tmp_path / "gallery" / f"class-{found.run.classes.index(name):05d}.html"
        of = f"{count} of " if count < total[name] else ""
        assert f"{name}: {of}{total[name]} misclassified test instance" in page.read_text(encoding="utf-8")


def test_images_come_from_the_data_set_that_the_run_names() -> None:
    from dataclasses import replace

    from imblens.data import digits

    run = replace(make_run(), meta={"data": digits().source})
    find, note = native_images(run)
    assert find is not None and "native size" in note
    test = digits().test
    assert np.array_equal(find("test", test.ids[3]), test.image(3)) and find("test", "nothing") is None
    for data in ({"name": "toy"}, {"path": "/nowhere/cells"}):
        find, note = native_images(replace(run, meta={"data": data}))
        assert find is None and "stored thumbnails" in note
