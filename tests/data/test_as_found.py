"""Folders and tables as people have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imblens.data import load_images
from imblens.errors import InputError

from .helpers import pixels, png, table, write_classes, write_parquet


@pytest.mark.parametrize(("train", "test"), [("seg_train", "seg_test"), ("asl_training", "asl-testing")])
def test_splits_are_recognised_in_longer_names(tmp_path: Path, train: str, test: str) -> None:
    write_classes(tmp_path / train, {"a": 3, "b": 2})
    write_classes(tmp_path / test, {"a": 2, "b": 1}, seed=1)
    images = load_images(tmp_path)
    assert images.classes == ("a", "b") and len(images.train) == 5 and len(images.test) == 3


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_classes(root, {"a": 5, "b": 5})
    write_classes(tmp_path / "else", {"c": 4}, seed=1)
    (root / "a" / "more").symlink_to(tmp_path / "else" / "c")
    (root / "b" / "loop").symlink_to(root / "b")
    images = load_images(root)
    assert len(images.train) + len(images.test) == 14


def test_content_decides_what_is_an_image(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 5, "b": 5})
    for name in ("x.jfif", "x", "x.image"):
        (tmp_path / "a" / name).write_bytes(png(pixels(1, seed=len(name) + 9)[0]))
    (tmp_path / "a" / "notes").write_text("no image")
    images = load_images(tmp_path)
    assert len(images.train) + len(images.test) == 13
    assert any("no images: 1" in note for note in images.notes)


def test_numbers_as_class_names_are_in_numeric_order(tmp_path: Path) -> None:
    write_classes(tmp_path, dict.fromkeys(("10", "9", "2"), 3))
    images = load_images(tmp_path)
    assert images.classes == ("2", "9", "10") and any("numeric order" in note for note in images.notes)


@pytest.mark.parametrize(
    ("header", "delimiter"), [("image,label", ","), ("Filename;ClassId", ";"), ("image_id\tclass\tfold", "\t")]
)
def test_tables_of_one_label_are_single_label(tmp_path: Path, header: str, delimiter: str) -> None:
    rows = [header]
    for i, image in enumerate(pixels(10)):
        (tmp_path / f"p{i}.png").write_bytes(png(image))
        rows.append(delimiter.join([f"p{i}", "xy"[i % 2], str(i % 5)][: header.count(delimiter) + 1]))
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    images = load_images(tmp_path)
    assert images.task == "multiclass" and images.classes == ("x", "y")
    assert any("read as single-label" in note for note in images.notes)


def test_parquet_in_folders_of_splits(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_parquet(tmp_path / split / "0000.parquet", table(pixels(4), target=[0, 1, 0, 1]))
    images = load_images(tmp_path)
    assert len(images.train) == len(images.test) == 4


def test_json_of_another_kind_is_ignored_with_a_note(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "settings.json").write_text(json.dumps({"lr": 0.1}))
    assert any("settings.json" in note for note in load_images(tmp_path).notes)


def test_a_saved_dataset_is_named(tmp_path: Path) -> None:
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(InputError, match="save_to_disk"):
        load_images(tmp_path)


def test_lists_of_paths_and_labels_are_read(tmp_path: Path) -> None:
    for i, image in enumerate(pixels(8)):
        (tmp_path / f"p {i}.png").write_bytes(png(image))
    for split, numbers in (("train", range(5)), ("test", range(5, 8))):
        (tmp_path / f"{split}.txt").write_text("\n".join(f"p {i}.png {i % 2}" for i in numbers))
    images = load_images(tmp_path)
    assert images.classes == ("0", "1") and len(images.train) == 5 and images.test.labels.tolist() == [1, 0, 1]


def test_nothing_is_held_out_where_it_is_not_wanted(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 12, "b": 8})
    images = load_images(tmp_path, hold_out=False)
    assert images.test is None and images.class_counts.tolist() == [12, 8]
    assert any("all 20 images are training images" in note for note in images.notes)
    assert len(load_images(tmp_path).test) == 4
