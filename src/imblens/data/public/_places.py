"""Places365-Standard cut down to 10 and to 100 classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from imblens.base.wording import listed
from imblens.data._images import ImageSet
from imblens.data.public._files import folder_with, read_lines, set_of_files
from imblens.errors import InputError, MissingError

# The papers do not name their classes. These are evenly spaced in the alphabetical list of 365, so that nothing but their names
# chose them: numbers 0, 3, 7, 10, ... (365 * i // 100), with baseball_field, which IML shows beside raft, for its neighbour
# basement. The ten are every tenth of the hundred.
_NAMES = """
    airfield alcove amusement_park aqueduct archive army_base art_studio atrium/public auto_showroom
    balcony/exterior bamboo_forest barn baseball_field bazaar/outdoor bedchamber beer_hall boat_deck
    botanical_garden boxing_ring burial_chamber butte campsite candy_store carrousel chalet church/outdoor cliff
    cockpit conference_room corral courtyard dam desert/sand dining_hall dorm_room driveway elevator_shaft
    escalator/indoor farm field_road flea_market/indoor football_field formal_garden garage/indoor
    general_store/indoor golf_course grotto harbor highway hospital hotel_room ice_floe ice_skating_rink/outdoor
    inn/outdoor japanese_garden kasbah lagoon laundromat legislative_chamber living_room locker_room
    market/indoor mausoleum moat/water mountain_path museum/outdoor nursery office operating_room pagoda
    parking_garage/indoor patio pharmacy pier plaza promenade raft recreation_room restaurant river ruin sauna
    shed shopping_mall/indoor sky soccer_field stadium/football staircase supermarket swimming_hole
    television_room ticket_booth toyshop tree_house utility_room veterinarians_office volcano water_tower wave
    windmill
"""
HUNDRED = tuple(_NAMES.split())
TEN = HUNDRED[::10]
MOST = 2500  # training images of a class; IML's counts (15,000 at step:5, 98,072 at exp:10) follow from it
_HELD_OUT = {"places10": 500, "places100": 150}  # of each class, as IML has them (5,000 and 15,000)
_SUFFIXES = (".jpg", ".jpeg", ".png")
_LISTS = "places365_train_standard.txt", "places365_val.txt"
_TRAIN_FOLDERS = "data_256", "data_256_standard", "data_large_standard", "data_large"
_VAL_FOLDERS = "val_256", "val_large"


def read_places(name: str, root: Path, seed: int | None) -> ImageSet:
    """Read 10 or 100 classes of Places365-Standard from either of its two layouts.

    The first 2,500 images of each class, by name, are for training; the next 500 (of ten classes) or 150 (of a hundred)
    are held out, as many as IML has; the published validation images are val. With `--profile step:5` for ten classes and
    `exp:10` for a hundred, that gives the counts of IML, Table I.

    Layouts: places365_standard/ with train/<class>/ and val/<class>/ (easy directory structure), or data_256/ and val_256/
    with the lists places365_train_standard.txt and places365_val.txt.

    Raises:
        MissingError: neither layout is there, or a class is not.
        InputError: a list that is damaged.
    """
    classes = TEN if name == "places10" else HUNDRED
    folder = next((place for place in (root, root / "places365_standard") if (place / "train").is_dir()), None)
    if folder is not None:
        source = {"path": str(folder), "layout": "places365, easy directories"}
        of_class = {split: _folders(folder, split, classes) for split in ("train", "val")}
    else:
        folder = folder_with(root, _LISTS[0], ["filelist_places365-standard"])
        source = {"path": str(root), "layout": "places365, lists"}
        of_class = _lists(root, folder, classes)
        folder = root
    absent = [c for c in classes if not of_class["train"].get(c)]
    if absent:
        raise MissingError(f"{folder} has no training image of {listed(absent, 5)}.")
    held = _HELD_OUT[name]
    train = {c: files[:MOST] for c, files in of_class["train"].items()}
    test = {c: files[MOST : MOST + held] for c, files in of_class["train"].items()}
    splits = {"train": train, "test": test, "val": of_class["val"]}
    given = {split: _columns(part, classes) for split, part in splits.items()}
    given = {split: part for split, part in given.items() if part[0]}
    notes = [f"Of the published training images, the first {MOST:,} of a class train and the next {held} are held out."]
    if "test" not in given:
        notes.append(f"No class has more than {MOST:,} training images, so none is held out.")
    if "val" not in given:
        notes.append(f"There are no validation images of these classes in {folder}.")
    return set_of_files(
        name, folder, given, [c.replace("/", " ") for c in classes], seed=seed, source=source, notes=notes
    )


def _columns(of_class: Mapping[str, list[str]], classes: tuple[str, ...]) -> tuple[list[str], list[int]]:
    pairs = [(file, label) for label, c in enumerate(classes) for file in of_class.get(c, [])]
    return [file for file, _ in pairs], [label for _, label in pairs]


def _folders(folder: Path, split: str, classes: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the images of each class, sorted: class names have - where the lists have /."""
    found = {}
    for c in classes:
        inside = folder / split / c.replace("/", "-")
        names = sorted(p.name for p in inside.iterdir()) if inside.is_dir() else []
        files = [f"{split}/{inside.name}/{n}" for n in names if n.lower().endswith(_SUFFIXES) and not n.startswith(".")]
        found[c] = files
    return found


def _lists(root: Path, lists: Path, classes: tuple[str, ...]) -> dict[str, dict[str, list[str]]]:
    """Return the images of each class and split, sorted, by the published lists."""
    wanted = set(classes)
    train: dict[str, list[str]] = {c: [] for c in classes}
    class_of: dict[str, str] = {}
    below = _image_folder(root, _TRAIN_FOLDERS)
    for path, number in _entries(lists / _LISTS[0]):
        c = "/".join(path.strip("/").split("/")[1:-1])  # /a/arena/hockey/00000001.jpg
        class_of.setdefault(number, c)
        if c in wanted:
            train[c].append(f"{below}/{path.strip('/')}")
    val: dict[str, list[str]] = {c: [] for c in classes}
    if (lists / _LISTS[1]).is_file():
        below = _image_folder(root, _VAL_FOLDERS)
        for path, number in _entries(lists / _LISTS[1]):
            c = class_of.get(number, "")
            if c in wanted:
                val[c].append(f"{below}/{path}")
    return {split: {c: sorted(files) for c, files in part.items()} for split, part in (("train", train), ("val", val))}


def _entries(path: Path) -> list[tuple[str, str]]:
    entries = []
    for number, line in enumerate(read_lines(path), start=1):
        words = line.split()
        if len(words) != 2 or not words[1].isdecimal():
            raise InputError(f"{path} line {number} is not an image and its class number.", hint="Download it again.")
        entries.append((words[0], words[1]))
    return entries


def _image_folder(root: Path, known: tuple[str, ...]) -> str:
    found = next((name for name in known if (root / name).is_dir()), None)
    if found is None:
        raise MissingError(f"there is no {' or '.join(f'{name}/' for name in known)} in {root}.")
    return found
