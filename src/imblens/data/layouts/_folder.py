"""Class folders: DATA/train/<class>/..., DATA/test/<class>/..., or DATA/<class>/... without splits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from imblens.data._assemble import SPLITS, assemble, clean_text, split_of, unique_ids
from imblens.data._decode import SUFFIXES, is_image
from imblens.data._images import ImageSet, ImageSplit
from imblens.data._sources import FileSource
from imblens.errors import InputError, MissingError


def read_folder(root: Path, *, seed: int | None) -> ImageSet:
    """Read a folder of class folders. Hidden files are passed over, other files that are no images are counted.

    Raises:
        MissingError: test or val without train.
        InputError: no class folders, a class without images, a class that train does not have.
    """
    folders, notes = _split_folders(root)
    inside = {split: _class_folders(folder) for split, folder in folders.items()}
    classes = sorted(inside["train"])
    if all(name.isascii() and name.isdecimal() for name in classes) and sorted(classes, key=int) != classes:
        classes = sorted(classes, key=int)
        notes.append("Class folders are numbers: classes are in numeric order, so '10' follows '9'.")
    for split, found in inside.items():
        _refuse_strangers(split, sorted(set(found) - set(classes)), classes)
    ignored = 0
    splits = {}
    for split, found in inside.items():
        files: list[str] = []
        labels: list[int] = []
        for label, name in enumerate(classes):
            images, others = _images_below(found[name]) if name in found else ([], 0)
            ignored += others
            files += [path.relative_to(root).as_posix() for path in images]
            labels += [label] * len(images)
        if split == "train":
            _refuse_empty(root, classes, labels)
        if labels:
            ids = unique_ids([clean_text(file) for file in files], split, len(files))
            splits[split] = ImageSplit(
                np.array(labels, dtype=np.int64), ids, FileSource(root, tuple(files)), np.arange(len(files))
            )
    if ignored:
        notes.append(f"Files passed over because they are no images: {ignored:,}.")
    loose = sum(_is_image(path) for folder in folders.values() for path in folder.iterdir() if path.is_file())
    if loose:
        notes.append(f"Images passed over because they lie outside class folders: {loose:,}.")
    hidden = _hidden_folders(root, folders)
    if hidden:
        listed = ", ".join(map(ascii, hidden[:5])) + (", ..." if len(hidden) > 5 else "")
        notes.append(f"Folders left out because their names begin with a dot: {listed}. Rename them to read them.")
    names = [clean_text(name) for name in classes]
    source: dict[str, Any] = {"path": str(root), "layout": "class folders"}
    return assemble(root.resolve().name, splits, names, seed=seed, source=source, notes=notes)


def _split_folders(root: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the folder of each split (the root, as train, where there are none) and notes for the user."""
    found: dict[str, Path] = {}
    folders = _folders(root)
    if not folders:
        raise InputError(
            f"{root} holds no class folders and no Parquet files.",
            hint="Give a folder of train/<class>/ and test/<class>/, of train*.parquet and test*.parquet, or an .npz.",
        )
    for folder in folders:
        split = SPLITS.get(folder.name.lower())
        if split in found:
            raise InputError(
                f"{root} holds both {found[split].name}/ and {folder.name}/.", hint=f"Keep one {split} folder."
            )
        if split is not None:
            found[split] = folder
    if not found:
        named: dict[str, Path] = {}
        for folder in folders:
            split = split_of(folder.name) if _folders(folder) else None
            if split in named:
                raise InputError(
                    f"{root} holds both {named[split].name}/ and {folder.name}/.", hint=f"Keep one {split} folder."
                )
            if split is not None:
                named[split] = folder
        if len(named) > 1:
            found = named
    if found and "train" not in found:
        raise MissingError(
            f"{root} holds {', '.join(f.name + '/' for f in found.values())} but no train/.",
            hint="Add train/ with one folder per class.",
        )
    if len(folders) == 1 and not found and _folders(folders[0]):
        raise InputError(f"{root} holds one folder only.", hint=f"Did you mean {folders[0]}?")
    others = [ascii(folder.name) for folder in folders if folder not in found.values()]
    if found and others:
        listed = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
        return found, [f"Folders beside the splits were passed over: {listed}."]
    return found or {"train": root}, []


def _class_folders(folder: Path) -> dict[str, Path]:
    found = {path.name: path for path in _folders(folder)}
    if not found:
        raise InputError(
            f"{folder} holds no class folders.",
            hint="Put the images of each class into a folder of its name: train/cat/001.png.",
        )
    return found


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not _hidden(p.name))
    except OSError as error:
        _refuse_unlisted(error)


def _hidden_folders(root: Path, folders: dict[str, Path]) -> list[str]:
    """Return folders that could be classes, images in them, but for a name that begins with a dot."""
    found = [path for folder in folders.values() for path in sorted(folder.glob(".*")) if path.is_dir()]
    return [path.relative_to(root).as_posix() for path in found if _images_below(path)[0]]


def _images_below(folder: Path) -> tuple[list[Path], int]:
    """Return the image files of a class, sorted, at any depth, and how many other files there are."""
    images, others = [], 0
    seen: set[str] = set()  # real paths: links to folders are followed, but no folder is read twice
    for place, inner, files in os.walk(folder, onerror=_refuse_unlisted, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        inner[:] = [name for name in inner if not _hidden(name)]
        for name in files:
            if _is_image(Path(place, name)):
                images.append(Path(place, name))
            elif not _hidden(name):
                others += 1
    return sorted(images), others


def _refuse_unlisted(error: OSError) -> NoReturn:
    raise InputError(
        f"{error.filename!a} cannot be listed: {error.strerror}.", hint="Check its permissions."
    ) from error


def _is_image(path: Path) -> bool:
    return not _hidden(path.name) and is_image(path)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _refuse_strangers(split: str, strangers: list[str], classes: list[str]) -> None:
    if strangers:
        listed = ", ".join(map(ascii, strangers[:5])) + (", ..." if len(strangers) > 5 else "")
        raise InputError(
            f"{split} has classes that train has not: {listed}.",
            hint=f"Class folders must be named alike; train has {', '.join(map(ascii, classes[:20]))}.",
        )


def _refuse_empty(root: Path, classes: list[str], labels: list[int]) -> None:
    empty = [name for i, name in enumerate(classes) if i not in set(labels)]
    if empty:
        listed = ", ".join(map(ascii, empty[:5])) + (", ..." if len(empty) > 5 else "")
        raise InputError(
            f"{root}: no training image in the class folder of {listed}.",
            hint=f"Add images ({', '.join(sorted(SUFFIXES))}) or remove the folder.",
        )
