"""What the readers of public sets share: finding the published files, and making a set of arrays or of image files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.memory import refuse_too_large
from imblens.data._assemble import assemble, clean_text
from imblens.data._images import ImageSet, ImageSplit
from imblens.data._sources import ArraySource, FileSource
from imblens.errors import InputError, MissingError, ShapeError


def folder_with(root: Path, needed: str, inner: Sequence[str] = ()) -> Path:
    """Return the folder that holds `needed`: the root, or one of its folders named in `inner`.

    Raises:
        MissingError: it is in none of them; the message names the folders.
    """
    places = [root, *(root / name for name in inner)]
    for place in places:
        if (place / needed).exists():
            return place
    raise MissingError(f"there is no {needed} in {' or '.join(map(str, places))}.")


def read_whole(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        MissingError, InputError: it is not there, cannot be read, or is larger than half of this machine's memory.
    """
    try:
        refuse_too_large(path.stat().st_size, f"{path} takes", hint="Is it the published file?")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingError(f"there is no {path}.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", hint="Check the file.") from error


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file that hold something."""
    text = read_whole(path).decode("utf-8", "replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def planes_to_images(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn (N, 3072) rows of a red, a green and a blue plane into (N, 32, 32, 3) images."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def set_of_arrays(
    name: str,
    splits: Mapping[str, tuple[NDArray[np.uint8], NDArray[np.int64]]],
    classes: Sequence[str],
    *,
    seed: int | None,
    source: Mapping[str, Any],
) -> ImageSet:
    """Return a set of (images, labels) per split. Ids are positions in the published order: train/000012."""
    made = {}
    for split, (pixels, labels) in splits.items():
        _check_labels(labels, len(pixels), len(classes), f"{name}: {split}")
        ids = np.array([f"{split}/{i:06d}" for i in range(len(labels))], dtype=object)
        made[split] = ImageSplit(labels, ids, ArraySource(pixels, f"{name}/{split}"), np.arange(len(labels)))
    return assemble(name, made, classes, seed=seed, source=source)


def set_of_files(
    name: str,
    root: Path,
    splits: Mapping[str, tuple[Sequence[str], Sequence[int]]],
    classes: Sequence[str],
    *,
    seed: int | None,
    source: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> ImageSet:
    """Return a set of (paths below `root`, labels) per split. The paths are the ids.

    Raises:
        InputError: a path outside `root`.
        MissingError: the first image of a split is not there.
    """
    made = {}
    for split, (files, numbers) in splits.items():
        for file in files:
            if file.startswith("/") or "\\" in file or ".." in PurePosixPath(file).parts:
                raise InputError(f"{name}: the list of images names {file!a}.", hint="Use only lists that you trust.")
        if files and not (root / files[0]).is_file():
            raise MissingError(f"there is no image {str(root / files[0])!a}.")
        labels = np.asarray(numbers, dtype=np.int64)
        _check_labels(labels, len(files), len(classes), f"{name}: {split}")
        ids = np.array([clean_text(file) for file in files], dtype=object)
        if len(set(ids.tolist())) != len(ids):
            raise InputError(f"{name}: the list of {split} names an image twice.", hint="Download the list again.")
        made[split] = ImageSplit(labels, ids, FileSource(root, tuple(files)), np.arange(len(files)))
    return assemble(name, made, classes, seed=seed, source=source, notes=notes)


def _check_labels(labels: NDArray[np.int64], n: int, n_classes: int, where: str) -> None:
    if len(labels) != n or not n:
        raise ShapeError(f"{where} has {len(labels)} labels for {n} images.", hint="Download the set again.")
    odd = (labels < 0) | (labels >= n_classes)
    if odd.any():
        row = int(np.flatnonzero(odd)[0])
        raise InputError(
            f"{where} row {row} has label {labels[row]}; there are {n_classes} classes.", hint="Download the set again."
        )
