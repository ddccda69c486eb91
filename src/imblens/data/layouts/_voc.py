"""Pascal VOC's layout: JPEGImages/, an XML file for each image in Annotations/, lists of names in ImageSets/Main/."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from imblens.data._assemble import SPLITS
from imblens.data._entries import Entry, Named, labels_of, read_entries
from imblens.data._images import ImageSet
from imblens.data._texts import corners, read_xml_file
from imblens.errors import InputError


def voc_root(root: Path) -> Path | None:
    """Return the folder that holds Annotations/ with XML files: this one, or the only one below that does."""
    if xml_files(root / "Annotations"):
        return root
    below = [path for path in sorted(root.iterdir()) if path.is_dir() and xml_files(path / "Annotations")]
    return below[0] if len(below) == 1 else None


def xml_files(folder: Path) -> list[Path]:
    """Return the XML files of a folder, sorted."""
    return sorted(path for path in folder.glob("*.xml") if not path.name.startswith(".")) if folder.is_dir() else []


def read_voc(root: Path, *, seed: int | None) -> ImageSet:
    """Read images with the boxes drawn on them; an image has the labels of its boxes.

    Corners are counted from 1 and belong to the box, as VOC defines them: x0 = xmin - 1, x1 = xmax. Lists named train,
    val, test in ImageSets/Main give the split, where there are any.

    Raises:
        InputError: damaged or hostile XML, an image in two lists, a box outside of its image.
        MissingError: none of the images is there.
    """
    splits = _lists(root / "ImageSets" / "Main")
    entries = []
    for path in xml_files(root / "Annotations"):
        entry = read_xml(path)
        if splits and path.stem not in splits:
            continue
        entries.append(replace(entry, split=splits.get(path.stem)))
    classes = sorted(frozenset().union(*(entry.labels for entry in entries)))
    notes = []
    listed = [stem for stem in splits if not (root / "Annotations" / f"{stem}.xml").is_file()]
    if listed:
        notes.append(f"Listed images without annotations, left out: {len(listed):,}.")
    return read_entries(root, entries, classes, layout="VOC", seed=seed, notes=notes)


def read_xml(path: Path) -> Entry:
    """Read the annotation of one image; without a `filename` it is the image of the same name."""
    tree = read_xml_file(path)
    if tree.tag != "annotation":
        raise InputError(
            f"{path} holds <{tree.tag}>, not <annotation>.", hint="Give files in the layout of Pascal VOC."
        )
    boxes: list[Named] = []
    for thing in tree.iter("object"):
        name = (thing.findtext("name") or "").strip()
        box = thing.find("bndbox")
        if not name or box is None:
            raise InputError(f"{path}: an <object> lacks its <name> or <bndbox>.", hint="Fix or remove it.")
        x0, y0, x1, y1 = corners([box.findtext(key) for key in ("xmin", "ymin", "xmax", "ymax")], str(path))
        first = 1 if x1 > x0 and y1 > y0 else 0  # boxes without area are counted later
        boxes.append((name, x0 - first, y0 - first, x1, y1))
    sides = [(tree.findtext(f"size/{key}") or "0").strip() for key in ("height", "width")]
    size = (int(sides[0]), int(sides[1])) if all(side.isdigit() and int(side) > 0 for side in sides) else None
    named = (tree.findtext("filename") or "").strip()
    file = named if named and Path(named).stem == path.stem else path.stem + (Path(named).suffix or ".jpg")
    return Entry(file, labels_of(boxes), boxes=tuple(boxes), size=size)


def _lists(folder: Path) -> dict[str, str]:
    """Return the split of every listed image. Lists of single classes (`cat_train.txt`) and `trainval` are not read."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.txt")) if folder.is_dir() else []:
        split = SPLITS.get(path.stem.lower())
        if split is None:
            continue
        try:
            stems = path.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read: {error}.", hint="It lists one image name a line.") from error
        for stem in stems:
            if found.setdefault(stem, split) != split:
                raise InputError(
                    f"{folder}: {stem!a} is listed in {found[stem]} and {split}.",
                    hint="An image belongs to one split.",
                )
    return found
