"""Public sets in their owners' layouts."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from imblens.data import UNMIRRORED, ImageSet, ImageSplit, image_sets, load_images
from imblens.data.public import HUNDRED, MEDMNIST, MOST, PUBLIC, TEN, Hub, read_hub
from imblens.errors import InputError, MissingError
from tests.data.helpers import named, pixels, png, write_parquet
from tests.data.public import layouts
from tests.data.public.pickles import python2_pickle


def same(loaded, splits: layouts.Written) -> None:
    assert set(loaded.splits) == set(splits)
    for name, (images, labels) in splits.items():
        assert (loaded.splits[name].array() == images).all()
        assert loaded.splits[name].labels.tolist() == labels.tolist()


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_cifar10_in_both_versions(tmp_path: Path, binary: bool, inside: bool) -> None:
    splits = layouts.write_cifar10(tmp_path, binary=binary)
    loaded = load_images("cifar10", root=next(tmp_path.iterdir()) if inside else tmp_path)
    same(loaded, splits)
    assert loaded.classes == tuple(name.decode() for name in layouts.TEN) and loaded.name == "cifar10"
    assert loaded.train.ids[12] == "train/000012"


@pytest.mark.parametrize("binary", [False, True])
def test_cifar100_has_its_fine_classes(tmp_path: Path, binary: bool) -> None:
    splits = layouts.write_cifar100(tmp_path, binary=binary)
    loaded = load_images("cifar100", root=tmp_path)
    same(loaded, splits)
    assert loaded.n_classes == 100 and loaded.classes[37] == "fine_37"


def test_the_long_tailed_draw_of_cifar10_is_the_published_one_row_by_row(tmp_path: Path, real_data: Path) -> None:
    """A full-size CIFAR-10 is laid out, the published rows at the positions within their class that their paths say."""
    published = load_images(real_data / "cifar10-lt").train
    position = np.array([int(path.split("/")[-1].removesuffix(".jpg")) for path in published.ids])
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 5000))  # in no order, as in CIFAR-10
    images = np.zeros((50_000, 32, 32, 3), dtype=np.uint8)
    for label in range(10):
        of_class = published.labels == label
        images[np.flatnonzero(labels == label)[position[of_class]]] = published.array()[of_class]
    test = (np.zeros((10, 32, 32, 3), dtype=np.uint8), np.arange(10))
    layouts.write_cifar10(tmp_path, binary=True, splits={"train": (images, labels), "test": test})
    drawn = load_images("cifar10", root=tmp_path, profile="exp:100", seed=0).train
    assert len(drawn) == 12_406
    assert (drawn.labels == published.labels).all() and (drawn.array() == published.array()).all()


def test_svhn_counts_ten_as_zero(tmp_path: Path) -> None:
    splits = layouts.write_svhn(tmp_path)
    loaded = load_images("svhn", root=tmp_path)
    assert loaded.source["may_be_mirrored"] is False
    same(loaded, splits)
    assert loaded.classes == tuple("0123456789")


def test_sets_of_digits_and_of_left_and_right_must_not_be_mirrored(plain_hub: ImageSet) -> None:
    assert {"digits", "svhn", "organamnist", "organcmnist"} == UNMIRRORED
    assert load_images("svhn", hub=True).source["may_be_mirrored"] is False
    assert "may_be_mirrored" not in load_images("cifar10", hub=True).source
    assert "does not mirror" in image_sets()["svhn"] and "does not mirror" not in image_sets()["cifar10"]


@pytest.fixture
def plain_hub(monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    """Every set of the hub is two images."""
    images = ImageSet("x", ("a", "b"), "multiclass", ImageSplit.from_arrays(pixels(2), [0, 1]))
    monkeypatch.setattr("imblens.data.public.read_hub", lambda name, hub, seed: images)
    return images


@pytest.mark.parametrize("folders", [False, True])
def test_celeba_has_faces_of_one_kind_of_hair(tmp_path: Path, folders: bool) -> None:
    layouts.write_celeba(tmp_path, folders=folders)
    loaded = load_images("celeba", root=tmp_path)
    assert loaded.classes == ("black", "brown", "blond", "gray", "bald")
    assert {name: split.labels.tolist() for name, split in loaded.splits.items()} == {
        "train": [0, 1, 2, 3, 4, 0],
        "val": [0, 4],
        "test": [1, 3],
    }
    assert loaded.train.ids[5] == "img_align_celeba/000006.jpg"
    assert (loaded.test.image(1) == pixels(1, 218, 178, seed=12)[0]).all()
    assert "left out: 2." in loaded.notes[0]


@pytest.mark.parametrize(("name", "profile", "train", "test"), [("places10", "step:5", 15_000, 5_000)])
def test_places_lists_give_the_counts_of_the_paper(
    tmp_path: Path, name: str, profile: str, train: int, test: int
) -> None:
    classes = [*TEN, "zen_garden"]
    layouts.write_places(tmp_path, classes, 3_068, 3)
    for file in (
        "data_256/a/airfield/00000001.jpg",
        "data_256/a/airfield/00002501.jpg",
        "val_256/Places365_val_00000011.jpg",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(png(pixels(1, 256, 256)[0]))
    whole = load_images("places10", root=tmp_path)
    assert whole.class_counts.tolist() == [2_500] * 10
    assert np.bincount(whole.val.labels).tolist() == [3] * 10
    assert (
        whole.classes[4] == "flea_market indoor"
        and whole.train.ids[10_000] == "data_256/f/flea_market/indoor/00000001.jpg"
    )
    assert not set(whole.train.ids) & set(whole.test.ids)
    thin = whole.with_profile("step:5", 0)
    assert (len(thin.train), len(thin.test)) == (15_000, 5_000)


def test_a_hundred_places_at_ten_to_one_are_as_many_as_in_the_paper() -> None:
    from imblens.data import imbalance_profile

    assert len(set(HUNDRED)) == 100 and list(HUNDRED) == sorted(HUNDRED)
    assert {"baseball_field", "raft"} < set(HUNDRED) and set(TEN) < set(HUNDRED)
    assert imbalance_profile([MOST] * 100, "exp:10").sum() == 98_072


def test_places_in_easy_directories(tmp_path: Path) -> None:
    for split, n in (("train", 3), ("val", 1)):
        for k, c in enumerate([*TEN, "zen_garden"]):
            folder = tmp_path / "places365_standard" / split / c.replace("/", "-")
            folder.mkdir(parents=True)
            for i in range(n):
                (folder / f"{i:08d}.jpg").write_bytes(png(pixels(1, 8, 8, seed=10 * k + i)[0]))
    loaded = load_images("places10", root=tmp_path)
    assert loaded.class_counts.tolist() == [3] * 10 and loaded.n_classes == 10
    assert (loaded.train.image(4) == pixels(1, 8, 8, seed=11)[0]).all()
    assert loaded.val is None and len(loaded.test) == 10  # too few to hold out: the published val is
    with pytest.raises(MissingError, match="no training image of alcove"):
        load_images("places100", root=tmp_path)


def test_inaturalist_has_super_categories(tmp_path: Path) -> None:
    kinds = [
        "Plantae",
        "Insecta",
        "Aves",
        "Reptilia",
        "Mammalia",
        "Fungi",
        "Amphibia",
        "Mollusca",
        "Animalia",
        "Arachnida",
    ]
    kinds += ["Actinopterygii", "Chromista", "Protozoa", "Aves"]
    layouts.write_inaturalist(tmp_path, kinds)
    loaded = load_images("inaturalist", root=tmp_path)
    assert loaded.n_classes == 13 and loaded.classes[0] == "Aves"
    assert loaded.class_counts.tolist() == [4] + [2] * 12
    assert len(loaded.test) == 14 and "species 13" in loaded.train.ids[-1]
    assert loaded.train.image(0).shape == (20, 30, 3)
    annotations = json.loads((tmp_path / "val2017.json").read_text())
    annotations["images"][0]["file_name"] = "train_val_images/../../secret.png"
    (tmp_path / "val2017.json").write_text(json.dumps(annotations))
    with pytest.raises(InputError, match=r"names 'train_val_images/../../secret.png'"):
        load_images("inaturalist", root=tmp_path)
    annotations["categories"][0]["supercategory"] = "Birds"
    (tmp_path / "val2017.json").write_text(json.dumps(annotations))
    with pytest.raises(InputError, match="not an annotation file of iNaturalist 2017") as caught:
        load_images("inaturalist", root=tmp_path)
    assert "2017" in caught.value.hint


def test_medmnist_knows_the_names_of_its_classes(tmp_path: Path) -> None:
    labels = np.array([[3], [0], [1], [2], [4], [5], [6], [7]], dtype=np.uint8)
    arrays = {f"{split}_{what}": a for split in ("train", "val", "test") for what, a in
              (("images", pixels(8, 28, 28)), ("labels", labels))}  # fmt: skip
    np.savez_compressed(tmp_path / "bloodmnist.npz", **arrays)
    loaded = load_images("bloodmnist", root=tmp_path)
    assert loaded.classes[3] == "immature granulocytes" and loaded.train.labels[0] == 3
    assert set(loaded.splits) == {"train", "val", "test"}
    hot = np.zeros((2, 14), dtype=np.uint8)
    hot[0, 13] = hot[1, :] = 1
    arrays = {
        "train_images": pixels(2)[..., 0],
        "train_labels": hot,
        "test_images": pixels(2)[..., 0],
        "test_labels": hot,
    }
    np.savez(tmp_path / "chestmnist_64.npz", **arrays)
    loaded = load_images("chestmnist", root=tmp_path)
    assert loaded.task == "multilabel" and loaded.classes[13] == "hernia"


def test_nih_by_name_is_its_folder(real_data: Path) -> None:
    root = real_data / "nih-cxr" / "layout"
    loaded, plain = load_images("nih-cxr14", root=root), load_images(root)
    assert loaded.name == "nih-cxr14" and loaded.n_classes == 14 and loaded.task == "multilabel"
    assert loaded.train.ids.tolist() == plain.train.ids.tolist()


def test_chexpert_by_name(tmp_path: Path) -> None:
    for split, n in (("train", 4), ("valid", 2)):
        lines = ["Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema,Fracture"]
        for i in range(n):
            file = f"CheXpert-v1.0-small/{split}/patient{i + 7 * (split == 'valid'):05d}/study1/view1_frontal.jpg"
            (tmp_path / file).parent.mkdir(parents=True)
            (tmp_path / file).write_bytes(png(pixels(1, 32, 39, seed=i)[0]))
            lines.append(f"{file},Male,{50 + i},Frontal,AP,,{float(i % 2)},{(1.0, -1.0, '', 0.0)[i]}")
        (tmp_path / "CheXpert-v1.0-small" / f"{split}.csv").write_text("\n".join(lines) + "\n")
    loaded = load_images("chexpert", root=tmp_path)
    edema, fracture = loaded.classes.index("Edema"), loaded.classes.index("Fracture")
    assert loaded.train.labels[:, edema].tolist() == [0, 1, 0, 1]
    assert loaded.train.unknown[:, fracture].tolist() == [False, True, False, False]
    taken = load_images("chexpert", root=tmp_path, uncertain="positive")
    assert taken.train.labels[:, fracture].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("name", MEDMNIST)
def test_the_counts_of_medmnist_add_up(name: str) -> None:
    entry = MEDMNIST[name]
    if entry.counts is not None:
        assert sum(entry.counts) == entry.images[0] and len(entry.counts) == len(entry.classes)


def test_every_public_set_states_what_to_download() -> None:
    for name, text in image_sets().items():
        if name not in PUBLIC:
            continue
        first = text.splitlines()[0]
        assert "licence: " in first and "get " in first and "http" in first and PUBLIC[name].counts in first
        with pytest.raises(MissingError, match="no folder is given") as caught:
            load_images(name)
        assert PUBLIC[name].get in caught.value.hint and "--root DIR" in caught.value.hint


def test_folders_without_the_files_state_which_and_from_where(tmp_path: Path) -> None:
    for name, entry in PUBLIC.items():
        with pytest.raises(MissingError, match=f"^{name}: ") as caught:
            load_images(name, root=tmp_path)
        assert entry.get in caught.value.hint
    with pytest.raises(MissingError, match="is not a folder"):
        load_images("cifar10", root=tmp_path / "nowhere")
    with pytest.raises(InputError, match="--root goes with the name of a public set"):
        load_images("digits", root=tmp_path)
    with pytest.raises(MissingError, match="not read from Hugging Face"):
        load_images("places10", hub=True)


class Trap:
    def __reduce__(self):
        return eval, ("open('sprung', 'w')",)


def test_damaged_and_hostile_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    layouts.write_cifar10(tmp_path, binary=False)
    layouts.write_cifar10(tmp_path / "b", binary=True)
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    for content, message in (
        (pickle.dumps({"data": Trap()}), "data_batch_3 is not a batch of CIFAR: it holds a call of builtins.eval"),
        (batch.read_bytes()[:1000], "data_batch_3 is not a batch of CIFAR"),
        (python2_pickle({b"labels": [1]}), "no array 'data'"),
        (python2_pickle({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}), "no list 'labels' of 2"),
        (python2_pickle({b"data": np.zeros((1, 3072), np.uint8), b"labels": [12]}), "row 16 has label 12"),
    ):
        batch.write_bytes(content)
        with pytest.raises(InputError, match=message):
            load_images("cifar10", root=tmp_path)
    assert not (tmp_path / "sprung").exists()
    batch.unlink()
    with pytest.raises(MissingError, match="data_batch_3"):
        load_images("cifar10", root=tmp_path)
    part = tmp_path / "b" / "cifar-10-batches-bin" / "test_batch.bin"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(InputError, match="not a multiple of 3,073"):
        load_images("cifar10", root=tmp_path / "b")
    layouts.write_svhn(tmp_path / "s")
    part = tmp_path / "s" / "test_32x32.mat"
    for kept, message in ((5000, r"holds X \(32, 32, 3, 20\); expected"), (100, "cannot be read as a MATLAB file")):
        part.write_bytes(part.read_bytes()[:kept])
        with pytest.raises(InputError, match=rf"test_32x32.mat {message}"):
            load_images("svhn", root=tmp_path / "s")
    layouts.write_celeba(tmp_path / "c", folders=False)
    lines = (tmp_path / "c" / "list_attr_celeba.txt").read_text().splitlines()
    (tmp_path / "c" / "list_attr_celeba.txt").write_text("\n".join([*lines[:4], "000003.jpg 1 1", *lines[5:]]))
    with pytest.raises(InputError, match=r"list_attr_celeba.txt line 5 is damaged"):
        load_images("celeba", root=tmp_path / "c")


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """A folder laid out as a repository on the hub, with the columns of CIFAR-10 and of CelebA."""
    images = {"train": pixels(6, 32, 32), "test": pixels(4, 32, 32, seed=1), "extra": pixels(2, 32, 32, seed=2)}
    for split, pictured in images.items():
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        n = len(pictured)
        table = pa.table(
            {
                "img": pa.array([{"bytes": png(image), "path": None} for image in pictured], type=kind),
                "label": pa.array([i % 2 for i in range(n)]),
                "bald": pa.array([i % 3 == 0 for i in range(n)]),
                "gray": pa.array([i % 3 == 1 for i in range(n)]),
            }
        )
        features = {
            "img": {"_type": "Image"},
            "label": named("cat", "dog"),
            "bald": {"dtype": "bool", "_type": "Value"},
            "gray": {"dtype": "bool", "_type": "Value"},
        }
        write_parquet(tmp_path / "repository" / "data" / f"{split}-00000-of-00001.parquet", table, features)
    return tmp_path / "repository", images


def test_sets_come_through_hugging_face(repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder, images = repository
    loaded = read_hub("cifar10", Hub(str(folder), None, "img", "label"), 0)
    assert loaded.classes == ("cat", "dog") and set(loaded.splits) == {"train", "test"}
    same(loaded, {split: (images[split], np.arange(len(images[split])) % 2) for split in ("train", "test")})
    from imblens.data.public import hair_classes

    hair = read_hub("celeba", Hub(str(folder), None, "img", ("bald", "gray"), ("bald", "gray"), hair_classes), 0)
    assert hair.train.labels.tolist() == [0, 1, 0, 1] and hair.train.ids.tolist()[-1] == "train/000004"
    assert (hair.train.array() == images["train"][[0, 1, 3, 4]]).all()
    with pytest.raises(InputError, match="no column 'fine_label'"):
        read_hub("cifar100", Hub(str(folder), None, "img", "fine_label"), 0)
    with pytest.raises(InputError, match="cannot be fetched") as caught:
        read_hub("cifar100", Hub(str(tmp_path / "nowhere"), None, "img", "label"), 0)
    assert "--root DIR" in caught.value.hint


def test_lists_that_are_cut_off_or_renamed_are_reported(tmp_path: Path) -> None:
    layouts.write_celeba(tmp_path / "c", folders=False)
    path = tmp_path / "c" / "list_attr_celeba.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:6]))
    with pytest.raises(InputError, match=r"lists 4 faces, but its first line states '12'"):
        load_images("celeba", root=tmp_path / "c")
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / "Data_Entry_2017.csv").write_text(
        "Image Index,Labels found,Follow-up #\n00000001_000.png,Mass,0\n"
    )
    with pytest.raises(InputError, match=r"Data_Entry_2017.csv has no column 'Finding Labels'"):
        load_images("nih-cxr14", root=tmp_path / "n")
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "cifar-10-python.tar.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(MissingError, match="cifar10") as caught:
        load_images("cifar10", root=tmp_path / "z")
    assert caught.value.hint.startswith("Unpack cifar-10-python.tar.gz there.")
    eight = {f"{split}_labels": np.arange(8)[:, None] for split in ("train", "test")}
    images = {f"{split}_images": pixels(8, 28, 28) for split in ("train", "test")}
    np.savez(tmp_path / "z" / "pathmnist.npz", **images, **eight)  # another set of MedMNIST under its name
    with pytest.raises(InputError, match=r"pathmnist in .*z: .*colorectal"):
        load_images("pathmnist", root=tmp_path / "z")
