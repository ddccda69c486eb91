"""Groups of images: found by name, stated with --group, kept by a capture."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from imblens.data import load_images
from imblens.errors import MissingError


def _png(i: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 9 * i, np.uint8)).save(file, format="PNG")
    return file.getvalue()


def _write(folder, ids, **columns):
    n = len(ids)
    for split in ("train", "test"):
        table = {"image": [_png(i) for i in range(n)], "image_id": ids, "label": [i % 2 for i in range(n)], **columns}
        pq.write_table(pa.table(table), folder / f"{split}.parquet")


def test_tiles_of_one_image_are_a_group(tmp_path) -> None:
    _write(tmp_path, [f"Cell_{i // 4}_r{i % 2}c{i % 4}" for i in range(12)])
    images = load_images(tmp_path)
    assert images.test.patients.tolist() == [f"Cell_{i // 4}" for i in range(12)]
    assert images.source["group"] == "source image"
    assert any(note.startswith("Source images are taken from the image names") for note in images.notes)
    assert any(note.startswith("Source images in both train and test: 3") for note in images.notes)


def test_a_stated_column_holds_the_groups(tmp_path) -> None:
    _write(tmp_path, [f"im{i}" for i in range(8)], ward=[f"w{i // 4}" for i in range(8)], patient_id=list("abcdefgh"))
    assert len(set(load_images(tmp_path).test.patients)) == 8
    images = load_images(tmp_path, group="ward")
    assert set(images.test.patients) == {"w0", "w1"} and images.source["group"] == "ward"
    with pytest.raises(MissingError, match="wart"):
        load_images(tmp_path, group="wart")


def test_a_table_of_images_has_groups(tmp_path) -> None:
    for i in range(8):
        (tmp_path / f"{i}.png").write_bytes(_png(i))
    lines = [f"{i}.png,{'cat' if i % 2 else 'dog'},{'test' if i > 3 else 'train'},site{i % 3}" for i in range(8)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,label,split,site", *lines]) + "\n")
    assert load_images(tmp_path).test.patients is None
    images = load_images(tmp_path, group="site")
    assert images.test.patients.tolist() == ["site1", "site2", "site0", "site1"]
    assert images.source["group"] == "site"


def test_a_capture_keeps_the_groups(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    from imblens import Run, capture
    from imblens.run import group_name

    _write(tmp_path, [f"Cell_{i // 4}_r{i % 2}c{i % 4}" for i in range(12)])
    images = load_images(tmp_path)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5), torch.nn.Linear(5, 2))
    made = {"train": images.train, "test": images.test, "classes": images.classes, "meta": {"data": images.source}}
    run = capture(network, **made, colours=False, out=tmp_path / "run")
    assert Run.load(tmp_path / "run").test.groups.tolist() == np.repeat([0, 1, 2], 4).tolist()
    assert group_name(run) == "source image"
    pixels = np.stack([images.train.image(i) for i in range(12)])
    given = capture(
        network, train=(pixels, images.train.labels), test=(pixels, images.train.labels), colours=False,
        groups={"test": np.arange(12) // 6},
    )  # fmt: skip
    assert given.test.groups.tolist() == np.repeat([0, 1], 6).tolist() and given.train.groups is None
    items = [{"x": torch.ones(192) * i, "labels": i % 2, "who": f"p{i // 3}"} for i in range(12)]
    net = torch.nn.Sequential(torch.nn.Linear(192, 5), torch.nn.Linear(5, 2))
    keyed = capture(net, train=items, forward=lambda model, inputs: model(inputs["x"]), groups="who", colours=False)
    assert keyed.train.groups.tolist() == np.repeat([0, 1, 2, 3], 3).tolist()
