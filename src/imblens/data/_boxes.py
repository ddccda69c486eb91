"""Files of boxes: NIH's list, plain tables, COCO's and ChestX-Det's JSON, Pascal VOC's XML, Parquet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imblens.data._decode import SUFFIXES
from imblens.data._entries import BoxNotes, Entry, Named, numbered_boxes, with_boxes
from imblens.data._images import ImageSet
from imblens.data._texts import corners, read_csv
from imblens.data.layouts._coco import DET_SIZE, read_json
from imblens.data.layouts._parquet import read_box_table
from imblens.data.layouts._voc import read_xml, xml_files
from imblens.errors import InputError, MissingError

BOX_FILES = re.compile(r"(bbox|boxes)", re.IGNORECASE)  # file names of box tables, which are not label tables
_SPELLINGS = {"Infiltrate": "Infiltration"}  # NIH's box list differs from its labels


@dataclass(frozen=True)
class Drawn:
    """Boxes by image, as the file names it: with all, some or none of its folders, with or without suffix."""

    boxes: Mapping[str, tuple[Named, ...]]
    sizes: Mapping[str, tuple[int, int] | None]
    notes: tuple[str, ...] = ()

    def match(self, files: Sequence[str]) -> list[dict[str, Any]]:
        """Return `boxes` and `size` of every image; no boxes if the file does not name the image.

        A name belongs to an image when one of the two paths ends with the other.

        Raises:
            InputError: a name fits several images.
        """
        names = {_plain(name): name for name in self.boxes}
        ends: dict[str, str | None] = {}  # of names with folders; None where several names end so
        for plain in names:
            for end in _ends(plain)[1:]:
                ends[end] = None if end in ends else plain
        taken: dict[str, str] = {}
        found: list[dict[str, Any]] = []
        for file in files:
            plain = _plain(file)
            fitting = next((end for end in _ends(plain) if end in names), None) or ends.get(plain)
            if fitting is None:
                found.append({"boxes": (), "size": None})
                continue
            if fitting in taken:
                raise InputError(
                    f"the boxes of {names[fitting]!a} fit several images, {taken[fitting]!a} and {file!a}.",
                    hint="Name images with their folders in the file of boxes.",
                )
            taken[fitting] = file
            found.append({"boxes": self.boxes[names[fitting]], "size": self.sizes.get(names[fitting])})
        return found


def _plain(name: str) -> str:
    """Return an image's path with forward slashes and without its suffix."""
    path = name.replace("\\", "/").removeprefix("./")
    return path.rsplit(".", 1)[0] if Path(path).suffix.lower() in SUFFIXES else path


def _ends(path: str) -> list[str]:
    """Return the path, the path without its first folder, and so on.

    >>> _ends("a/b/c")
    ['a/b/c', 'b/c', 'c']
    """
    parts = path.split("/")
    return ["/".join(parts[k:]) for k in range(len(parts))]


def read_boxes(path: Path) -> Drawn:
    """Read boxes from a file: .csv, .json (COCO or ChestX-Det), .xml or a folder of them (VOC), or .parquet.

    A table has columns for image and class and four numbers: NIH's list, `x0, y0, x1, y1`, or `x, y, w, h`.

    Raises:
        MissingError: there is no such file.
        InputError: another kind, damaged, or hostile; the message states what was found.
    """
    if path.is_dir() or path.suffix.lower() == ".xml":
        entries = [read_xml(file) for file in (xml_files(path) if path.is_dir() else [path])]
        return _drawn(entries)
    if not path.is_file():
        raise MissingError(f"there is no file of boxes {path}.", hint="Check the path given with --boxes.")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _read_csv(path)
    if suffix == ".json":
        return _drawn(read_json(path)[0])
    if suffix == ".parquet":
        return Drawn({name: tuple(some) for name, some in read_box_table(path).items()}, {})
    raise InputError(
        f"{path} is not a supported file of boxes.", hint="Give .csv, .json (COCO), .xml (VOC), or .parquet."
    )


def add_boxes(images: ImageSet, path: str | Path) -> ImageSet:
    """Return the set with the boxes of a file, matched by image name; boxes it had are replaced.

    Boxes are in pixels of the images as they are stored, except those of NIH and ChestX-Det, which are of 1024 x 1024
    pixels whatever the size of the images; the set must not have been resized yet.

    Raises:
        MissingError, InputError: see `read_boxes`; none of the boxes belongs to an image; a box outside its image.
    """
    file = Path(path).expanduser()
    drawn = read_boxes(file)
    changes = BoxNotes()
    position = {name: c for c, name in enumerate(images.classes)}
    found, matched = {}, 0
    every = iter(drawn.match([str(name) for split in images.splits.values() for name in split.ids]))
    for name, split in images.splits.items():
        facts = [next(every) for _ in split.ids]
        matched += sum(bool(fact["boxes"]) for fact in facts)
        boxes = [numbered_boxes(fact["boxes"], position, changes) for fact in facts]
        found[name] = with_boxes(split, boxes, [fact["size"] for fact in facts], changes)
    if not matched:
        first = next(iter(drawn.boxes), None)
        raise InputError(
            f"none of the boxes in {file} belongs to an image of {images.name}"
            + (f": they name images such as {first!a}, the set has {str(images.train.ids[0])!a}." if first else "."),
            hint="Boxes are matched by file name, with or without folder and suffix.",
        )
    line = f"Boxes from {file.name}: on {matched:,} of {sum(map(len, found.values())):,} images."
    return replace(
        images,
        **dict[str, Any](found),
        notes=(*images.notes, *drawn.notes, line, *changes.lines()),
        source={**images.source, "boxes": str(file)},
    )


def _drawn(entries: list[Entry]) -> Drawn:
    return Drawn({e.file: e.boxes for e in entries}, {e.file: e.size for e in entries})


def _read_csv(path: Path) -> Drawn:
    lines = read_csv(path)
    _, header = next(lines, (0, []))
    columns = [name.lower() for name in header]
    nih = len(columns) >= 6 and columns[2] in ("bbox [x", "bbox[x")
    notes: list[str] = []
    if nih:
        places, wide = [0, 1, 2, 3, 4, 5], True
    else:
        names: list[tuple[str, ...]] = [("image", "image_id", "file", "filename", "file_name", "path", "image index")]
        names += [("label", "class", "name", "category", "finding label")]
        ends = ("x1", "y1") if "x1" in columns else ("w", "h")
        wide = ends == ("w", "h")
        names += [("x0", "x", "xmin"), ("y0", "y", "ymin")]
        names += [(ends[0], "width", "xmax"), (ends[1], "height", "ymax")]
        found = [next((columns.index(n) for n in some if n in columns), None) for some in names]
        missing = [some[0] for some, place in zip(names, found, strict=True) if place is None]
        if missing:
            raise InputError(
                f"{path} has no column {' and '.join(missing)}; its columns: {', '.join(header) or 'none'}.",
                hint="Give image, label, x0, y0, x1, y1 (or x, y, w, h).",
            )
        places = [place for place in found if place is not None]
        wide = columns[places[4]] in ("w", "width")
    boxes: dict[str, list[Named]] = {}
    renamed = 0
    for number, row in lines:
        if len(row) <= max(places):
            raise InputError(f"{path} line {number} has {len(row)} fields only.", hint="Correct that line.")
        file, label = row[places[0]], row[places[1]]
        x0, y0, x1, y1 = corners([row[c] for c in places[2:]], f"{path} line {number}")
        renamed += nih and label in _SPELLINGS
        label = _SPELLINGS.get(label, label) if nih else label
        boxes.setdefault(file, []).append((label, x0, y0, x0 + x1 if wide else x1, y0 + y1 if wide else y1))
    if renamed:
        notes.append(f"{path.name} writes Infiltrate for the label Infiltration: {renamed:,} boxes renamed.")
    return Drawn(
        {file: tuple(some) for file, some in boxes.items()},
        dict.fromkeys(boxes, DET_SIZE) if nih else {},
        tuple(notes),
    )
