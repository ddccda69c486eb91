"""Class folders: DATA/train/<class>/..., DATA/test/<class>/..., or DATA/<class>/... without splits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from imblens.base.wording import listed
from imblens.data._assemble import assemble, clean_text, unique_ids
from imblens.data._decode import SUFFIXES, is_image
from imblens.data._images import ImageSet, ImageSplit
from imblens.data._sources import FileSource
from imblens.data.layouts._columns import in_order
from imblens.data.layouts._find_splits import Found, files_below, find_splits, hidden, images_below
from imblens.errors import InputError


def read_folder(root: Path, *, seed: int | None) -> ImageSet:
    """Read a folder of class folders. Hidden files are passed over, other files that are not images are counted.

    Splits may lie deeper (DATA/images/train/), inside the class folders (DATA/<class>/train/), and have any usual name.

    Raises:
        MissingError: test or val without train.
        InputError: no class folders, no training image of a class, a class that train does not have.
    """
    found = find_splits(root)
    ignored: Counter[str] = Counter()
    files = {
        split: {name: _images(places, found.apart, ignored) for name, places in classes.items()}
        for split, classes in found.splits.items()
    }
    notes = found.notes
    bare = sorted(name for name, images in files["train"].items() if not images) if len(files) == 1 else []
    bare = bare if found.bases == [root] else []  # beside class folders lie logs and weights; train/ has classes only
    if bare:
        notes.append(f"Folders without images were passed over: {listed(list(map(ascii, bare)), 5)}.")
    classes, remarks = in_order(name for name, images in files["train"].items() if name not in bare)
    notes += [line.replace("Class names", "Class folders") for line in remarks]
    splits = {}
    for split, of in files.items():
        _refuse_strangers(split, sorted({name for name in of if name not in bare} - set(classes)), classes)
        paths = [path.relative_to(root).as_posix() for name in classes for path in of.get(name, [])]
        labels = [label for label, name in enumerate(classes) for _ in of.get(name, [])]
        if split == "train":
            _refuse_empty(root, classes, labels, ignored)
        if labels:
            ids = unique_ids([clean_text(path) for path in paths], split, len(paths))
            source = FileSource(root, tuple(paths))
            splits[split] = ImageSplit(np.array(labels, dtype=np.int64), ids, source, np.arange(len(paths)))
    notes += _remarks(root, found, ignored)
    facts: dict[str, Any] = {"path": str(root), "layout": "class folders"}
    return assemble(
        root.resolve().name, splits, [clean_text(name) for name in classes], seed=seed, source=facts, notes=notes
    )


def _images(places: list[Path], apart: frozenset[Path], ignored: Counter[str]) -> list[Path]:
    """Return the images of a class, sorted, and count the suffixes of its other files."""
    images = []
    for place in places:
        mine = apart - {place}
        for path in files_below(place, mine):
            if is_image(path):
                images.append(path)
            else:
                ignored[path.suffix.lower() or "no suffix"] += 1
    return sorted(images)


def _remarks(root: Path, found: Found, ignored: Counter[str]) -> list[str]:
    """Return notes on what was passed over."""
    notes = []
    if ignored:
        kinds = ", ".join(f"{n:,} {suffix}" for suffix, n in ignored.most_common(5))
        notes.append(f"Files passed over because they are not images: {ignored.total():,} ({kinds}).")
    loose = sum(is_image(path) for base in found.bases for path in _files(base))
    if loose:
        notes.append(f"Images passed over because they lie outside class folders: {loose:,}.")
    beside = [path.name for path in _files(root) if not is_image(path)]
    if beside:
        notes.append(f"Files beside the class folders, not read: {listed(list(map(clean_text, beside)), 8)}.")
    dotted = [p for base in found.bases for p in sorted(base.glob(".*")) if p.is_dir() and any(images_below(p))]
    if dotted:
        names = [path.relative_to(root).as_posix() for path in dotted]
        named = listed(list(map(ascii, names)), 5)
        notes.append(f"Folders left out because their names begin with a dot: {named}. Rename them to read them.")
    return notes


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not hidden(path.name))


def _refuse_strangers(split: str, strangers: list[str], classes: list[str]) -> None:
    if strangers:
        named = listed(list(map(ascii, strangers)), 5)
        raise InputError(
            f"{split} has classes that train has not: {named}.",
            hint=f"Class folders need the same names in all splits; train has {listed(list(map(ascii, classes)), 20)}.",
        )


def _refuse_empty(root: Path, classes: list[str], labels: list[int], ignored: Counter[str]) -> None:
    empty = [name for i, name in enumerate(classes) if i not in set(labels)]
    if empty:
        kinds = ", ".join(f"{n:,} {suffix}" for suffix, n in ignored.most_common(3))
        others = f" Files that are not images: {kinds}; convert them if they are meant." if kinds else ""
        raise InputError(
            f"{root}: no training image in the class folder of {listed(list(map(ascii, empty)), 5)}.{others}",
            hint=f"Add images ({', '.join(sorted(SUFFIXES))}) or remove the folder.",
        )
