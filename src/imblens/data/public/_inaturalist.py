"""iNaturalist 2017 with its 13 super-categories as classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from imblens.data._images import ImageSet
from imblens.data.public._files import folder_with, read_whole, set_of_files
from imblens.errors import InputError

SUPER_CATEGORIES = {
    "Aves": 214_295,
    "Plantae": 158_407,
    "Insecta": 100_479,
    "Reptilia": 35_201,
    "Mammalia": 29_333,
    "Amphibia": 15_318,
    "Mollusca": 7_536,
    "Fungi": 5_826,
    "Animalia": 5_228,
    "Arachnida": 4_873,
    "Actinopterygii": 1_982,
    "Chromista": 398,
    "Protozoa": 308,
}  # training images of each, as its owners count them


def read_inaturalist(name: str, root: Path, seed: int | None) -> ImageSet:
    """Read train2017.json and val2017.json with the images below train_val_images/; val is the held-out split.

    Raises:
        MissingError: a file is not there.
        InputError: an annotation file that is damaged or of another year.
    """
    splits = {}
    for split, file in (("train", "train2017.json"), ("val", "val2017.json")):
        splits[split] = _read(folder_with(root, file, ["train_val2017", "annotations"]) / file)
    images = folder_with(root, "train_val_images")
    source = {"path": str(root), "layout": "inaturalist 2017"}
    return set_of_files(name, images, splits, list(SUPER_CATEGORIES), seed=seed, source=source)


def _read(path: Path) -> tuple[list[str], list[int]]:
    """Return file names and super-categories, in the order of the annotations."""
    position = {name: i for i, name in enumerate(SUPER_CATEGORIES)}
    try:
        found: Any = json.loads(read_whole(path))
        files = {image["id"]: image["file_name"] for image in found["images"]}
        kind = {category["id"]: position[category["supercategory"]] for category in found["categories"]}
        rows = [(files[entry["image_id"]], kind[entry["category_id"]]) for entry in found["annotations"]]
        if not all(isinstance(file, str) for file, _ in rows):
            raise TypeError("a file name that is not text")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} is not an annotation file of iNaturalist 2017: {type(error).__name__} {str(error)[:80]}.",
            hint="Give the annotations of the year 2017, which has the 13 super-categories.",
        ) from error
    return [file for file, _ in rows], [label for _, label in rows]
