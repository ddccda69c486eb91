from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imblens.base import memory
from imblens.data import load_images
from imblens.errors import InputError, MissingError

from .helpers import HOSTILE, named, pixels, png, table, write_parquet

CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BOX = pa.list_(pa.struct([("label", pa.int64()), *((k, pa.float32()) for k in ("x0", "y0", "x1", "y1"))]))


def box(label, *corners):
    return dict(zip(("label", "x0", "y0", "x1", "y1"), (label, *corners), strict=True))


def write_pair(root, train, test=None, features=None, **metadata):
    write_parquet(root / "train.parquet", train, features, **metadata)
    write_parquet(root / "test.parquet", train if test is None else test, features, **metadata)
    return root


def test_hugging_face_layout_round_trips(tmp_path):
    images, others = pixels(5, seed=1), pixels(3, seed=2)
    features = {"image": {"_type": "Image"}, "label": named(*HOSTILE[:3])}
    write_pair(tmp_path, table(images, label=[2, 0, 1, 0, 0]), table(others, label=[1, 0, 2]), features)
    loaded = load_images(tmp_path)
    assert loaded.classes == HOSTILE[:3] and loaded.task == "multiclass" and loaded.notes == ()
    assert (loaded.train.array() == images).all() and (loaded.test.array() == others).all()
    assert loaded.train.labels.tolist() == [2, 0, 1, 0, 0] and loaded.train.labels.dtype == np.int64
    assert loaded.train.ids.tolist()[:2] == ["train/000000", "train/000001"]
    assert loaded.source["layout"] == "parquet" and loaded.train.boxes is None


def test_shards_in_a_data_folder_are_joined_in_order(tmp_path):
    images = pixels(6)
    for k in range(3):
        part = table(images[2 * k : 2 * k + 2], label=["b", "a"])
        write_parquet(tmp_path / "data" / f"train-0000{k}-of-00003.parquet", part)
    write_parquet(tmp_path / "data" / "validation-00000-of-00001.parquet", table(images[:2], label=["a", "b"]))
    loaded = load_images(tmp_path)
    assert (loaded.train.array() == images).all() and loaded.classes == ("a", "b")
    assert loaded.train.labels.tolist() == [1, 0] * 3
    assert "val is the held-out split" in loaded.notes[0]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_plain_bytes_img_and_names_of_numbers(tmp_path, kind):
    images = pixels(4)
    encoded = pa.array([png(i) for i in images], type=kind)
    write_pair(tmp_path, pa.table({"img": encoded, "labels": pa.array([3, 9, 3, 9], pa.int32())}))
    loaded = load_images(tmp_path)
    assert (loaded.train.array() == images).all()
    assert loaded.classes == ("3", "9") and loaded.train.labels.tolist() == [0, 1, 0, 1]


def test_text_labels_follow_the_schema_where_it_names_classes(tmp_path):
    content = table(pixels(3), label=pa.array(["b", "a", "c"]).dictionary_encode())
    write_pair(tmp_path / "a", content, label_names='["c", "b", "a"]')
    assert load_images(tmp_path / "a").train.labels.tolist() == [1, 2, 0]
    write_pair(tmp_path / "b", content, label_names='["c", "bb", "a"]')
    with pytest.raises(InputError, match="row 0 has label 'b'") as caught:
        load_images(tmp_path / "b")
    assert "Did you mean 'bb'" in caught.value.hint


def test_ids_are_the_sets_own_where_they_are_unique(tmp_path):
    images = pixels(3)
    cases = {
        "own": (table(images, paths=["x.png", "y.png", "z.png"], label=[0, 1, 0], image_id=["p", "q", "r"]), "p"),
        "path": (table(images, paths=["x.png", "y.png", "z.png"], label=[0, 1, 0]), "x.png"),
        "twice": (table(images, paths=["x.png", "x.png", "z.png"], label=[0, 1, 0]), "train/000000"),
        "missing": (table(images, paths=["x.png", None, "z.png"], label=[0, 1, 0]), "train/000000"),
    }
    for name, (content, expected) in cases.items():
        assert load_images(write_pair(tmp_path / name, content)).train.ids[0] == expected


@pytest.mark.parametrize(
    "feature",
    [
        [named("x", "y", "z")],
        {"feature": named("x", "y", "z"), "_type": "Sequence"},
        {"feature": named("x", "y", "z"), "_type": "List"},
    ],
)
def test_multi_label_with_boxes_and_names_from_the_schema(tmp_path, feature):
    hot = [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    boxes = pa.array([[box(0, 1, 2, 3, 4), box(2, 0, 0, 7, 5)], [], None], type=BOX)
    write_pair(tmp_path, table(pixels(3), labels=hot, boxes=boxes), features={"labels": feature})
    loaded = load_images(tmp_path)
    assert loaded.task == "multilabel" and loaded.classes == ("x", "y", "z")
    assert loaded.train.labels.tolist() == hot and loaded.train.labels.dtype == np.uint8
    assert [b.tolist() for b in loaded.train.boxes] == [[[0, 1, 2, 3, 4], [2, 0, 0, 7, 5]], [], []]
    assert all(b.shape[1] == 5 for b in loaded.train.boxes)


def test_class_numbers_in_lists_are_understood(tmp_path):
    lists = [[2, 0], [], [1]]
    write_pair(tmp_path, table(pixels(3), labels=lists), features={"labels": [named("x", "y", "z")]})
    assert load_images(tmp_path).train.labels.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_names_may_come_from_the_boxes_or_from_nowhere(tmp_path):
    boxes = pa.array([[box(1, 0, 0, 1, 1)], []], type=BOX)
    content = table(pixels(2), labels=[[1, 1], [0, 1]], nih_boxes=boxes)
    features = {"labels": [{"_type": "Value"}], "nih_boxes": [{"label": named("x", "y")}]}
    loaded = load_images(write_pair(tmp_path / "a", content, features=features))
    assert loaded.classes == ("x", "y") and len(loaded.train.boxes[0]) == 1
    for name, metadata in (("b", {}), ("c", {"huggingface": "{broken"}), ("d", {"huggingface": "[" * 10**5})):
        assert load_images(write_pair(tmp_path / name, content, **metadata)).classes == ("0", "1")


def test_a_class_without_training_images_is_a_note_in_multi_label_sets(tmp_path):
    notes = load_images(write_pair(tmp_path, table(pixels(2), labels=[[1, 0, 1], [1, 0, 0]]))).notes
    assert notes == ("Classes without a training image: '1'.", "Classes without a held-out image: '1'.")


@pytest.mark.parametrize(
    ("content", "features", "message", "hint"),
    [
        (pa.table({"a": [1]}), None, "no column 'image'; its columns: a", "encoded bytes"),
        (table(pixels(2), other=[0, 1]), None, "no column 'label'; its columns: image, other", "multi-hot"),
        (pa.table({"image": ["a.png", "b.png"], "label": [0, 1]}), None, "holds string", "PNG or JPEG bytes"),
        (table([png(pixels(1)[0]), None], label=[0, 1]), None, "row 1 has no image", "Embed"),
        (table(pixels(2), label=pa.array([0, None])), None, "row 1 has no label", "leave the row out"),
        (table(pixels(2), label=[0.5, 1]), None, "0.5 in row 0", "whole number"),
        (table(pixels(2), label=[0, -1]), {"label": named("a", "b")}, "row 1 has label -1", "not given"),
        (
            table(pixels(2), label=[0, -1]),
            None,
            "train row 1 has label -1, and classes are numbered from 0",
            "not given",
        ),
        (table(pixels(2), label=[0, 2]), {"label": named("a", "b")}, "row 1 has label 2", "0 to 1"),
        (table(pixels(2), label=[0, 1]), {"label": named("a", "b", "c")}, "no image of 'c'", "take the class out"),
        (table(pixels(2), label=[0, 0]), None, "only '0'", "one subfolder"),
        (table(pixels(2), label=[0, 1]).slice(0, 0), None, "holds no rows", "fill it"),
        (table(pixels(2), labels=[[0, 1], [1]]), None, "lengths [1, 2]", "name the classes"),
        (table(pixels(2), labels=[[], []]), None, "lengths [0]", "name the classes"),
        (table(pixels(2), labels=[["a"], ["b"]]), None, "whole numbers", "multi-hot"),
        (table(pixels(2), labels=[[0, 7], [1]]), {"labels": [named("a", "b")]}, "row 0 has labels [0, 7]", "multi-hot"),
        (
            table(pixels(2), labels=[[1, 1, 0], [1, 1, 1]]),
            {"labels": [named("a", "b")]},
            "labels [1, 1, 0]",
            "multi-hot",
        ),
        (
            table(pixels(2), label=[0, 1], boxes=pa.array([[box(5, 0, 0, 1, 1)], []], BOX)),
            None,
            "row 0 has the box",
            "0 to 1",
        ),
        (
            table(pixels(2), label=[0, 1], boxes=pa.array([[], [box(0, 3, 0, 1, 1)]], BOX)),
            None,
            "row 1 has the box",
            "beyond",
        ),
        (table(pixels(2), label=[0, 1], boxes=pa.array([[box(0, 0, 0, 1, None)], []], BOX)), None, "lacks", "x1"),
        (table(pixels(2), label=[0, 1], boxes=pa.array([[None], []], BOX)), None, "lacks", "x1"),
    ],
)
def test_what_cannot_be_read_is_stated(tmp_path, content, features, message, hint):
    with pytest.raises(InputError) as caught:
        load_images(write_pair(tmp_path, content, features=features))
    assert message in caught.value.message and hint in caught.value.hint


def test_missing_and_misnamed_splits(tmp_path):
    content = table(pixels(2), label=[0, 1])
    write_parquet(tmp_path / "a" / "test.parquet", content)
    with pytest.raises(MissingError, match=r"test\.parquet but no train"):
        load_images(tmp_path / "a")
    for name in ("images", "more"):
        write_parquet(tmp_path / "b" / f"{name}.parquet", content)
    with pytest.raises(MissingError, match=r"images\.parquet, more\.parquet, none of which is named after a split"):
        load_images(tmp_path / "b")
    write_parquet(tmp_path / "c" / "train.parquet", table(pixels(20), label=[0, 1] * 10))
    assert load_images(tmp_path / "c").source["counts"] == {"train": [8, 8], "test": [2, 2]}


def test_splits_and_shards_must_agree(tmp_path):
    content = table(pixels(2), label=[0, 1])
    write_parquet(tmp_path / "a" / "train.parquet", content, {"label": named("a", "b")})
    write_parquet(tmp_path / "a" / "test.parquet", content, {"label": named("b", "a")})
    with pytest.raises(InputError, match="class names of test differ"):
        load_images(tmp_path / "a")
    write_parquet(tmp_path / "b" / "train-0.parquet", content, {"label": named("a", "b")})
    write_parquet(tmp_path / "b" / "train-1.parquet", content)
    with pytest.raises(InputError, match=r"class names of .*train-1.parquet differ"):
        load_images(tmp_path / "b")
    write_parquet(tmp_path / "c" / "train-0.parquet", content)
    write_parquet(tmp_path / "c" / "train-1.parquet", content.append_column("boxes", pa.array([[], []], BOX)))
    with pytest.raises(InputError, match="some files of train have boxes"):
        load_images(tmp_path / "c")


def test_unreadable_images_name_their_row(tmp_path):
    content = table([png(pixels(1)[0]), b"no image"], label=[0, 1])
    train = load_images(write_pair(tmp_path / "cells", content)).train
    with pytest.raises(InputError, match="cells/train row 1 cannot be read"):
        train.array()


def test_files_that_are_no_parquet_are_named(tmp_path):
    whole = write_pair(tmp_path, table(pixels(8), label=[0, 1] * 4)) / "train.parquet"
    content = whole.read_bytes()
    for broken in (b"", b"PAR1", b"not parquet" * 9, content[: len(content) // 2]):
        whole.write_bytes(broken)
        with pytest.raises(InputError, match=r"train\.parquet cannot be read as Parquet"):
            load_images(tmp_path)


def test_bombs_are_seen_in_the_metadata(tmp_path, monkeypatch):
    many = pa.table({
        "image": pa.array([b"x"]).take(pa.array(np.zeros(1_200_000, np.int64))),
        "label": pa.array(np.zeros(1_200_000, np.int8)),
    })  # fmt: skip
    pq.write_table(many, tmp_path / "train.parquet")
    with pytest.raises(InputError, match="claims 1,200,000 images"):
        load_images(tmp_path)
    write_pair(tmp_path, table(pixels(8), label=[0, 1] * 4))
    monkeypatch.setattr(memory, "memory_limit", lambda: 100)
    with pytest.raises(InputError, match="unpacks to"):
        load_images(tmp_path)


def test_one_value_repeated_without_end_is_seen_while_reading(tmp_path, monkeypatch):
    """A dictionary page holds the large value once: neither file nor metadata show what it becomes."""
    large = pa.array([bytes(np.random.default_rng(0).bytes(10_000))])
    content = pa.table({"image": large.take(pa.array(np.zeros(2000, np.int64))), "label": [0, 1] * 1000})
    pq.write_table(content, tmp_path / "train.parquet")
    assert (tmp_path / "train.parquet").stat().st_size < 50_000
    monkeypatch.setattr(memory, "memory_limit", lambda: 10**7)
    with pytest.raises(InputError, match=r"take .* more than half"):
        load_images(tmp_path)


def test_long_tailed_cifar(real_data):
    loaded = load_images(real_data / "cifar10-lt")
    assert loaded.classes == CIFAR
    assert loaded.class_counts.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert len(loaded.train) == 12406 and len(loaded.test) == 10000 and loaded.val is None
    assert np.bincount(loaded.test.labels).tolist() == [1000] * 10
    assert loaded.train.ids[0] == "train/airplane/0398.jpg" and not loaded.train.greyscale
    assert loaded.train.stack([0, 12405]).shape == (2, 32, 32, 3)


def test_blood_cells(real_data):
    loaded = load_images(real_data / "bccd" / "tiles")
    assert loaded.classes == ("RBC", "WBC", "Platelets") and loaded.task == "multilabel"
    assert {name: len(split) for name, split in loaded.splits.items()} == {"train": 2460, "test": 864, "val": 1044}
    assert loaded.class_counts.tolist() == [1746, 471, 208]
    assert np.bincount(np.concatenate(loaded.train.boxes)[:, 0].astype(int)).tolist() == [2648, 472, 224]
    assert loaded.train.image(2).shape == (160, 160, 3)
    assert loaded.train.boxes[0].tolist() == [[0, 0, 37, 98, 160]] and loaded.train.ids[0] == "BloodImage_00001_r0c0"


def test_chest_x_rays(real_data):
    loaded = load_images(real_data / "nih-cxr" / "small")
    assert len(loaded.classes) == 14 and loaded.classes[-1] == "Hernia" and loaded.train.greyscale
    assert {name: len(split) for name, split in loaded.splits.items()} == {"train": 599, "test": 269, "val": 132}
    assert sum(len(b) for split in loaded.splits.values() for b in split.boxes) == 9
    assert loaded.notes == (
        "Boxes whose class is not a label of their image: 2 of 9; labels stay as they are.",
        "Classes without a held-out image: 'Hernia'.",
    )


def test_one_file_is_split_here_and_names_of_nih_keep_patients_together(tmp_path):
    names = [f"{p:08d}_{k:03d}.png" for p in range(15) for k in range(2)]
    labels = [[p % 2, 1] for p in range(15) for _ in range(2)]
    one = [box(1, 0, 0, 2, 2)]
    boxes = {"boxes": pa.array([one] * 30, type=BOX), "nih_boxes": pa.array([[box(0, 0, 0, 2, 2)]] * 30, type=BOX)}
    content = table(pixels(30), labels=labels, image_id=names, **boxes)
    write_parquet(tmp_path / "images.parquet", content, label_names='["a", "b"]')
    loaded = load_images(tmp_path)
    sides = [{name[:8] for name in split.ids} for split in (loaded.train, loaded.test)]
    assert len(sides[0]) == 12 and len(sides[1]) == 3 and not sides[0] & sides[1]
    assert loaded.train.boxes[0].tolist() == [[1, 0, 0, 2, 2]]
    assert any("not read: nih_boxes" in note for note in loaded.notes)
    assert any(note.startswith("Patients are taken from the image names") for note in loaded.notes)


def test_boxes_that_name_no_label_of_their_image_are_reported(tmp_path):
    boxes = pa.array([[box(1, 0, 0, 2, 2)], [box(0, 0, 0, 2, 2)]], type=BOX)
    write_pair(tmp_path, table(pixels(2), labels=[[1, 0], [1, 1]], boxes=boxes), label_names='["a", "b"]')
    assert any("2 of 4; labels stay as they are" in note for note in load_images(tmp_path).notes)


def test_a_folder_of_sets_names_them(tmp_path):
    for name in ("small", "tiles"):
        write_pair(tmp_path / name, table(pixels(2), label=["a", "b"]))
    write_parquet(tmp_path / "labels.parquet", pa.table({"image": ["x"], "a": [1]}))
    with pytest.raises(InputError, match="several image sets: small, tiles") as caught:
        load_images(tmp_path)
    assert caught.value.hint == f"Give one of them, such as {tmp_path / 'small'}."


def test_third_party_boxes_of_large_chest_x_rays(real_data):
    loaded = load_images(real_data / "nih-cxr" / "large")
    boxes = [b for split in (loaded.train, loaded.test) for b in split.boxes]
    assert len(boxes) == 78 and sum(map(len, boxes)) == 283
    assert not {n[:8] for n in loaded.train.ids} & {n[:8] for n in loaded.test.ids}
