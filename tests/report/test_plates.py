"""Plates of prototypes: which images and colours they hold, and when there is none."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import pandas as pd
import pytest
from PIL import Image

from imblens.lenses import Finding
from imblens.report import audit
from imblens.report._plates import plate
from tests.report.runs import CIFAR, make_run

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def found():
    return audit(make_run(n=200, per_test=4, images=True), lenses=["archetypes"])


def test_a_class_has_an_image_of_each_of_its_archetypes_in_its_own_pixels(found):
    tree = ElementTree.fromstring(plate(found))
    table = found.findings["archetypes"].tables["archetypes"]
    images = tree.findall(f"{SVG}image")
    assert len(images) == table["prototype"].notna().sum()
    with Image.open(io.BytesIO(base64.b64decode(images[0].get("href").partition(",")[2]))) as image:
        assert image.size == (4, 4)
    texts = [text.text for text in tree.findall(f"{SVG}text")]
    assert texts[:4] == ["safe", "border", "rare", "outlier"]
    assert [text for text in texts if text in CIFAR] == list(CIFAR)  # largest first


def test_colours_are_under_the_images_by_share(found):
    rows = [
        ("truck", "black", 0.6, 10, 10, 10),
        ("truck", "white", 0.4, 250, 250, 250),
        ("bird", "blue", 1.0, 0, 0, 255),
    ]
    table = pd.DataFrame(rows, columns=["class", "band", "share", "red", "green", "blue"])
    coloured = type(found)(
        **{**vars(found), "findings": {**found.findings, "colours": Finding({"colours": table}, {})}}
    )
    tree = ElementTree.fromstring(plate(coloured))
    bars = [(rect.get("fill"), float(rect.get("width"))) for rect in tree.findall(f"{SVG}rect")[1:]]
    assert [fill for fill, _ in bars] == ["#0000ff", "#0a0a0a", "#fafafa"]
    assert bars[1][1] == pytest.approx(0.6 * bars[0][1])
    assert "black 60%" in [text.text for text in tree.findall(f"{SVG}text")]


def test_plates_are_as_wide_as_a_column_and_go_with_their_images(found, tmp_path):
    found.save(tmp_path / "out", papers=True)
    for folder in ("figures", "papers"):
        svg = (tmp_path / "out" / folder / "prototypes.svg").read_text()
        assert re.search(r'width="8[34]\.\d+mm"', svg)
        assert (tmp_path / "out" / folder / "prototypes.pdf").read_bytes().startswith(b"%PDF")
    audit(make_run(n=200, per_test=4), lenses=["archetypes"]).save(tmp_path / "out", force=True)
    assert not list((tmp_path / "out" / "figures").glob("prototypes.*"))


def test_of_many_classes_the_largest_and_the_smallest_are_shown():
    names = tuple(f"kind {i}" for i in range(15))
    tree = ElementTree.fromstring(plate(audit(make_run(names, n=400, per_test=2, images=True), lenses=["archetypes"])))
    shown = [text.text for text in tree.findall(f"{SVG}text") if text.text in names]
    assert shown == [*names[:6], *names[-6:]]


def test_a_name_is_text_and_never_markup():
    names = ("<script>1</script>", "a & b")
    svg = plate(audit(make_run(names, n=60, per_test=2, images=True), lenses=["archetypes"]))
    assert "<script" not in svg
    assert ElementTree.fromstring(svg) is not None
