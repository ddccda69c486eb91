"""CIFAR-10 and CIFAR-100: the Python version (pickles) and the binary version."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imblens.data._images import ImageSet
from imblens.data.public._files import folder_with, planes_to_images, read_lines, read_whole, set_of_arrays
from imblens.data.public._unpickle import unpickle
from imblens.errors import InputError, MissingError

_PIXELS = 3072


class _Version(NamedTuple):
    """How one version lies on disk.

    Attributes:
        folder: what its archive unpacks to.
        splits: files of each split.
        names: file of the class names.
        label: key of the labels and of their names in the pickles; or bytes of labels before each image, of which the last
            counts.
    """

    folder: str
    splits: dict[str, list[str]]
    names: str
    label: tuple[str, str] | int


_TEN = [f"data_batch_{i}" for i in range(1, 6)]
_VERSIONS = {
    "cifar10": (
        _Version(
            "cifar-10-batches-py",
            {"train": _TEN, "test": ["test_batch"]},
            "batches.meta",
            ("labels", "label_names"),
        ),
        _Version(
            "cifar-10-batches-bin",
            {"train": [f"{name}.bin" for name in _TEN], "test": ["test_batch.bin"]},
            "batches.meta.txt",
            1,
        ),
    ),
    "cifar100": (
        _Version(
            "cifar-100-python",
            {"train": ["train"], "test": ["test"]},
            "meta",
            ("fine_labels", "fine_label_names"),
        ),
        _Version("cifar-100-binary", {"train": ["train.bin"], "test": ["test.bin"]}, "fine_label_names.txt", 2),
    ),
}


def read_cifar(name: str, root: Path, seed: int | None) -> ImageSet:
    """Read CIFAR-10 or CIFAR-100 from the folder that its archive unpacks to, or from the one around it.

    Both versions hold the same images in the same order, so the same profile and seed draw the same ones. Nothing in the
    pickles is run (see `_unpickle`).

    Raises:
        MissingError: a file is not there.
        InputError: a file is damaged, or a pickle that asks for more than arrays.
    """
    version, folder = _find(name, root)
    read = _read_binary if isinstance(version.label, int) else _read_pickle
    splits = {}
    for split, files in version.splits.items():
        parts = [read(folder / file, version.label) for file in files]
        rows, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
        splits[split] = planes_to_images(rows), labels
    source = {"path": str(folder), "layout": version.folder}
    return set_of_arrays(name, splits, _class_names(folder / version.names, version.label), seed=seed, source=source)


def _find(name: str, root: Path) -> tuple[_Version, Path]:
    for version in _VERSIONS[name]:
        try:
            return version, folder_with(root, version.splits["train"][0], [version.folder])
        except MissingError:
            continue
    either = " or ".join(version.folder for version in _VERSIONS[name])
    raise MissingError(f"{root} is not {either}, and holds neither.")


def _read_binary(path: Path, label_bytes: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    data = np.frombuffer(read_whole(path), dtype=np.uint8)
    if not len(data) or len(data) % (label_bytes + _PIXELS):
        raise InputError(
            f"{path} has {len(data):,} bytes, not a multiple of {label_bytes + _PIXELS:,} (label and pixels).",
            hint="The file is cut off, or another one: unpack the archive again.",
        )
    rows = data.reshape(-1, label_bytes + _PIXELS)
    return rows[:, label_bytes:], rows[:, label_bytes - 1].astype(np.int64)


def _read_pickle(path: Path, keys: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    found = _unpickled(path)
    rows, labels = found.get("data"), found.get(keys[0])
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != _PIXELS:
        raise InputError(f"{path} holds no array 'data' of (N, {_PIXELS:,}) bytes.", hint="Unpack the archive again.")
    if not isinstance(labels, list) or len(labels) != len(rows) or any(type(i) is not int for i in labels):
        raise InputError(
            f"{path} holds no list {keys[0]!r} of {len(rows):,} whole numbers.", hint="Unpack the archive again."
        )
    return rows, np.array([min(i, 255) if i >= 0 else -1 for i in labels], dtype=np.int64)


def _class_names(path: Path, label: Any) -> list[str]:
    if isinstance(label, int):
        return read_lines(path)
    names = _unpickled(path).get(label[1])
    if not isinstance(names, list) or not all(isinstance(name, (bytes, str)) for name in names):
        raise InputError(f"{path} holds no list {label[1]!r} of names.", hint="Unpack the archive again.")
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in names]


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        return unpickle(read_whole(path))
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} is not a batch of CIFAR: it holds {error}.",
            hint="None of its code was run. Download the archive from its publisher and unpack it again.",
        ) from error
