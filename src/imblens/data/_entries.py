"""Read image sets whose labels come from a table or from annotation files."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imblens.data._assemble import assemble, clean_text, unique_ids
from imblens.data._decode import SUFFIXES, is_image
from imblens.data._images import Boxes, ImageSet, ImageSplit
from imblens.data._sources import FileSource
from imblens.errors import InputError, MissingError

Uncertain = Literal["ignore", "positive", "negative"]
Named = tuple[str, float, float, float, float]  # class name, x0, y0, x1, y1 in pixels


@dataclass(frozen=True)
class Entry:
    """The description of one image in a table or annotation file.

    Attributes:
        file: the file name as written, with or without folders.
        labels: names of the labels it has.
        unknown: names of the labels marked as uncertain.
        boxes: of named classes, in pixels of an image of `size`.
        size: (H, W) that the boxes refer to; None for the image's own.
        patient: the patient, if given.
        split: train, val or test, if given.
    """

    file: str
    labels: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    boxes: tuple[Named, ...] = ()
    size: tuple[int, int] | None = None
    patient: str | None = None
    split: str | None = None


@dataclass
class BoxNotes:
    """Counts of the changes to boxes, reported in one line each."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, what: str, n: int) -> None:
        """Add n to the count of one change."""
        self.counts[what] = self.counts.get(what, 0) + n

    def lines(self) -> list[str]:
        """Return one line for each kind of change."""
        return [f"{what}: {n:,}." for what, n in self.counts.items() if n]


def read_entries(
    root: Path,
    entries: Sequence[Entry],
    classes: Sequence[str],
    *,
    layout: str,
    seed: int | None,
    uncertain: Uncertain = "ignore",
    notes: Iterable[str] = (),
    group: str | None = None,
) -> ImageSet:
    """Find the images of the entries below a folder and build the splits.

    Entries without an image and images without an entry are left out; notes report how many.

    Args:
        root: the folder.
        entries: the descriptions, in order.
        classes: C names, in order.
        layout: name of the layout in reports.
        seed: of the split, if the data gives none.
        uncertain: treatment of uncertain labels: "ignore" excludes them from losses and measures.
        notes: lines that precede the notes of this function.
        group: what the patients of the entries are, where they are something else.

    Raises:
        MissingError: no image exists.
        InputError: an image is described twice, or a box is invalid.
    """
    remarks = list(notes)
    places = _image_files(root)
    found = [(entry, place) for entry in entries if (place := places.find(entry.file)) is not None]
    several = [entry.file for entry in entries if places.fits_several(entry.file)]
    if several:
        raise InputError(
            f"{root}: several images fit {several[0]!a}, and so do {len(several) - 1:,} other names.",
            hint="Write the names with their folders.",
        )
    if not found:
        first = f", such as {entries[0].file!a}," if entries else ""
        raise MissingError(
            f"{root}: none of the {len(entries):,} described images{first} exists.",
            hint="Put the images into this folder, or into folders below it.",
        )
    other = sum(_suffix(entry.file) not in ("", _suffix(place)) for entry, place in found)
    if other:
        remarks.append(f"Images found by name although their suffix is another than described: {other:,}.")
    twice = next((place for place, n in Counter(place for _, place in found).items() if n > 1), None)
    if twice is not None:
        raise InputError(f"{root}: {twice!a} is described twice.", hint="Describe every image once.")
    if len(found) < len(entries):
        remarks.append(
            f"Described images that are not in the folder: {len(entries) - len(found):,} of {len(entries):,}."
        )
    if len(found) < len(places.files):
        remarks.append(f"Images left out because no entry describes them: {len(places.files) - len(found):,}.")
    changes = BoxNotes()
    position = {name: c for c, name in enumerate(classes)}
    splits: dict[str, ImageSplit] = {}
    boxed = any(entry.boxes for entry, _ in found)
    for split in ("train", "test", "val"):
        part = [(entry, place) for entry, place in found if (entry.split or "train") == split]
        if not part:
            continue
        files = tuple(place for _, place in part)
        images = ImageSplit(
            labels=_hot([entry.labels for entry, _ in part], position),
            ids=unique_ids([clean_text(file) for file in files], split, len(files)),
            source=FileSource(root, files),
            rows=np.arange(len(files)),
            unknown=_hot([entry.unknown for entry, _ in part], position).astype(bool),
            patients=patients_array([entry.patient for entry, _ in part]),
        )
        if boxed:
            boxes = [numbered_boxes(entry.boxes, position, changes) for entry, _ in part]
            images = with_boxes(images, boxes, [entry.size for entry, _ in part], changes)
        splits[split] = images
    if "train" not in splits:
        raise MissingError(
            f"{root}: there are no training images, only {' and '.join(splits)}.", hint="Add the training images."
        )
    remarks += changes.lines()
    for split, images in splits.items():
        splits[split], line = settle_uncertain(images, uncertain, split)
        remarks += line
    if boxed and layout in ("NIH", "table"):
        remarks += boxes_without_label(splits)
    rows = [split.labels.sum(axis=1) for split in splits.values()]
    if layout == "table" and not boxed and all((n == 1).all() for n in rows) and len(classes) > 1:
        splits = {
            split: replace(images, labels=images.labels.argmax(axis=1).astype(np.int64), unknown=None)
            for split, images in splits.items()
        }
        remarks.append("Every image of the table has exactly one label: read as single-label.")
    source: dict[str, Any] = {"path": str(root), "layout": layout, "uncertain": uncertain}
    source |= {} if group is None else {"group": group}
    return assemble(root.resolve().name, splits, classes, seed=seed, source=source, notes=remarks)


def labels_of(boxes: Iterable[Named]) -> frozenset[str]:
    """Return the names of the boxes that have an area."""
    return frozenset(name for name, x0, y0, x1, y1 in boxes if x1 > x0 and y1 > y0)


def settle_uncertain(images: ImageSplit, uncertain: Uncertain, split: str) -> tuple[ImageSplit, list[str]]:
    """Make uncertain labels ignored, positive or negative; return the images and a line with their number."""
    unknown = images.unknown
    if unknown is None or not unknown.any():
        return replace(images, unknown=None), []
    line = f"Uncertain labels in {split}: {int(unknown.sum()):,}, "
    if uncertain == "ignore":
        return images, [line + "ignored (--uncertain positive or negative includes them)."]
    labels = np.where(unknown, np.uint8(uncertain == "positive"), images.labels)
    return replace(images, labels=labels, unknown=None), [line + f"taken as {uncertain}."]


def numbered_boxes(boxes: Sequence[Named], position: Mapping[str, int], changes: BoxNotes) -> Boxes:
    """Return named boxes as (n, 5) of class number and corners; boxes of other classes are left out and counted."""
    known = [(position[name], *corners) for name, *corners in boxes if name in position]
    changes.add("Boxes left out because their class is not a label", len(boxes) - len(known))
    return np.array(known, dtype=np.float32).reshape(-1, 5)


def with_boxes(
    images: ImageSplit, boxes: Sequence[Boxes], sizes: Sequence[tuple[int, int] | None], changes: BoxNotes
) -> ImageSplit:
    """Give images their boxes: scaled where they refer to another size, clipped to the image.

    Args:
        images: N images.
        boxes: for each, (n, 5) of class and corners.
        sizes: for each, the (H, W) that its boxes refer to, or None for the image's own.
        changes: counts of boxes scaled, clipped and left out.

    Raises:
        InputError: corners that are not finite, or a box outside the image.
    """
    fitted = []
    for i, (some, given) in enumerate(zip(boxes, sizes, strict=True)):
        fitted.append(_fitted(some, given, images, i, changes) if len(some) else some)
    return replace(images, boxes=tuple(fitted))


def _fitted(boxes: Boxes, given: tuple[int, int] | None, images: ImageSplit, i: int, changes: BoxNotes) -> Boxes:
    where = images.source.name(int(images.rows[i]))
    size = images.size or images.source.size(int(images.rows[i]))
    if not np.isfinite(boxes).all():
        raise InputError(f"a box of {where} holds {boxes.tolist()}.", hint="Corners must be finite numbers of pixels.")
    if given is not None and given != size:
        y, x = size[0] / given[0], size[1] / given[1]
        boxes = boxes * np.array([1, x, y, x, y], dtype=np.float32)
        changes.add("Boxes scaled because they were drawn on images of another size", len(boxes))
    flat = (boxes[:, 3] <= boxes[:, 1]) | (boxes[:, 4] <= boxes[:, 2])
    changes.add("Boxes left out because they have no area", int(flat.sum()))
    boxes = boxes[~flat]
    limits = np.array([size[1], size[0]] * 2, dtype=np.float32)
    clipped = np.clip(boxes[:, 1:], 0, limits)
    beside = (clipped[:, 2] <= clipped[:, 0]) | (clipped[:, 3] <= clipped[:, 1])
    if beside.any():
        corners = [round(float(v), 1) for v in boxes[beside][0, 1:]]
        raise InputError(
            f"a box of {where} lies at {corners} (x0, y0, x1, y1), outside of its {size[1]} x {size[0]} pixels.",
            hint="Give boxes in pixels of the image as it is stored, or remove that box.",
        )
    changes.add("Boxes clipped to their image", int((np.abs(clipped - boxes[:, 1:]) > 1).any(axis=1).sum()))
    return np.column_stack([boxes[:, :1], clipped]).astype(np.float32)


def boxes_without_label(splits: Mapping[str, ImageSplit]) -> list[str]:
    """Return a line on boxes whose class is not a label of their image, or no line."""
    total = lacking = 0
    for images in splits.values():
        for i, boxes in enumerate(images.boxes or () if images.multilabel else ()):
            total += len(boxes)
            lacking += int((images.labels[i, boxes[:, 0].astype(int)] == 0).sum())
    if not lacking:
        return []
    return [f"Boxes whose class is not a label of their image: {lacking:,} of {total:,}; labels stay as they are."]


def _hot(named: Sequence[frozenset[str]], position: Mapping[str, int]) -> NDArray[np.uint8]:
    hot = np.zeros((len(named), len(position)), dtype=np.uint8)
    for i, names in enumerate(named):
        hot[i, [position[name] for name in names]] = 1
    return hot


def patients_array(patients: Sequence[str | None]) -> NDArray[np.object_] | None:
    """Return (N,) text, or None where no patient is named; an image without one is a patient of its own."""
    if not any(patients):
        return None
    return np.array([p if p else f"?{i}" for i, p in enumerate(patients)], dtype=object)


@dataclass(frozen=True)
class _Files:
    """Image files by every end of their path, with and without suffix; None where an end fits several."""

    files: tuple[str, ...]
    by_end: Mapping[str, str | None]
    by_stem: Mapping[str, str | None]

    def find(self, name: str) -> str | None:
        """Return the path of an image as written: with all, some or none of its folders, or without its suffix."""
        parts = [p for p in unicodedata.normalize("NFC", name).replace("\\", "/").split("/") if p not in ("", ".")]
        ends = ["/".join(parts[k:]) for k in range(len(parts))]
        exact = next((found for end in ends if (found := self.by_end.get(end))), None)
        return exact or next((found for end in ends for form in _forms(end) if (found := self.by_stem.get(form))), None)

    def fits_several(self, name: str) -> bool:
        """Return whether a name was not found because several images have it."""
        last = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")[-1]
        return (last in self.by_end or last in self.by_stem) and self.find(name) is None


def _forms(end: str) -> list[str]:
    """Return a name as a stem: as it is written and, where it has the suffix of an image, without that."""
    head, dot, suffix = end.rpartition(".")
    return [end, head] if dot and f".{suffix.lower()}" in SUFFIXES else [end]


def _suffix(name: str) -> str:
    """Return the suffix of an image's name in lower case, "" where it has none of an image."""
    suffix = Path(name).suffix.lower()
    return suffix if suffix in SUFFIXES else ""


def _image_files(root: Path) -> _Files:
    files: list[str] = []
    seen: set[str] = set()  # real paths: links to folders are followed, but no folder is read twice
    for place, inner, names in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        inner[:] = sorted(name for name in inner if not name.startswith(".") and name != "__MACOSX")
        for name in names:
            if not name.startswith(".") and is_image(Path(place, name)):
                files.append(Path(place, name).relative_to(root).as_posix())
    by_end: dict[str, str | None] = {}
    by_stem: dict[str, str | None] = {}
    for file in files:
        parts = unicodedata.normalize("NFC", file).split("/")
        for k in range(len(parts)):
            end = "/".join(parts[k:])
            by_end[end] = None if end in by_end and k else file
            stem = end[: len(end) - len(Path(parts[-1]).suffix)]
            by_stem[stem] = None if stem in by_stem else file
    return _Files(tuple(files), by_end, by_stem)
