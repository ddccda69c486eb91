"""Images of more than 8 bits per channel: black and white are stated or detected, the same in all splits, and noted."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imblens.data import load_images
from imblens.errors import InputError

from .helpers import table, write_classes, write_parquet


def write(root: Path, values: np.ndarray, suffix: str = "png") -> Path:
    """Three images of each class and split, which hold the same values."""
    for split in ("train", "test"):
        for name in "ab":
            (root / split / name).mkdir(parents=True)
            for i in range(3):
                Image.fromarray(np.roll(values, i)).save(root / split / name / f"{i}.{suffix}")
    return root


@pytest.mark.parametrize(
    ("values", "white", "suffix"),
    [
        (np.array([[0, 1000, 3900]], np.uint16), 4095, "png"),
        (np.array([[0, 600, 1000]], np.uint16), 1023, "tif"),
        (np.array([[0, 40_000, 65_000]], np.uint16), 65_535, "png"),
        (np.array([[0, 0.25, 0.875]], np.float32), 1, "tif"),
        (np.array([[0, 17.5, 250]], np.float32), 255, "tif"),
        (np.array([[0, 70_000, 90_000]], np.int32), 90_000, "tif"),
    ],
    ids=["12 bits", "10 bits", "16 bits", "shares", "grey floats", "32 bits"],
)
def test_the_range_of_the_training_images_decides(
    tmp_path: Path, values: np.ndarray, white: float, suffix: str
) -> None:
    images = load_images(write(tmp_path, values, suffix))
    for split in (images.train, images.test):
        assert split is not None
        assert split.image(0)[0, :, 1].tolist() == np.rint(values[0] / white * 255).astype(int).tolist()
    assert any(f"{white:,} is white" in note for note in images.notes)
    assert images.source["pixel_range"] == [0, white]


def test_negative_values_and_stated_ranges(tmp_path: Path) -> None:
    write(tmp_path, np.array([[-1000, 0, 400]], np.int32), "tif")
    assert load_images(tmp_path).train.image(0)[0, :, 0].tolist() == [0, 182, 255]
    stated = load_images(tmp_path, pixel_range=(-100, 300))
    assert stated.train.image(0)[0, :, 0].tolist() == [0, 64, 255]  # values beyond are clipped
    assert any("as stated" in note for note in stated.notes)


@pytest.mark.parametrize("wrong", [(1, 1), (5, 2), (0,), "x", (0, float("nan"))])
def test_ranges_that_are_none_are_refused(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(InputError, match="pixel range"):
        load_images(tmp_path, pixel_range=wrong)  # type: ignore[arg-type]


def test_the_range_does_not_depend_on_test(tmp_path: Path) -> None:
    write(tmp_path, np.array([[0, 3900]], np.uint16))
    Image.fromarray(np.array([[0, 50_000]], np.uint16)).save(tmp_path / "test" / "a" / "0.png")
    images = load_images(tmp_path)
    assert images.source["pixel_range"] == [0, 4095] and images.test is not None
    assert images.test.image(0)[0, :, 0].tolist() == [0, 255]


def test_images_of_8_bits_are_unchanged(tmp_path: Path) -> None:
    written = write_classes(tmp_path, {"a": 5, "b": 5})
    images = load_images(tmp_path)
    assert (images.train.image(0) == written[images.train.ids[0]]).all()
    assert "pixel_range" not in images.source and not any("8 bits" in note for note in images.notes)


def test_wide_images_in_parquet(tmp_path: Path) -> None:
    encoded = []
    for i in range(4):
        file = io.BytesIO()
        Image.fromarray(np.array([[i, 4000]], np.uint16)).save(file, "PNG")
        encoded.append(file.getvalue())
    for split in ("train", "test"):
        write_parquet(tmp_path / f"{split}.parquet", table(encoded, label=[0, 1, 0, 1]))
    assert load_images(tmp_path).train.array().max() == round(4000 / 4095 * 255)


@pytest.mark.parametrize(
    ("values", "white"),
    [(np.arange(4096, dtype=np.uint16), 4095), (np.linspace(0, 1, 4096), 1), (np.arange(4096) > 9, 1)],
)
def test_wide_arrays_of_an_archive(tmp_path: Path, values: np.ndarray, white: float) -> None:
    images = values.reshape(4, 32, 32)
    arrays = {f"{s}_{what}": a for s in ("train", "test") for what, a in (("images", images), ("labels", [0, 1, 0, 1]))}
    np.savez(tmp_path / "a.npz", **arrays)
    read = load_images(tmp_path / "a.npz")
    assert (read.train.array()[..., 0] == np.rint(images / white * 255)).all()
    assert any("is white" in note for note in read.notes)


def test_dark_colour_images_of_16_bits_are_named(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    row = b"\0" + np.full(12, 4000, ">u2").tobytes()  # four pixels, no filter
    content = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(row * 4))
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content + chunk(b"IEND", b""))
    assert any("nearly black" in note for note in load_images(tmp_path).notes)
