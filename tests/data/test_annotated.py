"""Layouts in which labels and boxes are written beside the images, as their owners publish them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imblens.data import ImageSet, add_boxes, load_images
from imblens.errors import InputError, MissingError

NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"


def draw(file: Path, size: tuple[int, int] = (12, 16), shade: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*size, 3), (40 + 7 * shade) % 256, np.uint8)
    pixels[0, 0] = shade % 251, shade // 251, 7  # no two alike
    Image.fromarray(pixels).save(file)


def nih(root: Path, rows: Sequence[tuple[str, str, int]], boxes: Sequence[str] = (), side: int = 32) -> Path:
    for i, (name, _, _) in enumerate(rows):
        draw(root / "images" / name, (side, side), i)
    lines = [NIH_HEADER, *(f"{name},{labels},0,{patient},,,,,,,," for name, labels, patient in rows)]
    (root / "Data_Entry_2017.csv").write_text("\n".join(lines) + "\n")
    if boxes:
        (root / "BBox_List_2017.csv").write_text("\n".join([BOX_HEADER, *boxes]) + "\n")
    return root


def patients(n: int) -> list[tuple[str, str, int]]:
    """Return n patients of three images each, with one finding in turn."""
    findings = ("No Finding", "Mass", "Mass|Effusion", "Hernia")
    return [(f"{p:08d}_{k:03d}.png", findings[p % 4], p) for p in range(n) for k in range(3)]


def voc(root: Path, images: Mapping[str, Sequence[tuple[Any, ...]]], lists: Mapping[str, Sequence[str]] = {}) -> Path:
    for i, (stem, boxes) in enumerate(images.items()):
        draw(root / "JPEGImages" / f"{stem}.png", shade=i)
        things = "".join(
            f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
            f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
            for name, x0, y0, x1, y1 in boxes
        )
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{stem}.xml").write_text(
            f"<annotation><folder>JPEGImages</folder><filename>{stem}.png</filename>"
            f"<size><width>16</width><height>12</height><depth>3</depth></size>{things}</annotation>"
        )
    for name, stems in lists.items():
        file = root / "ImageSets" / "Main" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(stems) + "\n")
    return root


CELLS = {
    f"cell{i}": [("RBC", 1, 1, 4, 5), ("RBC", 9, 2, 16, 12)] if i % 2 else [("RBC", 2, 2, 6, 6), ("WBC", 3, 3, 8, 12)]
    for i in range(8)
}


def coco(root: Path, files: Mapping[str, Any]) -> Path:
    for i in range(6):
        draw(root / "images" / f"{i}.png", shade=i)
    for name, content in files.items():
        file = root / "annotations" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    return root


def instances(ids: Sequence[int], boxes: Sequence[Any] = ([2, 3, 5, 6], [0, 0, 16, 12])) -> dict[str, Any]:
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "height": 12, "width": 16} for i in ids],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 1, "name": "animal"}],
        "annotations": [
            {"id": 10 * i + k, "image_id": i, "category_id": (3, 7)[(i + k) % 2], "bbox": box, "iscrowd": 0}
            for i in ids
            for k, box in enumerate(boxes[: 1 + i % 2])
        ],
    }


# ---------------------------------------------------------------------------------------------------- NIH and CheXpert


def test_nih_as_it_is_published(tmp_path: Path) -> None:
    rows = patients(20)
    boxes = [
        f"{rows[3][0]},Mass,512.0,256.0,128.0,64.0",
        f"{rows[3][0]},Infiltrate,0.0,0.0,1024.0,1024.0,,,",
        "99999999_000.png,Mass,1,1,5,5",
    ]
    found = load_images(nih(tmp_path / "nih", rows, boxes))
    assert found.task == "multilabel" and found.n_classes == 14
    assert found.classes[:6] == ("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule")
    every = {i: s for s in found.splits.values() for i in s.ids}
    assert len(every) == 60
    ids = list(found.train.ids) + list(found.test.ids)
    labels = dict(zip(ids, np.concatenate([found.train.labels, found.test.labels]), strict=True))
    names = {i: {found.classes[c] for c in np.flatnonzero(row)} for i, row in labels.items()}
    for name, findings, _ in rows:
        assert names[f"images/{name}"] == set(findings.split("|")) - {"No Finding"}
    # boxes were drawn on 1024 x 1024 pixels, the images here have 32 x 32
    split = every[f"images/{rows[3][0]}"]
    place = list(split.ids).index(f"images/{rows[3][0]}")
    assert split.boxes[place].tolist() == [[4, 16, 8, 20, 10], [3, 0, 0, 32, 32]]
    said = "\n".join(found.notes)
    for line in (
        "writes Infiltrate for the label Infiltration",
        "class is not a label of their image: 1 of 2",
        "another size: 2",
        "no patient on",
    ):
        assert line in said


def test_no_patient_is_on_both_sides_of_a_split_made_here(tmp_path: Path) -> None:
    for seed in range(3):
        found = load_images(nih(tmp_path / "nih", patients(40)), seed=seed)
        train, test = set(found.train.patients), set(found.test.patients)
        assert not train & test and len(test) >= 6
        assert (found.test.labels.sum(axis=0)[[2, 4, 13]] >= 3).all()  # a fifth of each finding's ten patients or more
        assert not any("Patients in both" in note for note in found.notes)


def test_lists_of_nih_give_the_split_and_shared_patients_are_reported(tmp_path: Path) -> None:
    rows = patients(12)
    root = nih(tmp_path / "nih", rows)
    (root / "train_val_list.txt").write_text("\n".join(name for name, _, _ in rows[:20]))
    (root / "test_list.txt").write_text("\n".join(name for name, _, _ in rows[20:]))
    found = load_images(root)
    assert (len(found.train), len(found.test)) == (20, 16)
    assert any(note.startswith("Patients in both train and test: 1.") for note in found.notes)
    assert found.source["shared_patients"] == {"train and test": 1}


def chexpert(root: Path) -> Path:
    """Write CheXpert's layout: a name stands in many folders, blanks are not mentioned, -1 is uncertain."""
    header = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Cardiomegaly,Edema,Support Devices"
    answers = ["1.0,,,", ",1.0,-1.0,", ",-1.0,0.0,1.0", ",0.0,1.0,-1.0"]
    for split, first, n in (("train", 1, 16), ("valid", 50, 4)):
        lines = [header]
        for p in range(first, first + n):
            name = f"CheXpert-v1.0-small/{split}/patient{p:05d}/study1/view1_frontal.png"
            draw(root / name.split("/", 1)[1], shade=p)
            lines.append(f"{name},Female,{p},Frontal,AP,{answers[p % 4]}")
        (root / f"{split}.csv").write_text("\n".join(lines))
    return root


@pytest.mark.parametrize(("uncertain", "expected"), [("ignore", 4), ("positive", 8), ("negative", 4)])
def test_uncertain_labels_of_chexpert(tmp_path: Path, uncertain: str, expected: int) -> None:
    found = load_images(chexpert(tmp_path / "chexpert"), uncertain=uncertain)
    assert found.classes == ("Cardiomegaly", "Edema", "Support Devices")
    assert (len(found.train), len(found.held_out)) == (16, 4)
    assert found.class_counts.tolist() == [expected] * 3
    negative = (found.train.targets == 0).sum(axis=0).tolist()
    assert negative == {"ignore": [8] * 3, "positive": [8] * 3, "negative": [12] * 3}[uncertain]
    assert (found.train.unknown is not None) == (uncertain == "ignore")
    assert set(found.train.patients) == {f"patient{p:05d}" for p in range(1, 17)}
    assert any("Uncertain labels in train: 12" in note for note in found.notes)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    root = tmp_path / "own"
    lines = ["file,tags,set"]
    for i in range(9):
        draw(root / f"{i}.png", shade=i)
        lines.append(f"{i}.png,{('cat', 'dog|cat', '')[i % 3]},{('train', 'train', 'test')[i // 3]}")
    (root / "labels.csv").write_text("﻿" + "\r\n".join(lines))
    found = load_images(root)
    assert found.classes == ("cat", "dog") and found.class_counts.tolist() == [4, 2]
    assert (len(found.train), len(found.test)) == (6, 3)
    (root / "more.csv").write_text("image,label,x,y,w,h\n0,dog,1,2,3,4\n8.png,cat,0,0,16,12\n")
    boxed = load_images(root, boxes=root / "more.csv")
    assert boxed.train.boxes[0].tolist() == [[1, 1, 2, 4, 6]] and boxed.test.boxes[2].tolist() == [[0, 0, 0, 16, 12]]
    assert boxed.resized((24, 64)).train.boxes[0].tolist() == [[1, 4, 4, 16, 12]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,labels\n0.png,a\n", "no column that names images; its columns: name, labels"),
        ("image,age\n0.png,33\n", "has no labels"),
        ("image,cat,dog\n0.png,1.0,maybe\n1.png,0.0,1.0\n", "line 2 has 'maybe' under 'dog'"),
        ("image,labels\n0.png,a,b,c\n", "line 2 has 4 fields for 2 columns"),
        ("image,labels,split\n0.png,a,tomorrow\n", "line 2 has the split 'tomorrow'"),
        ("image,labels\n0.png,a|b\n0.png,b\n", "'0.png' is described twice"),
        ("image,labels\nnone.png,a|b\n", "none of the 1 described images, such as 'none.png', exists"),
        ("image,labels\n../../9.gif,a|b\n", "none of the 1 described images"),
        ("image,labels\n0.png,only\n1.png,only\n", "comparing classes needs at least two"),
        (b"image,labels\n0.png,\xff\xfe\n", "cannot be read as CSV"),
    ],
)
def test_broken_tables(tmp_path: Path, text: str | bytes, message: str) -> None:
    for i in range(2):
        draw(tmp_path / f"{i}.png", shade=i)
    (tmp_path / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        load_images(tmp_path)


# -------------------------------------------------------------------------------------------------- VOC, COCO, others


def test_voc_counts_from_one_and_includes_its_last_pixel(tmp_path: Path) -> None:
    lists = {"train": [f"cell{i}" for i in range(5)], "test": ["cell5", "cell6", "cell7"], "trainval": ["cell0"]}
    found = load_images(voc(tmp_path / "BCCD", CELLS, {**lists, "RBC_train": ["cell7"]}))
    assert found.classes == ("RBC", "WBC") and (len(found.train), len(found.test)) == (5, 3)
    assert found.train.boxes[0].tolist() == [[0, 1, 1, 6, 6], [1, 2, 2, 8, 12]]
    assert found.train.labels.tolist() == [[1, 1], [1, 0], [1, 1], [1, 0], [1, 1]]
    assert load_images(tmp_path).classes == ("RBC", "WBC")  # one folder up, as it is unpacked


def test_boxes_without_area_are_left_out_and_label_nothing(tmp_path: Path) -> None:
    images = {**CELLS, "empty": [("Platelets", 5, 5, 5, 9)]}
    found = load_images(voc(tmp_path, images))
    assert found.classes == ("RBC", "WBC")
    assert any("left out because" in note for note in found.notes)


def billion_laughs(names: str = "&g;") -> str:
    entities = '<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdef", "bcdefg", strict=True)
    )
    return f"<!DOCTYPE annotation [{entities}]><annotation><filename>{names}</filename></annotation>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (billion_laughs(), "declares entities"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>', "declares entities"),
        (billion_laughs().encode("utf-16"), "not UTF-8"),
        ("<annotation><object>", "cannot be read as XML"),
        ("<html></html>", "holds <html>, not <annotation>"),
        ("<annotation><object><name>RBC</name></object></annotation>", "lacks its <name> or <bndbox>"),
        ("<annotation>" * 200_000, "cannot be read as XML"),
        ("", "cannot be read as XML"),
    ],
)
def test_hostile_and_broken_xml(tmp_path: Path, text: str | bytes, message: str) -> None:
    root = voc(tmp_path, CELLS)
    (root / "Annotations" / "cell3.xml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        load_images(root)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (("RBC", 17, 1, 20, 5), r"cell0.png' lies at \[16.0, 0.0, 20.0, 5.0\].*outside of its 16 x 12 pixels"),
        (("RBC", "nan", 1, 20, 5), "a box holds .* four finite numbers"),
        (("RBC", "", 1, 20, 5), "four finite numbers"),
    ],
)
def test_boxes_that_cannot_be(tmp_path: Path, box: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_images(voc(tmp_path, {**CELLS, "cell0": [box]}))


def test_boxes_that_reach_beyond_are_clipped(tmp_path: Path) -> None:
    found = load_images(voc(tmp_path, {**CELLS, "cell0": [("WBC", -3, 4, 9, 40)]}))
    every = {str(i): b for s in found.splits.values() for i, b in zip(s.ids, s.boxes, strict=True)}
    assert every["JPEGImages/cell0.png"].tolist() == [[1, 0, 3, 9, 12]]
    assert "Boxes clipped to their image: 1." in found.notes


def test_coco(tmp_path: Path) -> None:
    root = coco(
        tmp_path, {"instances_train2017.json": instances([0, 1, 2, 3]), "instances_val2017.json": instances([4, 5])}
    )
    found = load_images(root)
    assert found.classes == ("cat", "dog")  # by id; a super-category without boxes is not a label
    assert (len(found.train), len(found.held_out)) == (4, 2)
    assert found.train.boxes[1].tolist() == [[1, 2, 3, 7, 9], [0, 0, 0, 16, 12]]
    assert found.train.labels.tolist() == [[1, 0], [1, 1], [1, 0], [1, 1]]
    image_only = tmp_path / "plain"
    for i in range(4):
        draw(image_only / f"{i}.png", (24, 32), i)
    (tmp_path / "b.json").write_text(json.dumps(instances([0, 1])))
    (image_only / "labels.csv").write_text("image,labels\n0.png,cat\n1.png,cat|dog\n2.png,\n3.png,dog\n")
    boxed = add_boxes(load_images(image_only), tmp_path / "b.json")
    every = {str(i): b for s in boxed.splits.values() for i, b in zip(s.ids, s.boxes, strict=True)}
    assert every["1.png"].tolist() == [[1, 4, 6, 14, 18], [0, 0, 0, 32, 24]]  # drawn on half the size


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ({"images": []}, "holds the keys images, not a known annotation format"),
        ([1, 2], "holds a list, not a known annotation format"),
        ({"images": [{}], "annotations": [], "categories": []}, "not a COCO file that can be read: KeyError"),
        ({**instances([0, 1]), "categories": []}, "which are not both listed"),
        (instances([0, 1], [[2, 3, "wide", 6]]), "four finite numbers"),
        (instances([0, 1], [[2, 3, 5]]), "four finite numbers"),
        (instances([0, 1], [[200, 3, 5, 6]]), "outside of its 16 x 12"),
        (instances([77]), "none of the 1 described images"),
    ],
)
def test_broken_json(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_images(coco(tmp_path, {"instances_train.json": content}))


def test_boxes_of_unknown_images(tmp_path: Path) -> None:
    found = load_images(voc(tmp_path / "cells", CELLS))
    (tmp_path / "boxes.csv").write_text(f"{BOX_HEADER}\nother.png,RBC,1,1,5,5\n")
    with pytest.raises(InputError, match=r"none of the boxes .* such as 'other.png', the set has 'JPEGImages/cell"):
        add_boxes(found, tmp_path / "boxes.csv")
    with pytest.raises(MissingError, match="no file of boxes"):
        add_boxes(found, tmp_path / "none.csv")
    (tmp_path / "boxes.txt").write_text("")
    with pytest.raises(InputError, match="not a supported file of boxes"):
        add_boxes(found, tmp_path / "boxes.txt")
    (tmp_path / "odd.csv").write_text("image,label,x0\n")
    with pytest.raises(InputError, match="has no column y0 and w and h"):
        add_boxes(found, tmp_path / "odd.csv")


def test_boxes_go_to_the_image_that_is_named(tmp_path: Path) -> None:
    from imblens.data._boxes import Drawn

    box = ("RBC", 1.0, 1.0, 5.0, 5.0)
    drawn = Drawn({"a/view.png": (box,), "far/b/other.jpg": (box,) * 2}, {})
    files = ["x/a/view.png", "x/b/view.png", "b/other", "other.png"]
    assert [len(fact["boxes"]) for fact in drawn.match(files[:3])] == [1, 0, 2]
    assert [len(fact["boxes"]) for fact in drawn.match(files[3:])] == [2]
    with pytest.raises(InputError, match=r"'view.png' fit several images, 'x/a/view.png' and 'x/b/view.png'"):
        Drawn({"view.png": (box,)}, {}).match(files)


# ----------------------------------------------------------------------------------------------------- the real things


def test_real_nih_files(real_data: Path) -> None:
    found = load_images(real_data / "nih-cxr/layout")
    assert sum(map(len, found.splits.values())) == 29 and found.n_classes == 14
    assert sum(len(b) for s in found.splits.values() for b in s.boxes) == 8
    assert not set(found.train.patients) & set(found.test.patients)


def test_real_small_nih(real_data: Path) -> None:
    found = load_images(real_data / "nih-cxr/small")
    counts = sum(s.labels.sum(axis=0, dtype=int) for s in found.splits.values())
    assert counts.tolist() == [95, 83, 170, 162, 35, 39, 9, 40, 42, 31, 37, 32, 29, 9]
    assert len({p for s in found.splits.values() for p in s.patients}) == 264
    assert not any("Patients in both" in note for note in found.notes)
    assert sum(len(b) for s in found.splits.values() for b in s.boxes) == 9


def test_all_of_the_published_box_list_is_read(real_data: Path) -> None:
    from imblens.data._boxes import read_boxes

    drawn = read_boxes(real_data / "nih-cxr/layout" / "BBox_List_2017.csv")
    files = [name for name in drawn.boxes if name.endswith(".png")]
    assert len(files) == 880 == len(drawn.boxes) and sum(len(drawn.boxes[name]) for name in files) == 984
    assert len({label for name in files for label, *_ in drawn.boxes[name]}) == 8


def test_real_chestx_det(real_data: Path) -> None:
    from imblens.data.layouts._coco import read_json

    folder = real_data / "chestx-det"
    entries = [e for part in ("train", "test") for e in read_json(folder / f"ChestX_Det_{part}.json")[0]]
    assert len(entries) == 3578 and sum(len(e.boxes) for e in entries) == 9639
    assert sum(not e.labels for e in entries) == 611 and sum(len(e.labels) > 1 for e in entries) == 2006
    assert sum("Mass" in e.labels for e in entries) == 148
    with pytest.raises(MissingError, match="none of the 3,578 described images"):
        load_images(folder)


def test_real_cells_as_images_and_in_their_own_layout(real_data: Path, tmp_path: Path) -> None:
    """BCCD's images, written back into the layout of its owners, are what its Parquet files hold."""
    expected: ImageSet = load_images(real_data / "bccd/images")
    lists: dict[str, list[str]] = {}
    for split, images in expected.splits.items():
        for i in range(12):
            stem = str(images.ids[i])
            lists.setdefault(split, []).append(stem)
            things = "".join(
                f"<object><name>{expected.classes[int(c)]}</name><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin>"
                f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
                for c, x0, y0, x1, y1 in images.boxes[i].tolist()
            )
            for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
                (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(images.image(i)).save(tmp_path / "JPEGImages" / f"{stem}.png")
            (tmp_path / "Annotations" / f"{stem}.xml").write_text(
                f"<annotation><filename>{stem}.png</filename>{things}</annotation>"
            )
    for split, stems in lists.items():
        (tmp_path / "ImageSets/Main" / f"{split}.txt").write_text("\n".join(stems))
    found = load_images(tmp_path)
    order = [expected.classes.index(name) for name in found.classes]
    for split, images in found.splits.items():
        for stem, labels, boxes in zip(images.ids, images.labels, images.boxes, strict=True):
            i = list(expected.splits[split].ids).index(Path(str(stem)).stem)
            assert labels.tolist() == expected.splits[split].labels[i, order].tolist()
            np.testing.assert_allclose(boxes[:, 1:], expected.splits[split].boxes[i][:, 1:], atol=1e-3)


def test_real_tiles_have_the_labels_of_their_boxes(real_data: Path) -> None:
    found = load_images(real_data / "bccd/tiles")
    for split in found.splits.values():
        for labels, boxes in zip(split.labels, split.boxes, strict=True):
            assert set(np.flatnonzero(labels)) == set(boxes[:, 0].astype(int))
    assert found.class_counts.tolist() == [1746, 471, 208]


def test_one_label_is_compared_with_its_absence(tmp_path: Path) -> None:
    rows = ["image,pneumonia,split"]
    for i in range(10):
        draw(tmp_path / f"{i}.png", shade=i)
        rows.append(f"{i}.png,{(1, 0, 0, -1, 0)[i % 5]},{'train' if i < 5 else 'test'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    loaded = load_images(tmp_path)
    assert loaded.classes == ("no pneumonia", "pneumonia") and loaded.task == "multiclass"
    assert loaded.train.labels.tolist() == [1, 0, 0, 0]  # the uncertain image is left out
    assert loaded.train.unknown is None and "Images without a certain label were left out: 2." in loaded.notes
    assert "One label only: 'no pneumonia' was added for images without it." in loaded.notes


def test_several_labels_as_one_question_leave_out_what_is_uncertain(tmp_path: Path) -> None:
    rows = ["image,mass,edema,split"]
    answers = ("1,0", "0,-1", "1,-1", "0,0")
    for i in range(8):
        draw(tmp_path / f"{i}.png", shade=i)
        rows.append(f"{i}.png,{answers[i % 4]},{'train' if i < 4 else 'test'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    loaded = load_images(tmp_path, any_label=True)
    assert loaded.classes == ("no finding", "finding")
    assert loaded.train.labels.tolist() == [1, 1, 0] and loaded.train.unknown is None
    assert load_images(tmp_path, any_label=True, uncertain="positive").train.labels.tolist() == [1, 1, 1, 0]


def test_few_images_of_many_labels_still_give_a_fifth(tmp_path: Path) -> None:
    names = [f"{p:08d}_000.png" for p in range(30)]
    findings = ("Mass", "Mass|Edema", "Hernia", "Mass|Nodule|Edema", "Effusion|Mass", "No Finding")
    loaded = load_images(nih(tmp_path, [(name, findings[i % 6], i) for i, name in enumerate(names)]))
    assert loaded.test is not None and len(loaded.test) == 6
    train, test = loaded.train.labels.sum(axis=0), loaded.test.labels.sum(axis=0)
    assert (test <= train).all()  # no label gives more than half of its images away
    assert load_images(tmp_path).test.ids.tolist() == loaded.test.ids.tolist()


def test_boxes_of_images_that_are_not_listed_are_reported(tmp_path: Path) -> None:
    boxes = ["00000001_000.png,Mass,64,64,128,128", "00000099_000.png,Mass,64,64,128,128"]
    notes = load_images(nih(tmp_path, patients(12), boxes)).notes
    assert "BBox_List_2017.csv has boxes of images that the table does not list: 1 of 2." in notes


def test_coco_splits_may_use_the_same_image_names(tmp_path: Path) -> None:
    """Each annotation file refers to the folder of its split."""
    (tmp_path / "annotations").mkdir()
    for split, n, red in (("train", 8, 200), ("val", 4, 20)):
        folder = tmp_path / "images" / f"{split}2017"
        folder.mkdir(parents=True)
        images, annotations = [], []
        for i in range(n):
            Image.fromarray(np.full((8, 8, 3), red, np.uint8)).save(folder / f"{i}.png")
            images.append({"id": i, "file_name": f"{i}.png", "width": 8, "height": 8})
            annotations.append({"id": i, "image_id": i, "category_id": i % 2, "bbox": [1, 1, 4, 4]})
        categories = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
        text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
        (tmp_path / "annotations" / f"instances_{split}2017.json").write_text(text)
    loaded = load_images(tmp_path)
    assert (len(loaded.train), len(loaded.test)) == (8, 4)
    assert loaded.train.image(3).max() == 200
    assert loaded.test.image(3).max() == 20
    assert not any("not in the folder" in note for note in loaded.notes)
