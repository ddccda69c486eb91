"""List files: a path and its label on each line of train.txt, test.txt, ..."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from imblens.data._assemble import split_of
from imblens.data._decode import SUFFIXES
from imblens.data._entries import Entry, read_entries
from imblens.data._images import ImageSet
from imblens.data.layouts._columns import in_order
from imblens.errors import InputError

_SUFFIX = "|".join(sorted((suffix[1:] for suffix in SUFFIXES), key=len, reverse=True))
_LINE = re.compile(rf"(.+?\.(?:{_SUFFIX}))(?:[\s,;]+(.*))?", re.IGNORECASE)  # the name may hold spaces
_PLACES = ("*.txt", "*.lst", "ImageSets/*.txt", "meta/*.txt", "lists/*.txt", "splits/*.txt")


def list_files(root: Path) -> dict[str, Path]:
    """Return the list files of a folder by split: train.txt, list_val.txt, meta/test.txt; none without train.

    A list is a text whose first lines are a path with its label.
    """
    for pattern in _PLACES:
        found: dict[str, Path] = {}
        for file in sorted(root.glob(pattern), key=lambda path: len(path.stem)):
            split = split_of(file.stem)
            if split is not None and split not in found and _is_list(file):
                found[split] = file
        if "train" in found:
            return found
    return {}


def read_lists(root: Path, lists: dict[str, Path], *, seed: int | None) -> ImageSet:
    """Read list files. More than one label on a line makes a multi-label set, 0 and 1 throughout a multi-hot row.

    Raises:
        InputError: a line without label, or lines of different lengths in multi-hot rows.
        MissingError: none of the images is there.
    """
    rows: list[tuple[str, str, list[str]]] = []
    for split, file in lists.items():
        for number, line in enumerate(_lines(file), start=1):
            if line.strip() and not line.startswith("#"):
                rows.append((split, *_parts(line, f"{file} line {number}")))
    widths = {len(labels) for _, _, labels in rows}
    hot = len(widths) == 1 and widths != {1} and all(v in ("0", "1") for _, _, labels in rows for v in labels)
    entries = [
        Entry(
            name, frozenset(str(c) for c, v in enumerate(labels) if v == "1") if hot else frozenset(labels), split=split
        )
        for split, name, labels in rows
    ]
    classes, notes = in_order(label for entry in entries for label in entry.labels)
    if hot:
        classes = [str(c) for c in range(widths.pop())]
        notes.append("Each line of the lists is a row of 0 and 1: a label for each column.")
    named = _class_names(root, classes)
    if named is not None:
        file, names = named
        notes.append(f"Classes are named by the lines of {file.name}.")
        entries = [replace(entry, labels=frozenset(names[int(c)] for c in entry.labels)) for entry in entries]
        classes = names
    return read_entries(root, entries, classes, layout="table", seed=seed, notes=notes)


def _class_names(root: Path, classes: Sequence[str]) -> tuple[Path, list[str]] | None:
    """Return a file with a name on each line for classes that are numbered from 0; None where there is none."""
    if not all(name.isdecimal() for name in classes):
        return None
    for folder in (root, root / "meta"):
        for name in ("classes.txt", "class_names.txt", "names.txt", "labels.txt"):
            lines = [line.strip() for line in _lines(folder / name)] if (folder / name).is_file() else []
            while lines and not lines[-1]:
                lines.pop()
            if len(set(lines)) == len(lines) > max(map(int, classes)) and all(lines):
                return folder / name, lines
    return None


def _parts(line: str, where: str) -> tuple[str, list[str]]:
    match = _LINE.fullmatch(line.strip())
    if match and match[2]:
        return match[1], re.split(r"[\s,;]+", match[2].strip())
    name, _, label = re.sub(r"[\t,;]", " ", line.strip()).rpartition(" ")
    if match or not name.strip():
        raise InputError(f"{where} is not a path and a label.", hint="Write both on each line.")
    return name.strip(), [label]


def _is_list(file: Path) -> bool:
    try:
        first = [line for line in _lines(file)[:20] if line.strip() and not line.startswith("#")]
        return (
            bool(first)
            and all(_parts(line, "") for line in first)
            and any(_LINE.match(line) or "/" in line for line in first)
        )
    except (InputError, OSError):
        return False


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
