"""JSON annotations: COCO's `instances`, and ChestX-Det's list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from imblens.data._assemble import SPLITS
from imblens.data._entries import Entry, Named, labels_of, read_entries
from imblens.data._images import ImageSet
from imblens.data._texts import corners, read_json_file
from imblens.errors import InputError

_SPLIT_IN_NAME = re.compile(rf"(?:^|[_.\-/])({'|'.join(sorted(SPLITS, key=len, reverse=True))})(?:[_.\-/\d]|$)")
DET_SIZE = (1024, 1024)  # ChestX-Det's boxes, and NIH's, are drawn at this size


def json_files(root: Path) -> list[Path]:
    """Return the annotation files of a folder: annotations/instances_*.json, SPLIT/_annotations.coco.json, *.json."""
    places = ("annotations/instances_*.json", "*/_annotations.coco.json", "annotations/*.json", "*.json")
    for place in places:
        found = sorted(path for path in root.glob(place) if path.is_file() and not path.name.startswith("."))
        if found:
            return found
    return []


def read_coco(root: Path, files: Sequence[Path], *, seed: int | None) -> ImageSet:
    """Read images with the boxes drawn on them; an image has the labels of its boxes.

    The name of a file or of its folder gives the split (`instances_train2017.json`, `valid/_annotations.coco.json`).
    A single file is split here. Image names are relative to the folder of the split (`train2017/`, `images/train/`),
    so that splits may use the same names.

    Raises:
        InputError: damaged JSON, another layout, a box outside of its image.
        MissingError: none of the images is there.
    """
    entries: list[Entry] = []
    classes: list[str] = []
    for path in files:
        found, names = read_json(path)
        match = _SPLIT_IN_NAME.search(path.relative_to(root).as_posix().lower())
        split = SPLITS[match[1]] if match and len(files) > 1 else None
        folder = path.parent.relative_to(root).as_posix()
        inside = [folder] if path.name == "_annotations.coco.json" else _image_folders(root, path, match)
        for entry in found:
            places = (f"{place}/{entry.file}" for place in inside if (root / place / entry.file).is_file())
            entries.append(replace(entry, file=next(places, entry.file), split=split))
        classes += names
    return read_entries(root, entries, list(dict.fromkeys(classes)), layout="COCO", seed=seed)


def _image_folders(root: Path, path: Path, match: re.Match[str] | None) -> list[str]:
    """Return the folders that belong to the split of an annotation file, those with the name in the file first."""
    if match is None:
        return []
    folders = [folder for place in (root, root / "images") if place.is_dir() for folder in sorted(place.iterdir())]
    exact = [folder for folder in folders if path.stem.lower().endswith(folder.name.lower())]
    same = [folder for folder in folders if SPLITS.get(folder.name.lower()) == SPLITS[match[1]]]
    return [folder.relative_to(root).as_posix() for folder in [*exact, *same] if folder.is_dir()]


def read_json(path: Path) -> tuple[list[Entry], tuple[str, ...]]:
    """Read the entries of one file, and its classes in order."""
    data = read_json_file(path)
    if isinstance(data, dict) and all(
        isinstance(data.get(key), list) for key in ("images", "annotations", "categories")
    ):
        try:
            return _coco(data, path)
        except (KeyError, TypeError, AttributeError) as error:
            raise _broken(path, "a COCO file", error) from error
    if isinstance(data, list) and all(
        isinstance(item, dict) and {"file_name", "syms", "boxes"} <= item.keys() for item in data
    ):
        try:
            return _chestx_det(data, path)
        except (KeyError, TypeError, AttributeError) as error:
            raise _broken(path, "a ChestX-Det file", error) from error
    keys = f"the keys {', '.join(map(str, list(data)[:5]))}" if isinstance(data, dict) else f"a {type(data).__name__}"
    raise InputError(
        f"{path} holds {keys}, not a known annotation format.",
        hint="COCO's files have images, annotations and categories; ChestX-Det's a list with file_name, syms and boxes.",
    )


def _coco(data: dict[str, Any], path: Path) -> tuple[list[Entry], tuple[str, ...]]:
    names = {item["id"]: str(item["name"]) for item in sorted(data["categories"], key=lambda item: item["id"])}
    used = {item["category_id"] for item in data["annotations"]}
    boxes: dict[Any, list[Named]] = {item["id"]: [] for item in data["images"]}
    for item in data["annotations"]:
        where = f"{path} annotation {item.get('id')!r}"
        if item["image_id"] not in boxes or item["category_id"] not in names:
            raise InputError(
                f"{where} names image {item['image_id']!r} and category {item['category_id']!r}, which are not both listed.",
                hint="Write the file again.",
            )
        x, y, w, h = corners(item["bbox"], where)
        boxes[item["image_id"]].append((names[item["category_id"]], x, y, x + w, y + h))
    entries = []
    for item in data["images"]:
        own = tuple(boxes[item["id"]])
        sides = (item.get("height"), item.get("width"))
        known = all(isinstance(side, int) and side > 0 for side in sides)
        size: Any = sides if known else None
        entries.append(Entry(str(item["file_name"]), labels_of(own), boxes=own, size=size))
    return entries, tuple(name for key, name in names.items() if key in used)  # without a box: a super-category


def _chestx_det(data: list[dict[str, Any]], path: Path) -> tuple[list[Entry], tuple[str, ...]]:
    entries = []
    for item in data:
        where = f"{path}: {item['file_name']!a}"
        if len(item["syms"]) != len(item["boxes"]):
            raise InputError(
                f"{where} has {len(item['syms'])} findings and {len(item['boxes'])} boxes.", hint="Give one box each."
            )
        boxes = tuple((str(name), *corners(box, where)) for name, box in zip(item["syms"], item["boxes"], strict=True))
        entries.append(Entry(str(item["file_name"]), frozenset(map(str, item["syms"])), boxes=boxes, size=DET_SIZE))
    return entries, tuple(sorted(frozenset().union(*(entry.labels for entry in entries))))


def _broken(path: Path, what: str, error: Exception) -> InputError:
    return InputError(f"{path} is not {what} that can be read: {type(error).__name__} {error}.", hint="Write it again.")
