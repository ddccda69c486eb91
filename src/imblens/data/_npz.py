"""MedMNIST's layout: one .npz with train_images, train_labels, test_images, ... Checked before anything is read."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.memory import memory_limit
from imblens.data._assemble import assemble, number_labels
from imblens.data._images import ImageSet, ImageSplit
from imblens.data._sources import ArraySource, image_array
from imblens.errors import InputError, MissingError, ShapeError

_LARGE = 100 * 10**6  # bytes from which on a high ratio is suspicious
_RATIO = 200  # real images do not compress like this
_HINT = "Write it anew with numpy.savez_compressed."


def read_npz(path: Path, *, seed: int, classes: Sequence[str] | None = None) -> ImageSet:
    """Read an .npz of `<split>_images` (N, H, W[, 3]) and `<split>_labels` (N,), (N, 1) or (N, C) multi-hot.

    `val_*` and `class_names` are optional; `classes` names them where the archive does not. Nothing is unpickled.

    Raises:
        MissingError: a key is missing; the message says which there are.
        InputError: not a .npz, damaged, too large for its size on disk, object arrays, or other shapes and values.
    """
    arrays = _read(path)
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
                hint="Give (N,), (N, 1) or, for several labels per image, (N, C).",
            )
    names = arrays.get("class_names")
    known = classes if names is None else [str(n) for n in np.atleast_1d(names).tolist()]
    labels_of, named = number_labels(raw, known, str(path))
    splits = {}
    for split, pixels in images.items():
        ids = np.array([f"{split}/{i:06d}" for i in range(len(pixels))], dtype=object)
        rows = np.arange(len(pixels))
        splits[split] = ImageSplit(labels_of[split], ids, ArraySource(pixels, f"{split}_images"), rows)
    notes = []
    if raw["train"].ndim == 2 and (raw["train"].sum(axis=1) == 1).all():
        notes.append(
            "Every row of labels marks one class: read as multi-label. "
            "For one label per image, give class numbers (N,)."
        )
    return assemble(path.stem, splits, named, seed=seed, source={"path": str(path), "layout": "npz"}, notes=notes)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = _checked_members(path, archive)
            wanted = _wanted(path, members)
            return {key: _read_array(path, archive, members[key], key) for key in wanted}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path} is damaged, or not an .npz: {error}.", hint=_HINT) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the file.") from error


def _checked_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        key = info.filename.removesuffix(".npy")
        if key in members or ".." in key or set(key) & set("/\\\0"):
            fault = "holds twice" if key in members else "holds the odd name"
            raise InputError(f"{path} {fault} {info.filename!a}.", hint=_HINT)
        members[key] = info
    total = sum(info.file_size for info in members.values())
    packed = path.stat().st_size  # members may share bytes, so their own sizes prove nothing
    if total > _LARGE and total > _RATIO * packed:
        raise InputError(
            f"{path} would grow from {packed / 1e6:.1f} MB to {total / 1e6:,.0f} MB, more than {_RATIO}-fold.",
            hint="Images do not compress so well: do not read the file unless you made it; store it uncompressed.",
        )
    if total > memory_limit():
        raise InputError(
            f"{path} holds {total / 1e9:.1f} GB, more than half of this machine's memory.",
            hint="Store the images as a folder or as Parquet instead.",
        )
    return members


def _wanted(path: Path, members: dict[str, zipfile.ZipInfo]) -> list[str]:
    there = ", ".join(members) or "none"
    if "train_features" in members and "train_images" not in members:
        raise MissingError(f"{path} holds features, not images.", hint=f"Look at it with: imblens audit {path}")
    wanted = ["train_images", "train_labels"]
    for split in ("test", "val"):
        keys = [f"{split}_images", f"{split}_labels"]
        if any(key in members for key in keys):
            wanted += keys
    missing = [key for key in wanted if key not in members]
    if missing:
        raise MissingError(
            f"{path} has no {' and no '.join(missing)}; its keys: {there}.",
            hint="It needs train_images and train_labels, and may have test_ and val_ alike, and class_names.",
        )
    return wanted + (["class_names"] if "class_names" in members else [])


def _read_array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, key: str) -> NDArray[Any]:
    try:
        with archive.open(info) as file:
            shape, dtype, start = _header(file)
        if dtype.hasobject:
            raise InputError(
                f"{path}: {key} is an object array, which only unpickling could read.",
                hint=f"Store it as a plain array: {key}.astype(...) before saving.",
            )
        claimed = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or claimed != info.file_size - start:
            raise InputError(
                f"{path}: {key} claims shape {shape}, but holds {info.file_size - start} bytes.", hint=_HINT
            )
        with archive.open(info) as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: {key} is not an array: {error}.", hint=_HINT) from error


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return shape, dtype and where the data starts."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"format version {version}")
    return shape, dtype, file.tell()
