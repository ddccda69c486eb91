"""Folders and tables as people have them."""

from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, features

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
    (root / "a" / "up").symlink_to(root)  # the images of b are none of a
    images = load_images(root)
    assert len(images.train) + len(images.test) == 14


def test_content_decides_what_is_an_image(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 5, "b": 5})
    for name in ("x.jfif", "x", "x.image"):
        (tmp_path / "a" / name).write_bytes(png(pixels(1, seed=len(name) + 9)[0]))
    (tmp_path / "a" / "notes").write_text("no image")
    images = load_images(tmp_path)
    assert len(images.train) + len(images.test) == 13
    assert any("not images: 1" in note for note in images.notes)


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


def counts(images, split: str = "train") -> dict[str, int]:
    """Images of each class in a split."""
    labels = images.splits[split].labels
    return dict(zip(images.classes, np.bincount(labels, minlength=images.n_classes).tolist(), strict=True))


@pytest.mark.parametrize(
    "names", [("Train", "dev"), ("train2017", "val2017"), ("training_set", "Eval"), ("train", "valid")]
)
@pytest.mark.parametrize("depth", ["", "images", "archive/data/images"])
def test_splits_are_found_at_any_depth(tmp_path: Path, names: tuple[str, str], depth: str) -> None:
    for split, seed in zip(names, (0, 1), strict=True):
        write_classes(tmp_path / depth / split, {"a": 3, "b": 2}, seed=seed)
    (tmp_path / "docs").mkdir()
    images = load_images(tmp_path)
    assert (
        counts(images) == {"a": 3, "b": 2} and len(images.held_out) == 5 and "val is the held-out" in images.notes[-1]
    )


def test_splits_inside_class_folders(tmp_path: Path) -> None:
    for name, n in (("a", 5), ("b", 3)):
        write_classes(tmp_path / name, {"train": n, "test": 2}, seed=ord(name))
    images = load_images(tmp_path)
    assert counts(images) == {"a": 5, "b": 3} and counts(images, "test") == {"a": 2, "b": 2}
    assert any("folders of splits" in note for note in images.notes)


def test_class_folders_inside_wrappers(tmp_path: Path) -> None:
    for split, seed in (("train", 0), ("test", 1)):
        write_classes(tmp_path / split / "images", {"a": 3, "b": 2}, seed=seed)
        (tmp_path / split / "labels").mkdir()
    images = load_images(tmp_path)
    assert images.classes == ("a", "b") and len(images.test) == 5
    write_classes(tmp_path / "other" / "only", {"a": 5, "b": 5}, seed=3)
    assert load_images(tmp_path / "other").classes == ("a", "b")


def test_images_of_a_split_without_classes_are_named(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"a": 8, "b": 8})
    write_classes(tmp_path, {"test": 4}, seed=1)
    assert any("'test' holds 4 images outside class folders" in note for note in load_images(tmp_path).notes)


def test_folds_are_not_classes(tmp_path: Path) -> None:
    for k in range(3):
        write_classes(tmp_path / f"fold_{k}", {"a": 4, "b": 3}, seed=k)
    images = load_images(tmp_path, hold_out=False)
    assert counts(images) == {"a": 12, "b": 9} and any("cross-validation" in note for note in images.notes)


def test_several_data_sets_are_refused(tmp_path: Path) -> None:
    for name in ("left", "right"):
        write_classes(tmp_path / name / "train", {"a": 2, "b": 2}, seed=ord(name[0]))
    with pytest.raises(InputError, match=r"several data sets.*'left', 'right'"):
        load_images(tmp_path)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_classes(tmp_path, {"car": 5, "train": 5, "plane": 5})
    assert load_images(tmp_path).classes == ("car", "plane", "train")


def test_names_are_compared_in_one_form(tmp_path: Path) -> None:
    name = "caf\u00e9"
    write_classes(tmp_path / "train", {unicodedata.normalize("NFD", name): 3, "b": 3})
    write_classes(tmp_path / "test", {name: 2, "b": 2}, seed=1)
    images = load_images(tmp_path)
    assert images.classes == ("b", name) and len(images.test) == 4 and images.train.image(5).shape == (5, 7, 3)


def write_table(root: Path, text: str, n: int = 10, name: str = "labels.csv") -> None:
    for i, image in enumerate(pixels(n)):
        (root / f"p{i}.png").write_bytes(png(image))
    (root / name).write_text(text, encoding="utf-8-sig")


def test_names_of_a_table_in_another_form(tmp_path: Path) -> None:
    write_table(tmp_path, "image,label\n" + "".join(f"p{i},{'xy'[i % 2]}\n" for i in range(8)))
    for i in range(8):
        (tmp_path / f"p{i}.png").rename(tmp_path / f"e\u0301{i}.png")
    (tmp_path / "labels.csv").write_text(
        "image,label\n" + "".join(f"\u00e9{i},{'xy'[i % 2]}\n" for i in range(8)), encoding="utf-8"
    )
    assert len(load_images(tmp_path, hold_out=False).train) == 8


def test_names_that_fit_several_images_are_refused(tmp_path: Path) -> None:
    for folder in ("l", "r"):
        (tmp_path / folder).mkdir()
        write_table(tmp_path / folder, "", n=4, name="empty.txt")
    rows = [f"{folder}/p{i},{folder}" for folder in "lr" for i in range(4)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,label", *rows]))
    assert counts(load_images(tmp_path, hold_out=False)) == {"l": 4, "r": 4}
    (tmp_path / "labels.csv").write_text("image,label\np0,x\np1,y\n")
    with pytest.raises(InputError, match="several images fit 'p0'"):
        load_images(tmp_path)


def test_tables_name_images_without_suffix_by_content_and_through_links(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    root = tmp_path / "set"
    root.mkdir()
    for i, image in enumerate(pixels(6)):
        (tmp_path / "else" / f"{i}.dat").write_bytes(png(image))
    (root / "link").symlink_to(tmp_path / "else")
    (tmp_path / "else" / "loop").symlink_to(root)
    (root / "data.csv").write_text("id,label\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(6)))
    assert counts(load_images(root, hold_out=False)) == {"x": 3, "y": 3}


NAMES = ("none", "nan", "null", "NA", "true", "1.0", "007", "No Finding")


def test_class_names_that_look_like_values_survive(tmp_path: Path) -> None:
    write_table(tmp_path, "file name;Class\n" + "".join(f"p{i};{NAMES[i % 8]}\n" for i in range(16)), 16)
    images = load_images(tmp_path, hold_out=False)
    assert set(images.classes) == set(NAMES) and set(counts(images).values()) == {2}
    (tmp_path / "q").mkdir()
    write_parquet(tmp_path / "q" / "train.parquet", table(pixels(16), label=[NAMES[i % 8] for i in range(16)]))
    assert set(load_images(tmp_path / "q", hold_out=False).classes) == set(NAMES)


def test_truth_values_of_parquet_are_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", table(pixels(4), label=[True, False, True, True]))
    assert counts(load_images(tmp_path, hold_out=False)) == {"false": 1, "true": 3}


@pytest.mark.parametrize("column", ["filename", "file_name", "image_path", "Image Name", "path"])
@pytest.mark.parametrize("label", ["class", "ClassId", "label", "Category"])
def test_usual_columns_and_delimiters(tmp_path: Path, column: str, label: str) -> None:
    write_table(tmp_path, f"{column}\t{label}\n" + "".join(f"p{i}.png\t{i % 2 * 9 + 1}\n" for i in range(4)), 4)
    images = load_images(tmp_path, hold_out=False)
    assert images.classes == ("1", "10") and images.task == "multiclass"
    assert any("exactly one label" in note for note in images.notes)


def test_stated_columns(tmp_path: Path) -> None:
    rows = "".join(f"p{i}.png,{'xy'[i % 2]},{'uv'[i // 5]},{i % 5}\n" for i in range(10))
    write_table(tmp_path, "photo,kind,label,fold\n" + rows, name="mine.csv")
    options = {"image_column": "photo", "label_column": "kind"}
    images = load_images(tmp_path, **options, hold_out=False)
    assert counts(images) == {"x": 5, "y": 5} and any("'fold' names no split" in note for note in images.notes)
    held = load_images(tmp_path / "mine.csv", **options, split_column="fold=0")
    assert len(held.train) == 8 and held.test.ids.tolist() == ["p0.png", "p5.png"]
    with pytest.raises(InputError, match=r"no column 'knd'.*Did you mean 'kind'"):
        load_images(tmp_path, image_column="photo", label_column="knd")
    with pytest.raises(InputError, match=r"names no split|has the split"):
        load_images(tmp_path, **options, split_column="label")
    write_classes(tmp_path / "c", {"a": 3, "b": 3})
    with pytest.raises(InputError, match="--label-column name columns of a table"):
        load_images(tmp_path / "c", label_column="x")


@pytest.mark.parametrize(
    ("column", "values"),
    [("split", ("Train", "validation")), ("Set", ("training", "Testing")), ("is_valid", ("False", "True"))],
)
def test_columns_of_splits(tmp_path: Path, column: str, values: tuple[str, str]) -> None:
    rows = "".join(f"p{i},{'xy'[i % 2]},{values[i >= 6]}\n" for i in range(10))
    write_table(tmp_path, f"image,label,{column}\n" + rows)
    images = load_images(tmp_path)
    assert len(images.train) == 6 and len(images.held_out) == 4


def test_columns_of_parquet(tmp_path: Path) -> None:
    content = table(pixels(6), y2=list("abcabc"), part=["train"] * 4 + ["test"] * 2, label=[0, 1, 0, 1, 0, 1])
    write_parquet(tmp_path / "x.parquet", content.rename_columns(["photo", "y2", "split", "label"]))
    images = load_images(tmp_path, image_column="photo", label_column="y2")
    assert images.classes == ("a", "b", "c") and len(images.train) == 4 and len(images.test) == 2
    assert len(load_images(tmp_path / "x.parquet", image_column="photo").test) == 2
    with pytest.raises(InputError, match="no column 'labl'"):
        load_images(tmp_path, image_column="photo", label_column="labl")


def test_one_hot_rows_of_parquet_are_single_label(tmp_path: Path) -> None:
    hot = pa.array(np.eye(3, dtype=int)[[0, 1, 2, 0]].tolist())
    write_parquet(tmp_path / "train.parquet", table(pixels(4), labels=hot))
    images = load_images(tmp_path, hold_out=False)
    assert images.task == "multiclass" and any("read as single-label" in note for note in images.notes)


def test_lines_of_json_beside_each_split(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        write_table(tmp_path / split, "", 4, name="empty.txt")
        lines = [json.dumps({"file_name": f"p{i}.png", "label": "xy"[i % 2]}) for i in range(4)]
        (tmp_path / split / "metadata.jsonl").write_text("\n".join(lines))
    images = load_images(tmp_path)
    assert len(images.train) == len(images.test) == 4 and images.classes == ("x", "y")


@pytest.mark.parametrize("place", ["", "meta"])
@pytest.mark.parametrize(
    ("line", "classes"), [("my p{i}.png 1{i}", 8), ("my p{i}.png\t{k}", 2), ("./my p{i}.png, b{k}", 2)]
)
def test_lists_of_paths_and_labels(tmp_path: Path, place: str, line: str, classes: int) -> None:
    write_table(tmp_path, "", 8, name="README.md")
    for i in range(8):
        (tmp_path / f"p{i}.png").rename(tmp_path / f"my p{i}.png")
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "train_list.txt").write_text("\n".join(line.format(i=i, k=i % 2) for i in range(8)))
    images = load_images(tmp_path, hold_out=False)
    assert images.n_classes == classes and len(images.train) == 8


def test_lists_of_several_labels(tmp_path: Path) -> None:
    write_table(tmp_path, "", 4, name="README.md")
    (tmp_path / "train.txt").write_text("p0.png 1 0 1\np1.png 0 1 0\np2.png 0 0 0\np3.png 1 0 0\n")
    images = load_images(tmp_path, hold_out=False)
    assert images.task == "multilabel" and images.train.labels.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_a_log_called_train_is_no_list(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 5, "b": 5})
    (tmp_path / "train.txt").write_text("epoch 1: loss 0.5\nepoch 2: loss 0.4\n")
    assert load_images(tmp_path).classes == ("a", "b")


@pytest.mark.parametrize("split", ["", "train"])
def test_unrelated_files_are_ignored_with_a_note(tmp_path: Path, split: str) -> None:
    write_classes(tmp_path / split, {"a": 5, "b": 5})
    for name, text in {
        "own.json": "{}", "README.md": "x", ".DS_Store": "x", "Thumbs.db": "x", "notes.csv": "when,who\n1,2\n",
        "labels.csv": "number,name\n0,a\n1,b\n", "data.yaml": "nc: 2",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    write_parquet(tmp_path / "features.parquet", pa.table({"x": [1.0]}))
    (tmp_path / split / "a" / "labels.csv").write_text("image,label\n")
    if not split:
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs" / "weights.pt").write_bytes(b"x")
    images = load_images(tmp_path)
    assert images.classes == ("a", "b") and len(images.train) + len(images.test) == 10
    said = " ".join(images.notes)
    assert all(name in said for name in ("own.json", "README.md", "notes.csv", "labels.csv"))


def test_one_label_for_each_row_of_an_archive(tmp_path: Path) -> None:
    arrays = {"train_images": pixels(4), "train_labels": np.eye(2)[[0, 1, 0, 0]].astype(int)}
    np.savez(tmp_path / "a.npz", **arrays)
    images = load_images(tmp_path / "a.npz", hold_out=False)
    assert images.task == "multiclass" and images.train.labels.tolist() == [0, 1, 0, 0]


def test_rows_without_a_label_are_left_out_with_a_note(tmp_path: Path) -> None:
    write_table(tmp_path, "image,label\np0,x\np1,y\np2,\np3,x\n", 4)
    images = load_images(tmp_path, hold_out=False)
    assert len(images.train) == 3 and any("without a label, left out: 1" in note for note in images.notes)


def test_a_test_table_without_labels_is_named(tmp_path: Path) -> None:
    write_table(tmp_path, "image,label\np0,x\np1,y\n", 4, name="train.csv")
    write_table(tmp_path, "image\np2\np3\n", 4, name="test.csv")
    assert any("test.csv was not read" in note for note in load_images(tmp_path, hold_out=False).notes)


def test_avif_by_content(tmp_path: Path) -> None:
    if not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    write_classes(tmp_path, {"a": 3, "b": 3})
    for name in ("x.avif", "y"):
        file = io.BytesIO()
        Image.fromarray(pixels(1, 32, 32, seed=len(name))[0]).save(file, "AVIF")
        (tmp_path / "a" / name).write_bytes(file.getvalue())
    images = load_images(tmp_path, hold_out=False)
    assert counts(images) == {"a": 5, "b": 3} and len(images.resized((8, 8)).train.array()) == 8


def test_the_task_can_be_stated(tmp_path: Path) -> None:
    write_classes(tmp_path / "folders", {"a": 5, "b": 6})
    images = load_images(tmp_path / "folders", task="multilabel")
    assert images.task == "multilabel" and images.train.labels.shape[1] == 2 and (images.train.labels.sum(1) == 1).all()
    assert "The labels are read as multi-label, as stated." in images.notes
    rows = ["image,a,b", *(f"{i}.png,{i % 2},{1 - i % 2}" for i in range(10))]
    (tmp_path / "table").mkdir()
    for i, image in enumerate(pixels(10)):
        (tmp_path / "table" / f"{i}.png").write_bytes(png(image))
    (tmp_path / "table" / "labels.csv").write_text("\n".join(rows))
    assert (
        load_images(tmp_path / "table").task == load_images(tmp_path / "table", task="multiclass").task == "multiclass"
    )
    assert load_images(tmp_path / "table", task="multilabel").task == "multilabel"
    (tmp_path / "table" / "labels.csv").write_text("\n".join([*rows[:-1], "9.png,1,1"]))
    assert load_images(tmp_path / "table").task == "multilabel"
    with pytest.raises(InputError, match=r"has 2 labels, so table is not single-label"):
        load_images(tmp_path / "table", task="multiclass", seed=0)
    with pytest.raises(InputError, match="task='multi' is not allowed"):
        load_images(tmp_path / "table", task="multi")


@pytest.mark.parametrize(
    ("column", "both", "words"),
    [
        ("labels", '"a,b"', "join labels by commas"),
        ("labels", "a;b", "join labels by semicolons"),
        ("tags", "a b", "join labels by blanks"),
        ("label", "\"['a', 'b']\"", "are lists of labels"),
        ("label", "a|b", ""),
    ],
)
def test_cells_that_join_labels_are_multi_label(tmp_path: Path, column: str, both: str, words: str) -> None:
    single = ["['a']", "['b']"] if "[" in both else ["a", "b"]
    cells = [[*single, both][i % 3] for i in range(12)]
    for i, image in enumerate(pixels(12)):
        (tmp_path / f"{i}.png").write_bytes(png(image))
    (tmp_path / "labels.csv").write_text(
        "\n".join([f"image,{column}", *(f"{i}.png,{cell}" for i, cell in enumerate(cells))])
    )
    images = load_images(tmp_path)
    assert images.task == "multilabel" and images.classes == ("a", "b")
    assert any(words in note for note in images.notes)


def test_names_with_commas_stay_names(tmp_path: Path) -> None:
    for i, image in enumerate(pixels(12)):
        (tmp_path / f"{i}.png").write_bytes(png(image))
    cells = ['"cat, black"', "dog"]
    rows = ["image,label,train", *(f"{i}.png,{cells[i % 2]},{int(i < 8)}" for i in range(12))]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    images = load_images(tmp_path)
    assert images.classes == ("cat, black", "dog") and (len(images.train), len(images.test)) == (8, 4)


def test_a_file_names_the_numbers_of_list_files(tmp_path: Path) -> None:
    for i, image in enumerate(pixels(12)):
        (tmp_path / f"{i}.png").write_bytes(png(image))
    for name, rows in (("train.txt", range(8)), ("test.txt", range(8, 12))):
        (tmp_path / name).write_text("\n".join(f"{i}.png {i % 2}" for i in rows))
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    images = load_images(tmp_path)
    assert images.classes == ("dog", "cat") and images.train.labels.tolist() == [0, 1] * 4
    assert "Classes are named by the lines of classes.txt." in images.notes


def test_a_second_folder_of_a_split_is_named(tmp_path: Path) -> None:
    for name in ("train", "train_aug", "test"):
        write_classes(tmp_path / name, {"a": 3, "b": 2}, seed=len(name))
    notes = load_images(tmp_path).notes
    assert any("'train_aug' holds 5 images beside the folder of that split" in note for note in notes)
