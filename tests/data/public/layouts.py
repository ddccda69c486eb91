"""Tiny sets in the layouts in which their owners publish them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.data.helpers import pixels, png
from tests.data.public.pickles import python2_pickle

TEN = [b"airplane", b"automobile", b"bird", b"cat", b"deer", b"dog", b"frog", b"horse", b"ship", b"truck"]
Written = dict[str, tuple[np.ndarray, np.ndarray]]


def _drawn(n_classes: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.random.default_rng(seed).permutation(np.arange(n) % n_classes)
    return pixels(n, 32, 32, seed=seed), labels


def _rows(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def _parts(images: np.ndarray, labels: np.ndarray, names: list[str]) -> list[tuple[str, np.ndarray, np.ndarray]]:
    return list(zip(names, np.array_split(images, len(names)), np.array_split(labels, len(names)), strict=True))


def write_cifar10(root: Path, *, binary: bool, splits: Written | None = None) -> Written:
    splits = splits or {"train": _drawn(10, 40, 0), "test": _drawn(10, 20, 1)}
    files = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
    folder = root / ("cifar-10-batches-bin" if binary else "cifar-10-batches-py")
    folder.mkdir(parents=True)
    for split, (images, labels) in splits.items():
        for name, part, numbers in _parts(images, labels, files[split]):
            if binary:
                rows = np.concatenate([numbers[:, None].astype(np.uint8), _rows(part)], axis=1)
                (folder / f"{name}.bin").write_bytes(rows.tobytes())
            else:
                content = {b"batch_label": b"b", b"labels": numbers.tolist(), b"data": _rows(part)}
                (folder / name).write_bytes(python2_pickle(content))
    if binary:
        (folder / "batches.meta.txt").write_bytes(b"\n".join(TEN) + b"\n\n")
    else:
        meta = {b"num_cases_per_batch": 10000, b"label_names": TEN, b"num_vis": 3072}
        (folder / "batches.meta").write_bytes(python2_pickle(meta))
    return splits


def write_cifar100(root: Path, *, binary: bool) -> Written:
    splits = {"train": _drawn(100, 200, 2), "test": _drawn(100, 100, 3)}
    fine = [f"fine_{i}".encode() for i in range(100)]
    folder = root / ("cifar-100-binary" if binary else "cifar-100-python")
    folder.mkdir(parents=True)
    for split, (images, labels) in splits.items():
        coarse = labels // 5
        if binary:
            rows = np.concatenate([np.stack([coarse, labels], axis=1).astype(np.uint8), _rows(images)], axis=1)
            (folder / f"{split}.bin").write_bytes(rows.tobytes())
        else:
            content = {b"fine_labels": labels.tolist(), b"coarse_labels": coarse.tolist(), b"data": _rows(images)}
            (folder / split).write_bytes(python2_pickle(content))
    if binary:
        (folder / "fine_label_names.txt").write_bytes(b"\n".join(fine))
        (folder / "coarse_label_names.txt").write_bytes(b"\n".join(fine[:20]))
    else:
        (folder / "meta").write_bytes(python2_pickle({b"fine_label_names": fine, b"coarse_label_names": fine[:20]}))
    return splits


def write_svhn(root: Path) -> Written:
    root.mkdir(parents=True, exist_ok=True)
    splits = {"train": _drawn(10, 30, 4), "test": _drawn(10, 20, 5)}
    for split, (images, labels) in splits.items():
        digits = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        savemat(root / f"{split}_32x32.mat", {"X": images.transpose(1, 2, 3, 0), "y": digits}, do_compression=True)
    return splits


ATTRIBUTES = ["Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Male"]
FACES = [  # split, attributes of hair
    (0, ["Black_Hair"]), (0, ["Brown_Hair"]), (0, ["Blond_Hair"]), (0, ["Gray_Hair"]), (0, ["Bald"]), (0, ["Black_Hair"]),
    (0, []), (0, ["Bald", "Gray_Hair"]), (1, ["Black_Hair"]), (1, ["Bald"]), (2, ["Brown_Hair"]), (2, ["Gray_Hair"]),
]  # fmt: skip


def write_celeba(root: Path, *, folders: bool) -> None:
    """As one folder (`folders` False), or as its owners' Anno/, Eval/ and Img/."""
    lists, split_list, images = (root / part if folders else root for part in ("Anno", "Eval", "Img"))
    for folder in (lists, split_list, images / "img_align_celeba"):
        folder.mkdir(parents=True, exist_ok=True)
    rows, parts = [str(len(FACES)), " ".join(ATTRIBUTES)], []
    for i, (split, hair) in enumerate(FACES, start=1):
        file = f"{i:06d}.jpg"
        flags = [("1" if name in hair or name == "Male" else "-1").rjust(2) for name in ATTRIBUTES]
        rows.append(f"{file} {' '.join(flags)}")
        parts.append(f"{file} {split}")
        (images / "img_align_celeba" / file).write_bytes(png(pixels(1, 218, 178, seed=i)[0]))
    (lists / "list_attr_celeba.txt").write_text("\n".join(rows) + "\n")
    (split_list / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")


def write_places(root: Path, classes: list[str], n_train: int, n_val: int) -> None:
    """The lists, and of the images the first one of each split."""
    train = [f"/{c[0]}/{c}/{i:08d}.jpg" for c in classes for i in range(1, n_train + 1)]
    numbers = {c: i for i, c in enumerate(classes)}
    random = np.random.default_rng(0)
    lines = [f"{path} {numbers['/'.join(path.split('/')[2:-1])]}" for path in train]
    random.shuffle(lines)
    (root / "data_256").mkdir(parents=True)
    (root / "val_256").mkdir()
    (root / "places365_train_standard.txt").write_text("\n".join(lines) + "\n")
    val = [f"Places365_val_{i:08d}.jpg {i % len(classes)}" for i in range(1, n_val * len(classes) + 1)]
    (root / "places365_val.txt").write_text("\n".join(val) + "\n")


def write_inaturalist(root: Path, kinds: list[str]) -> None:
    categories = [{"id": 7 * i, "name": f"species {i}", "supercategory": kind} for i, kind in enumerate(kinds)]
    number = 0
    for split, per_species in (("train", 2), ("val", 1)):
        images, annotations = [], []
        for i, kind in enumerate(kinds):
            for _ in range(per_species):
                number += 1
                file = f"train_val_images/{kind}/species {i}/{number:05x}.jpg"
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                (root / file).write_bytes(png(pixels(1, 20 + i, 30, seed=number)[0]))
                images.append({"id": number, "file_name": file, "width": 30, "height": 20 + i, "license": 3})
                annotations.append({"id": number, "image_id": number, "category_id": 7 * i})
        content = {"info": {}, "images": images, "licenses": [], "annotations": annotations, "categories": categories}
        (root / f"{split}2017.json").write_text(json.dumps(content))
