"""MedMNIST's layout: one .npz with train_images, train_labels, test_images, ..."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.archives import open_arrays
from imblens.data._assemble import assemble, number_labels, one_label_each
from imblens.data._decode import PixelRange, scaled
from imblens.data._images import ImageSet, ImageSplit
from imblens.data._pixel_range import range_note, range_of
from imblens.data._sources import ArraySource, image_array
from imblens.errors import InputError, MissingError, ShapeError


def read_npz(
    path: Path, *, seed: int | None, classes: Sequence[str] | None = None, pixel_range: PixelRange | None = None
) -> ImageSet:
    """Read an .npz of `<split>_images` (N, H, W[, 3]) and `<split>_labels` (N,), (N, 1) or (N, C) multi-hot.

    `val_*` and `class_names` are optional. Pickles are not read.

    Args:
        path: the archive.
        seed: of the 80:20 split, where there is no held-out split.
        classes: class names for an archive without `class_names`.
        pixel_range: black and white of arrays of more than 8 bits; by default the range of `train_images`.

    Raises:
        MissingError: a key is missing; the message lists the keys.
        InputError: not a .npz, damaged, too large for its size on disk, object arrays, or other shapes and values.
    """
    with open_arrays(path) as archive:
        arrays = {key: archive.read(key) for key in _wanted(path, archive.keys)}
    notes, facts = [], {}
    if arrays["train_images"].dtype != np.uint8 and _is_wide(arrays["train_images"]):
        found = range_of([arrays["train_images"]]) if pixel_range is None else pixel_range
        kind = arrays["train_images"].dtype
        for key in [key for key in arrays if key.endswith("_images")]:
            if arrays[key].dtype != kind:
                raise InputError(
                    f"{path}: train_images hold {kind}, {key} {arrays[key].dtype}.",
                    hint="Store both as uint8, scaled to 0 to 255: (images * 255).round().astype('uint8').",
                )
            arrays[key] = scaled(arrays[key], found)
        notes.append(range_note("Pixels", found, pixel_range is not None))
        facts["pixel_range"] = list(found)
    images: dict[str, NDArray[np.uint8]] = {}
    raw: dict[str, NDArray[Any]] = {}
    for split in ("train", "test", "val"):
        if f"{split}_images" not in arrays:
            continue
        images[split] = image_array(arrays[f"{split}_images"], f"{split}_images")
        labels = arrays[f"{split}_labels"]
        raw[split] = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if labels.ndim not in (1, 2) or len(labels) != len(images[split]):
            raise ShapeError(
                f"{path}: {split}_labels has shape {labels.shape} for {len(images[split])} images.",
                hint="Give (N,), (N, 1) or, for multi-label images, (N, C).",
            )
    names = arrays.get("class_names")
    known = classes if names is None else [str(n) for n in np.atleast_1d(names).tolist()]
    labels_of, named = number_labels(raw, known, str(path))
    labels_of, single = one_label_each(labels_of)
    notes += single
    splits = {}
    for split, pixels in images.items():
        ids = np.array([f"{split}/{i:06d}" for i in range(len(pixels))], dtype=object)
        rows = np.arange(len(pixels))
        splits[split] = ImageSplit(labels_of[split], ids, ArraySource(pixels, f"{split}_images"), rows)
    source = {"path": str(path), "layout": "npz", **facts}
    return assemble(path.stem, splits, named, seed=seed, source=source, notes=notes)


def _is_wide(array: NDArray[Any]) -> bool:
    """Return whether numbers are more than 8-bit pixels: floats, truth values, or integers beyond 0 to 255."""
    if array.dtype.kind in "fb":
        return array.size > 0
    return array.dtype.kind in "iu" and array.size > 0 and (array.min() < 0 or array.max() > 255)


def _wanted(path: Path, keys: tuple[str, ...]) -> list[str]:
    if "train_features" in keys and "train_images" not in keys:
        raise MissingError(
            f"{path} holds features, not images.", hint=f"Audit it with: imblens audit {quote(str(path))}"
        )
    wanted = ["train_images", "train_labels"]
    for split in ("test", "val"):
        pair = [f"{split}_images", f"{split}_labels"]
        if any(key in keys for key in pair):
            wanted += pair
    missing = [key for key in wanted if key not in keys]
    if missing:
        raise MissingError(
            f"{path} has no {' and no '.join(missing)}; its keys: {', '.join(keys) or 'none'}.",
            hint="Required: train_images and train_labels; optional: test_ and val_ pairs, and class_names.",
        )
    return wanted + (["class_names"] if "class_names" in keys else [])
