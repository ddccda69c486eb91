"""Maps over images: which are shown, how they are drawn, side by side, and safe whatever things are called."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from imblens.data import ImageSplit
from imblens.extraction import capture
from imblens.report import audit, column_figure, compare, maps_figure
from imblens.report._overlays import heat, kept_maps, overlays, side_by_side
from imblens.run import Run

pytest.importorskip("torch")
from tests.extraction.networks import seeded
from tests.extraction.test_alignment import Keep
from tests.report.pages import parsed
from tests.report.runs import HOSTILE

RNG = np.random.default_rng(6)
N, SIZE = 18, 12
PIXELS = RNG.integers(0, 256, (N, SIZE, SIZE, 3), dtype=np.uint8)
NAMES = (*HOSTILE[:2], "plain")


def make(seed=0, ids=None, out=None):
    labels = np.arange(N) % 3
    boxes = [np.array([[c, 1, 2, 7, 9]], np.float32) for c in labels]
    given = ImageSplit.from_arrays(PIXELS, labels, boxes=boxes, ids=ids)
    return capture(seeded(Keep, seed), train=given, test=given, classes=NAMES, out=out)


@pytest.fixture(scope="module")
def run() -> Run:
    return make(ids=[f"{i}{HOSTILE[i % 2]}" for i in range(N)])


def test_three_images_of_each_class_from_least_to_most(run) -> None:
    groups = overlays(run, ["plain", NAMES[0]])
    assert [group["name"] for group in groups] == ["plain", NAMES[0]]
    kept = kept_maps(run)["plain"]
    assert len(kept) == 6
    ranked = sorted(kept, key=lambda key: kept[key].ior)
    captions = [image["caption"] for image in groups[0]["images"]]
    assert captions[0].startswith(ranked[0]) and captions[2].startswith(ranked[-1])
    one = kept[ranked[0]]
    assert one.cam.shape == (SIZE - 4, SIZE - 4) and one.cam.min() == 0 and one.cam.max() == 255
    np.testing.assert_allclose(one.boxes, np.array([[1, 2, 7, 9]]) / SIZE, atol=1e-6)
    assert 0 < one.probability < 1


def test_the_page_shows_them_and_runs_nothing(run, tmp_path) -> None:
    page = audit(run, lenses=["alignment", "concepts"]).save(tmp_path / "out", figures=False).read_text()
    tree = parsed(page)
    drawn = [tag for tag in tree.named("svg") if (tag.get("aria-label") or "").startswith("Activation map of")]
    assert len(drawn) == 9
    assert all(image["href"].startswith("data:image/png;base64,") for image in tree.named("image"))
    assert not tree.named("img")
    assert all(len(set(tag)) == len(tag) for _, tag in tree.tags)
    assert "http://" not in "".join(image["href"] for image in tree.named("image"))


def test_an_error_shows_the_map_of_its_image(run, tmp_path) -> None:
    found = audit(run, lenses=["class_accuracy", "errors"])
    tree = parsed(found.save(tmp_path / "out", figures=False).read_text())
    drawn = [tag.get("aria-label") or "" for tag in tree.named("svg")]
    drawn = [label for label in drawn if "; activation map of " in label]
    assert len(drawn) == len(found["errors"].tables["errors"]) > 0


def test_the_same_page_twice(run, tmp_path) -> None:
    one, two = (audit(run, lenses=["alignment"]).save(tmp_path / k, figures=False).read_bytes() for k in "ab")
    assert one == two


def test_side_by_side_on_the_same_images(run, tmp_path) -> None:
    other = make(seed=1, ids=run.test.ids.tolist())
    groups = side_by_side([run, other], ["one", "two"])
    assert [group["name"] for group in groups] == list(NAMES)
    for group in groups:
        assert len(group["images"]) == 2
        for image in group["images"]:
            first, second = image["views"]
            assert first["caption"].startswith("one: ") and second["caption"].startswith("two: ")
            assert first["drawing"].count("<image") == 2
            assert second["drawing"].count("<image") == 1 and "<use " in second["drawing"]
    comparison = compare([run, other], names=["one", "two"])
    measures = set(comparison.tables["comparison_measures"]["measure"])
    assert measures >= {"iobb", "ior", "concepts_disjoint", "concepts_unique"}
    tree = parsed(comparison.save(tmp_path / "out", figures=False).read_text())
    known = {image.get("id") for image in tree.named("image")} - {None}
    used = {tag["href"].removeprefix("#") for tag in tree.named("use") if tag["href"].startswith("#view")}
    assert used == known and len(known) == 6


def test_maps_are_a_figure_of_their_own(run, tmp_path) -> None:
    from xml.etree import ElementTree

    other = make(seed=1, ids=run.test.ids.tolist())
    audit(run, lenses=["alignment"]).save(tmp_path / "one", papers=True)
    compare([run, other], names=["one", HOSTILE[0]]).save(tmp_path / "two", papers=True)
    for folder, maps in (("one", 9), ("two", 12)):
        width = re.search(r' width="([\d.]+)mm"', (tmp_path / folder / "papers" / "maps.svg").read_text())
        assert width is not None and 80 < float(width[1]) < 90
        assert (tmp_path / folder / "papers" / "maps.pdf").read_bytes().startswith(b"%PDF")
        assert (tmp_path / folder / "papers" / "maps.png").stat().st_size > 1000
        tree = ElementTree.parse(tmp_path / folder / "figures" / "maps.svg")
        drawn = [tag for tag in tree.iter() if tag.tag.endswith("image") and tag.get("class") == "map"]
        assert len(drawn) == maps and not [tag for tag in tree.iter() if tag.tag.endswith(("script", "img"))]
        with Image.open(tmp_path / folder / "figures" / "maps.png") as image:
            pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
        assert len(np.unique(pixels, axis=0)) > 1000  # images, not an empty sheet


def test_panels_of_one_figure_keep_their_own_images(run) -> None:
    from xml.etree import ElementTree

    other = make(seed=1, ids=run.test.ids.tolist())
    svg = maps_figure([([run, other], ["bce", "wbce"]), ([other, run], ["bce", "wbce"])], rows=2)
    tree = ElementTree.fromstring(svg)
    known = [tag.get("id") for tag in tree.iter() if tag.tag.endswith("image") and tag.get("id")]
    used = [tag.get("href").removeprefix("#") for tag in tree.iter() if tag.tag.endswith("use")]
    assert len(known) == len(set(known)) == 4 and used == known
    width = Image.open(io.BytesIO(column_figure("maps", svg)["png"])).width
    assert abs(width - 84 / 25.4 * 300) < 3
    assert maps_figure([([run], ["bce"])]) == ""


def test_runs_that_share_no_image_or_have_another_head_are_not_laid_side_by_side(run) -> None:
    assert side_by_side([run, make(ids=[f"other {i}" for i in range(N)])], ["one", "two"]) == []
    treated = replace(run, meta={**run.meta, "treatment": {"name": "crt"}})
    assert kept_maps(treated) == {}
    assert side_by_side([run, treated], ["one", "two"]) == []


def test_runs_without_maps_and_damaged_columns_show_nothing(run) -> None:
    assert kept_maps(Run.from_arrays(train=(np.ones((4, 2)), [0, 1, 0, 1]))) == {}
    part = run.test.parts[0]
    for column, value in (("view", b"no image"), ("view", "text"), ("cam", b"short")):
        table = part.table.assign(**{column: [value] * N})
        broken = replace(run, test=replace(run.test, parts=(replace(part, table=table),)))
        assert kept_maps(broken) == {}
    assert kept_maps(replace(run, meta={**run.meta, "alignment": {"map_size": [10**6, "a"]}})) == {}


def test_maps_on_disk_are_the_same(tmp_path) -> None:
    stored = Run.load(make(out=tmp_path / "run").path)
    memory, disk = kept_maps(make()), kept_maps(stored)
    assert {name: list(kept) for name, kept in memory.items()} == {name: list(kept) for name, kept in disk.items()}
    for name, kept in memory.items():
        for key, one in kept.items():
            assert (one.cam == disk[name][key].cam).all() and one.ior == disk[name][key].ior


def test_heat_is_clear_at_nothing_and_light_at_most() -> None:
    with Image.open(io.BytesIO(heat(np.array([[0, 128, 255]], np.uint8)))) as image:
        pixels = np.asarray(image)[0].astype(int)
    assert pixels[:, 3].tolist() == [0, 96, 191]
    assert pixels[0, :3].sum() < pixels[1, :3].sum() < pixels[2, :3].sum()
