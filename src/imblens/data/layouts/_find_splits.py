"""Find the splits in a folder of class folders, at any depth and under any of the usual names."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from imblens.base.wording import listed
from imblens.data._assemble import SPLITS, split_of
from imblens.data._decode import is_image
from imblens.errors import InputError, MissingError

_DEPTH = 4  # folders between DATA and its splits
_FOLD = re.compile(r"(?:cv|fold|split|part)[-_ ]?\d+", re.IGNORECASE)


@dataclass
class Found:
    """Folders of each class in each split, and notes for the user."""

    splits: dict[str, dict[str, list[Path]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    bases: list[Path] = field(default_factory=list)  # folders that hold class folders
    apart: frozenset[Path] = frozenset()  # folders inside class folders that belong to a split of their own

    def add(self, split: str, base: Path) -> None:
        """Take the folders in `base` as classes of a split."""
        self.bases.append(base)
        for folder in folders(base):
            name = unicodedata.normalize("NFC", folder.name)  # one system writes é as one character, another as two
            self.splits.setdefault(split, {}).setdefault(name, []).append(folder)


def find_splits(root: Path) -> Found:
    """Return the class folders of each split; those of the root, as train, where there are no splits.

    Raises:
        MissingError: test or val without train.
        InputError: no class folders, two folders of one split, or several data sets.
    """
    if not folders(root):
        raise InputError(
            f"{root} holds no class folders and no Parquet files.",
            hint="Give a folder of train/<class>/ and test/<class>/, of train*.parquet and test*.parquet, or an .npz.",
        )
    found = Found()
    place, splits = _search(root)
    if splits:
        _take_splits(found, root, place, splits)
        return found
    base = _inside_wrappers(root)
    if base != root:
        found.notes.append(f"Class folders are those of {base.relative_to(root).as_posix()!a}.")
    inner = folders(base)
    flat = [folder for folder in inner if folder.name.lower() in SPLITS and not folders(folder)]
    if len(flat) > 1 or len(flat) == len(inner):
        raise InputError(
            f"{flat[-1] if flat else base} holds no class folders.",
            hint="Put the images of each class into a folder of its name: train/cat/001.png.",
        )
    folds = [folder for folder in inner if _FOLD.fullmatch(folder.name) and folders(folder)]
    if len(folds) > 1 and len(folds) == len(inner):
        for folder in folds:
            found.add("train", folder)
        found.notes.append(
            f"{len(folds)} folders are numbered folds of cross-validation ({folds[0].name}, ...): all are training images."
        )
        return found
    found.add("train", base)
    _take_inner_splits(found)
    return found


def _search(root: Path) -> tuple[Path, dict[str, Path]]:
    """Return the folder that holds the splits, and the splits; the root and none where there are none."""
    level = [root]
    for _ in range(_DEPTH):
        found = [(place, splits) for place in level if (splits := _splits_in(place))]
        if len(found) > 1:
            named = ", ".join(ascii(place.relative_to(root).as_posix()) for place, _ in found[:5])
            raise InputError(
                f"{root} contains several data sets, each with splits: {named}.", hint=f"Give one: {found[0][0]}"
            )
        if found:
            return found[0]
        level = [inner for place in level for inner in folders(place)][:1000]
    return root, {}


def _splits_in(place: Path) -> dict[str, Path]:
    """Return the folders in a folder that are splits: named so, and with class folders inside."""
    exact: dict[str, Path] = {}
    worded: dict[str, Path] = {}
    for folder in folders(place):
        split = SPLITS.get(folder.name.lower())
        named, kind = (exact, split) if split else (worded, split_of(folder.name))
        if kind is None or not folders(folder):
            continue
        if kind in named and (named is exact or kind not in exact):
            raise InputError(
                f"{place} holds both {named[kind].name}/ and {folder.name}/.", hint=f"Keep one {kind} folder."
            )
        named[kind] = folder
    splits = {**worded, **exact}
    return splits if exact or len(splits) > 1 else {}


def _take_splits(found: Found, root: Path, place: Path, splits: dict[str, Path]) -> None:
    if place != root:
        found.notes.append(f"The splits are those of {place.relative_to(root).as_posix()!a}.")
    if "train" not in splits:
        raise MissingError(
            f"{place} holds {', '.join(f.name + '/' for f in splits.values())} but no train/.",
            hint="Add train/ with one folder per class.",
        )
    for split, folder in splits.items():
        base = _inside_wrappers(folder)
        if base != folder:
            found.notes.append(f"Class folders of {split} are those of {base.relative_to(root).as_posix()!a}.")
        found.add(split, base)
    for folder in folders(place):
        if folder in splits.values():
            continue
        kind = split_of(folder.name)
        n = sum(1 for _ in images_below(folder))
        if kind is not None and n:
            why = "beside the folder of that split" if folders(folder) else "outside class folders"
            found.notes.append(f"{folder.name!a} holds {n:,} images {why}, so it is not read.")
    others = [ascii(folder.name) for folder in folders(place) if folder not in splits.values()]
    if others:
        found.notes.append(f"Folders beside the splits were passed over: {listed(others, 5)}.")


def _take_inner_splits(found: Found) -> None:
    """Move images of <class>/train/, <class>/test/ to their split."""
    inside = {
        (name, SPLITS[folder.name.lower()]): folder
        for name, places in found.splits["train"].items()
        for place in places
        for folder in folders(place)
        if folder.name.lower() in SPLITS and any(images_below(folder))
    }
    if len({split for _, split in inside}) < 2:
        return
    found.apart = frozenset(inside.values())
    for (name, split), folder in inside.items():
        found.splits.setdefault(split, {}).setdefault(name, []).append(folder)
    found.notes.append(
        f"Class folders hold folders of splits ({', '.join(sorted({s for _, s in inside}))}): read as such."
    )


def _inside_wrappers(folder: Path) -> Path:
    """Follow folders that hold all images in one further folder of folders, such as train/images/<class>/."""
    for _ in range(_DEPTH):
        holding = [inner for inner in folders(folder) if any(images_below(inner))]
        direct = any(is_image(path) for path in folder.iterdir() if path.is_file() and not hidden(path.name))
        if len(holding) != 1 or direct or not folders(holding[0]):
            return folder
        folder = holding[0]
    return folder


def images_below(folder: Path) -> Iterator[Path]:
    """Yield the image files below a folder at any depth."""
    return (path for path in files_below(folder) if is_image(path))


def files_below(folder: Path, apart: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield the files below a folder that are not hidden.

    Links to folders are followed, except to folders that this one lies in; no folder is read twice.
    """
    seen = {str(outer) for outer in Path(os.path.realpath(folder)).parents}
    for place, inner, files in os.walk(folder, onerror=refuse_unlisted, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        inner[:] = [name for name in inner if not hidden(name) and Path(place, name) not in apart]
        yield from (Path(place, name) for name in files if not hidden(name))


def folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted, links to folders among them, hidden ones left out."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(folder, entry.name) for entry in entries if entry.is_dir() and not hidden(entry.name))
    except OSError as error:
        refuse_unlisted(error)


def refuse_unlisted(error: OSError) -> NoReturn:
    """Report a folder that cannot be listed."""
    raise InputError(
        f"{error.filename!a} cannot be listed: {error.strerror}.", hint="Check its permissions."
    ) from error


def hidden(name: str) -> bool:
    """Return whether a name is that of a hidden file, or of what a system leaves behind."""
    return name.startswith((".", "@", "$")) or name in ("__MACOSX", "__pycache__", "lost+found")
