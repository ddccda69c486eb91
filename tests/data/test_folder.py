from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from imblens.data import load_images
from imblens.errors import InputError, MissingError

from .helpers import HOSTILE, pixels, png, write_classes


def test_splits_round_trip(tmp_path):
    train = write_classes(tmp_path / "train", {"dog": 3, "cat": 4})
    test = write_classes(tmp_path / "test", {"cat": 2, "dog": 1}, seed=1)
    val = write_classes(tmp_path / "validation", {"cat": 1, "dog": 1}, seed=2)
    loaded = load_images(tmp_path)
    assert loaded.classes == ("cat", "dog") and loaded.task == "multiclass" and loaded.name == tmp_path.name
    assert loaded.class_counts.tolist() == [4, 3] and loaded.notes == ()
    for split, folder, written in (
        (loaded.train, "train", train),
        (loaded.test, "test", test),
        (loaded.val, "validation", val),
    ):
        assert len(split) == len(written)
        for i, name in enumerate(split.ids):
            path = name.removeprefix(f"{folder}/")
            assert (split.image(i) == written[path]).all()
            assert loaded.classes[split.labels[i]] == path.split("/")[0]
    assert loaded.source["counts"] == {"train": [4, 3], "test": [2, 1], "val": [1, 1]}
    assert loaded.source["split"] == "as given" and loaded.source["layout"] == "class folders"


def test_val_is_held_out_where_there_is_no_test(tmp_path):
    write_classes(tmp_path / "train", {"a": 2, "b": 2})
    write_classes(tmp_path / "val", {"a": 1})
    loaded = load_images(tmp_path)
    assert loaded.val is None and len(loaded.test) == 1
    assert loaded.notes == (
        "There is no test split: val is the held-out split.",
        "Classes without a held-out image: 'b'.",
    )


def test_without_splits_a_fifth_is_held_out(tmp_path):
    write_classes(tmp_path, {"many": 30, "few": 5, "two": 2, "one": 1})
    loaded = load_images(tmp_path, seed=4)
    assert loaded.classes == ("few", "many", "one", "two")
    assert loaded.source["counts"] == {"train": [4, 24, 1, 1], "test": [1, 6, 0, 1]}
    assert loaded.source["split"] == "80:20"
    assert "8 of 38 images were held out (80:20, stratified by class, seed 4)" in loaded.notes[0]
    assert "'one'" in loaded.notes[1]
    assert not set(loaded.train.ids) & set(loaded.test.ids)
    assert len(set(loaded.train.ids) | set(loaded.test.ids)) == 38
    again, other = load_images(tmp_path, seed=4), load_images(tmp_path, seed=5)
    assert again.test.ids.tolist() == loaded.test.ids.tolist() != other.test.ids.tolist()


def test_train_alone_is_split_too_and_the_profile_leaves_test(tmp_path):
    write_classes(tmp_path / "train", {"a": 20, "b": 20})
    natural, thin = load_images(tmp_path), load_images(tmp_path, profile="exp:4")
    assert thin.class_counts.tolist() == [16, 4]
    assert thin.test.ids.tolist() == natural.test.ids.tolist()
    assert (thin.test.array() == natural.test.array()).all()


def test_copies_stay_on_one_side_of_the_split(tmp_path):
    write_classes(tmp_path, {"a": 12, "b": 6})
    for i in range(6):  # over-sampled before the split
        for k in range(3):
            (tmp_path / "b" / f"copy{k}-{i:02d}.png").write_bytes((tmp_path / "b" / f"{i:02d}.png").read_bytes())
    loaded = load_images(tmp_path)
    sides = [{p.tobytes() for p in split.array()} for split in (loaded.train, loaded.test)]
    assert not sides[0] & sides[1]
    assert any("one side of the split: 18." in note for note in loaded.notes)


def test_hostile_names_are_data(tmp_path):
    write_classes(tmp_path / "train", dict.fromkeys(HOSTILE, 2))
    folder = tmp_path / "train" / HOSTILE[0]
    (folder / "00.png").rename(folder / "<script>alert(1)<\n.png")
    loaded = load_images(tmp_path)
    assert loaded.classes == tuple(sorted(HOSTILE))
    assert loaded.train.array().shape[0] + loaded.test.array().shape[0] == 2 * len(HOSTILE)
    assert any("<script>" in i for split in loaded.splits.values() for i in split.ids)


def test_names_that_are_not_utf8_become_text(tmp_path):
    write_classes(tmp_path, {"a": 3, "b": 3})
    try:
        os.rename(os.fsencode(tmp_path / "a" / "00.png"), os.fsencode(tmp_path / "a") + b"/\xff.png")
    except OSError:
        pytest.skip("this file system keeps to UTF-8")
    loaded = load_images(tmp_path)
    ids = [i for split in loaded.splits.values() for i in split.ids]
    assert "a/\ufffd.png" in ids and all(i.encode("utf-8") for i in ids)
    assert len(loaded.train.array()) + len(loaded.test.array()) == 6


def test_other_files_are_passed_over_and_counted(tmp_path):
    write_classes(tmp_path / "train", {"a": 2, "b": 2})
    write_classes(tmp_path / "test", {"a": 1, "b": 1})
    for name in (".DS_Store", "a/.hidden.png", "a/notes.txt", "b/Thumbs.db", "loose.png"):
        (tmp_path / "train" / name).write_text("x")
    (tmp_path / "docs").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "train" / ".cache").mkdir()
    loaded = load_images(tmp_path)
    assert len(loaded.train) == 4
    assert loaded.notes == (
        "Folders beside the splits were passed over: 'docs'.",
        "Files passed over because they are not images: 2 (1 .txt, 1 .db).",
        "Images passed over because they lie outside class folders: 1.",
    )


def test_a_class_folder_whose_name_begins_with_a_dot_is_reported(tmp_path):
    write_classes(tmp_path / "train", {"a": 2, "b": 2, ".c": 2})
    write_classes(tmp_path / "test", {"a": 1, "b": 1})
    (tmp_path / "train" / ".cache").mkdir()
    loaded = load_images(tmp_path)
    assert loaded.classes == ("a", "b")
    assert loaded.notes == (
        "Folders left out because their names begin with a dot: 'train/.c'. Rename them to read them.",
    )


def test_images_lie_at_any_depth_of_a_class(tmp_path):
    write_classes(tmp_path / "train" / "a", {"left": 2, "right": 2})
    write_classes(tmp_path / "train", {"b": 2})
    write_classes(tmp_path / "test", {"a": 1, "b": 1})
    assert load_images(tmp_path).train.ids.tolist()[:3] == [
        "train/a/left/00.png", "train/a/left/01.png", "train/a/right/00.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "message", "hint"),
    [
        (lambda r: None, "no class folders and no Parquet", "train/<class>/"),
        (lambda r: write_classes(r / "test", {"a": 1, "b": 1}), "test/ but no train/", "Add train/"),
        (lambda r: (r / "train").mkdir(), "train holds no class folders", "train/cat/001.png"),
        (lambda r: write_classes(r / "train", {"a": 2, "b": 0, "c": 1}), "class folder of 'b'", "remove the folder"),
        (lambda r: write_classes(r, {"a": 2}), "at least two, found only 'a'", "one subfolder per class"),
    ],
)
def test_folders_without_what_is_needed(tmp_path, build, message, hint):
    build(tmp_path)
    with pytest.raises(InputError) as caught:
        load_images(tmp_path)
    assert message in caught.value.message and hint in caught.value.hint


def test_classes_that_only_test_has_are_named(tmp_path):
    write_classes(tmp_path / "train", {"a": 2, "b": 2})
    write_classes(tmp_path / "test", {"a": 1, HOSTILE[0]: 1})
    with pytest.raises(InputError, match="onerror=1"):
        load_images(tmp_path)


def test_two_names_for_one_split_are_refused(tmp_path):
    for folder in ("train", "val", "Valid"):
        write_classes(tmp_path / folder, {"a": 1, "b": 1})
    with pytest.raises(InputError, match="both Valid/ and val/"):
        load_images(tmp_path)


def test_images_of_several_sizes_need_one(tmp_path):
    write_classes(tmp_path / "train", {"a": 2, "b": 2})
    write_classes(tmp_path / "test", {"a": 1, "b": 1})
    (tmp_path / "train" / "b" / "01.png").write_bytes(png(pixels(1, 9, 4)[0]))
    train = load_images(tmp_path).train
    with pytest.raises(InputError, match=r"'train/a/00.png' is 5 x 7, 'train/b/01.png' is 9 x 4") as caught:
        train.array()
    assert "size" in caught.value.hint
    with pytest.raises(InputError, match="differ in size"):
        train.stack([0, 3])
    assert train.array((6, 8)).shape == (4, 6, 8, 3)
    assert train.stack([3]).shape == (1, 9, 4, 3)
    assert train.resized((6, 8)).stack([0, 3]).shape == (2, 6, 8, 3)


def claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


WHOLE = png(pixels(1, 20, 20)[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not one of PNG"),
        (b"not an image", "not one of PNG"),
        (WHOLE[: len(WHOLE) // 2], "cannot be read as an image"),
        (WHOLE[:40], "cannot be read as an image"),
        (claims(9000, 9000), "81 million|9000 x 9000 pixels"),
        (claims(10000, 10000), "10000 x 10000 pixels"),
        (claims(50000, 50000), "more pixels than are safe"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n", "not one of PNG"),
    ],
)
def test_images_that_cannot_be_read_are_named(tmp_path, content, message):
    write_classes(tmp_path / "train", {"a": 2, "b": 2})
    write_classes(tmp_path / "test", {"a": 1, "b": 1})
    (tmp_path / "train" / "b" / "00.png").write_bytes(content)
    train = load_images(tmp_path).train
    for read in (lambda: train[2], train.array, lambda: train.stack([0, 2])):
        with pytest.raises(InputError, match=message) as caught:
            read()
        assert "train/b/00.png" in caught.value.message and caught.value.hint


def test_a_image_that_went_away_is_named(tmp_path):
    write_classes(tmp_path / "train", {"a": 2, "b": 2})
    write_classes(tmp_path / "test", {"a": 1, "b": 1})
    loaded = load_images(tmp_path)
    (tmp_path / "train" / "a" / "01.png").unlink()
    with pytest.raises(InputError, match=r"a/01.png.*no longer there"):
        loaded.train.image(1)


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def rotated_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    image = Image.new("RGB", (16, 8), (255, 0, 0))
    image.paste((0, 0, 255), (8, 0, 16, 8))
    return encode(image, "JPEG", exif=exif, quality=95)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (encode(Image.new("L", (4, 3), 77)), (77, 77, 77)),
        (encode(Image.new("1", (4, 3), 1)), (255, 255, 255)),
        (encode(Image.new("RGBA", (4, 3), (200, 100, 0, 0))), (255, 255, 255)),
        (encode(Image.new("RGBA", (4, 3), (200, 100, 0, 255))), (200, 100, 0)),
        (encode(Image.new("LA", (4, 3), (50, 0))), (255, 255, 255)),
        (encode(Image.new("P", (4, 3), 0), transparency=0), (255, 255, 255)),
        (encode(Image.fromarray(np.full((3, 4), 0x80FF, np.uint16))), (128, 128, 128)),
        (encode(Image.new("CMYK", (4, 3), (0, 0, 0, 0)), "TIFF"), (255, 255, 255)),
        (encode(Image.new("RGB", (4, 3), (9, 8, 7)), "BMP"), (9, 8, 7)),
        (encode(Image.new("RGB", (4, 3), (9, 8, 7)), "PPM"), (9, 8, 7)),
        (encode(Image.new("RGB", (4, 3), (9, 8, 7)), "WEBP", lossless=True), (9, 8, 7)),
        (encode(Image.new("L", (4, 3), 5), "GIF"), (5, 5, 5)),
    ],
)
def test_every_kind_of_pixel_becomes_colour(tmp_path, content, expected):
    write_classes(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "a" / "00.png").write_bytes(content)
    loaded = load_images(tmp_path)
    split = next(s for s in loaded.splits.values() if "a/00.png" in s.ids)
    image = split.image(split.ids.tolist().index("a/00.png"))
    assert image.shape == (3, 4, 3) and image.dtype == np.uint8
    assert (image == expected).all()


def test_orientation_is_applied_to_pixels_and_size(tmp_path):
    write_classes(tmp_path / "train", {"a": 1, "b": 1})
    write_classes(tmp_path / "test", {"a": 1, "b": 1})
    (tmp_path / "train" / "a" / "00.png").write_bytes(rotated_jpeg())
    train = load_images(tmp_path).train
    assert train.image(0).shape == (16, 8, 3) and train.source.size(0) == (16, 8)
    assert train.image(0)[2, 4, 0] > 200 and train.image(0)[13, 4, 2] > 200  # red above, blue below


def test_names_that_are_not_there(tmp_path):
    with pytest.raises(MissingError, match="'shape'") as caught:
        load_images("shape")
    assert "Did you mean 'shapes'?" in caught.value.hint and "or a folder" in caught.value.hint
    (tmp_path / "a.zip").write_bytes(b"")
    with pytest.raises(InputError, match="of a kind that is not read"):
        load_images(tmp_path / "a.zip")
    for odd in ("a\0b", "x" * 300, "~nobody-of-that-name/x", ""):
        with pytest.raises(InputError) as caught:
            load_images(odd)
        assert caught.value.hint


def test_a_captured_run_is_recognised(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InputError, match="captured run") as caught:
        load_images(tmp_path)
    assert "imblens audit" in caught.value.hint


def test_a_path_that_has_the_name_of_a_built_in_set_is_a_path(tmp_path, monkeypatch):
    write_classes(tmp_path / "digits", {"a": 3, "b": 3})
    monkeypatch.chdir(tmp_path)
    assert load_images("./digits").classes == ("a", "b")
    assert load_images((tmp_path / "digits").relative_to(tmp_path)).classes == ("a", "b")
    assert load_images("digits").n_classes == 10


def test_classes_whose_files_are_no_images_name_what_they_hold(tmp_path):
    write_classes(tmp_path / "test", {"a": 1, "b": 1})
    for name in ("train/a", "train/b"):
        (tmp_path / name).mkdir(parents=True)
        for i in range(3):
            (tmp_path / name / f"{i}.dcm").write_bytes(b"\0" * 128 + b"DICM")
    with pytest.raises(
        InputError, match=r"class folder of 'a', 'b'\. Files that are not images: 6 \.dcm; convert them"
    ):
        load_images(tmp_path)
