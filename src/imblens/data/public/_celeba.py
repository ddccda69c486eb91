"""CelebA with its five kinds of hair as classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.data._images import ImageSet
from imblens.data.public._files import folder_with, read_lines, set_of_files
from imblens.errors import InputError

HAIR = {
    "Black_Hair": "black",
    "Brown_Hair": "brown",
    "Blond_Hair": "blond",
    "Gray_Hair": "gray",
    "Bald": "bald",
}  # attributes: classes, in the order of EOS, section IV-A
_SPLITS = {"0": "train", "1": "val", "2": "test"}


def hair_classes(attributes: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return which faces have exactly one of the five kinds, and (of those) which kind.

    Args:
        attributes: (N, 5), in the order of `HAIR`.
    """
    one = attributes.sum(axis=1) == 1
    return one, attributes[one].argmax(axis=1)


def read_celeba(name: str, root: Path, seed: int | None) -> ImageSet:
    """Read the aligned faces with exactly one of black, brown, blond, gray hair and bald, in the published split.

    Raises:
        MissingError: list_attr_celeba.txt, list_eval_partition.txt or img_align_celeba/ is not there.
        InputError: a list that is damaged.
    """
    lists = folder_with(root, "list_attr_celeba.txt", ["Anno", "celeba"])
    images = folder_with(root, "img_align_celeba", ["Img", "celeba"])
    split_list = folder_with(root, "list_eval_partition.txt", ["Eval", "celeba"]) / "list_eval_partition.txt"
    parts = dict(_pairs(line, split_list) for line in read_lines(split_list))
    files, attributes = _attributes(lists / "list_attr_celeba.txt")
    one, kinds = hair_classes(attributes)
    chosen = [file for file, wanted in zip(files, one, strict=True) if wanted]
    splits: dict[str, tuple[list[str], list[int]]] = {split: ([], []) for split in _SPLITS.values()}
    for file, kind in zip(chosen, kinds.tolist(), strict=True):
        if parts.get(file) not in _SPLITS:
            raise InputError(f"{split_list} gives no split 0, 1 or 2 for {file!a}.", hint="Download it again.")
        split = splits[_SPLITS[parts[file]]]
        split[0].append(f"img_align_celeba/{file}")
        split[1].append(kind)
    notes = [f"Faces without exactly one of the five kinds of hair were left out: {len(files) - len(chosen):,}."]
    source: dict[str, Any] = {"path": str(root), "layout": "celeba"}
    found = {split: part for split, part in splits.items() if part[0]}
    if "train" not in found:
        raise InputError(
            f"{root} lists no training face with one of the five kinds of hair.", hint="Download it again."
        )
    return set_of_files(name, images, found, list(HAIR.values()), seed=seed, source=source, notes=notes)


def _attributes(path: Path) -> tuple[list[str], NDArray[np.bool_]]:
    """Return file names and (N, 5) whether each has the attributes of `HAIR`."""
    lines = read_lines(path)
    header: Sequence[str] = lines[1].split() if len(lines) > 2 else ()
    if not set(HAIR) <= set(header):
        raise InputError(
            f"{path} does not name {', '.join(sorted(set(HAIR) - set(header)))} in its second line.",
            hint="Download it again.",
        )
    columns = [header.index(attribute) + 1 for attribute in HAIR]
    files, rows = [], []
    for number, line in enumerate(lines[2:], start=3):
        words = line.split()
        if len(words) != len(header) + 1 or any(words[c] not in ("1", "-1") for c in columns):
            raise InputError(f"{path} line {number} is damaged.", hint="Download it again.")
        files.append(words[0])
        rows.append([words[c] == "1" for c in columns])
    if lines[0] != str(len(files)):
        raise InputError(
            f"{path} lists {len(files):,} faces, but its first line states {lines[0][:20]!a}.",
            hint="Download it again.",
        )
    return files, np.array(rows, dtype=bool)


def _pairs(line: str, path: Path) -> tuple[str, str]:
    words = line.split()
    if len(words) != 2:
        raise InputError(f"{path} holds the line {line[:50]!a}, not a file and its split.", hint="Download it again.")
    return words[0], words[1]
