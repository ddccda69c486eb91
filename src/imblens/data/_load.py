"""One door for every layout and every built-in set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from imblens.data._any_label import finding_or_none
from imblens.data._assemble import SPLITS
from imblens.data._boxes import add_boxes
from imblens.data._decode import PixelRange
from imblens.data._digits import digits
from imblens.data._entries import Entry, Uncertain, checked_uncertain, read_entries
from imblens.data._images import ImageSet
from imblens.data._pixel_range import checked_range, with_range
from imblens.data._profiles import checked_seed, parse_profile
from imblens.data.drawn._shapes import shapes
from imblens.data.layouts._coco import json_files, read_coco
from imblens.data.layouts._folder import read_folder
from imblens.data.layouts._npz import read_npz
from imblens.data.layouts._parquet import read_parquet, split_files
from imblens.data.layouts._tables import read_tables, table_files
from imblens.data.layouts._voc import read_voc, voc_root
from imblens.data.public import PUBLIC, describe, read_public
from imblens.errors import InputError, MissingError, did_you_mean, nearby

_BUILT_IN = {
    "digits": "scikit-learn's handwritten digits, 32 x 32 grey, 10 classes, 20:1; no download",
    "shapes": "coloured shapes, 32 x 32, 10 classes, 50:1, planted causes of failure, boxes; no download",
}


@dataclass(frozen=True)
class Reading:
    """How files are read: the seed of the hold-out (None: nothing is held out), uncertain labels, black and white."""

    seed: int | None
    uncertain: Uncertain
    pixel_range: PixelRange | None


def built_in_sets() -> dict[str, str]:
    """Return the names of the sets that need no download, each with one line about it."""
    return dict(_BUILT_IN)


def image_sets() -> dict[str, str]:
    """Return every name that `load_images` knows, with what it is: one line, then more of the public ones."""
    return {**_BUILT_IN, **{name: describe(name) for name in PUBLIC}}


def load_images(
    data: str | Path,
    *,
    seed: int = 0,
    profile: str = "natural",
    root: str | Path | None = None,
    hub: bool = False,
    boxes: str | Path | None = None,
    uncertain: str = "ignore",
    any_label: bool = False,
    pixel_range: tuple[float, float] | None = None,
    hold_out: bool = True,
) -> ImageSet:
    """Load an image set.

    Args:
        data: a name of `image_sets()`; a folder of class folders; of Parquet files; of images with a CSV table of
            their labels (NIH ChestX-ray14's, CheXpert's, your own); in the layout of Pascal VOC, COCO or ChestX-Det; or
            a MedMNIST-style .npz. A folder named like one of the sets is meant by `./shapes` or a `Path`.
        seed: chooses what is held out where no test split is given, which images a profile keeps, and what a
            built-in set draws.
        profile: thins the training split: `exp:R`, `step:R`, or `natural`, which leaves it as it is (a built-in set
            then has its own: digits exp:20, shapes 50:1). Test is never touched.
        root: for a public set, the folder that holds its files as their owners publish them.
        hub: for a public set, download it through Hugging Face `datasets` instead.
        boxes: a file of boxes, matched to the images by name (see `add_boxes`).
        uncertain: treatment of labels marked as uncertain: `ignore` excludes them from losses and measures, `positive`
            and `negative` assign that value.
        any_label: replace the labels with one binary label: any of them, or none.
        pixel_range: black and white of images of more than 8 bits per pixel; by default the range of the training
            images. A note states it.
        hold_out: hold out a fifth of the training images as test where there is no test or val split. False where a
            network may have been trained on all of them.

    Raises:
        MissingError: no such name, folder or file, or a part of it is missing.
        InputError: the data cannot be used; the message states what was found and what to do.

    Example:
        >>> load_images("digits", profile="step:10").class_counts.tolist()
        [89, 91, 89, 92, 91, 9, 9, 9, 9, 9]
    """
    seed = checked_seed(seed)
    choice = checked_uncertain(uncertain)
    reading = Reading(seed if hold_out else None, choice, checked_range(pixel_range))
    loaded = _load(data, seed, profile, None if root is None else Path(root).expanduser(), hub, reading)
    loaded = with_range(loaded, reading.pixel_range)
    if boxes is not None:
        loaded = add_boxes(loaded, boxes)
    return finding_or_none(loaded) if any_label else loaded


def _load(data: str | Path, seed: int, profile: str, root: Path | None, hub: bool, reading: Reading) -> ImageSet:
    natural = parse_profile(profile).kind == "natural"
    if isinstance(data, str) and data in PUBLIC:
        public = read_public(data, root=root, hub=hub, seed=reading.seed, uncertain=reading.uncertain)
        return public if natural else public.with_profile(profile, seed)
    if root is not None or hub:
        raise InputError(
            f"{'--hub' if hub else '--root'} goes with the name of a public set, and {str(data)!r} is none.",
            hint=did_you_mean(str(data), list(PUBLIC)),
        )
    if isinstance(data, str) and data in _BUILT_IN:
        return _built_in(data, seed, profile)
    try:
        path = Path(data).expanduser()
        exists = path.exists()
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise InputError(f"{data!r} is not a path: {error}.", hint="Give a folder, an .npz file or a name.") from error
    if not exists:
        hint = did_you_mean(str(data), list(image_sets())).rstrip(".")
        raise MissingError(
            f"there is no folder, .npz file or image set {str(data)!r}.", hint=f"{nearby(path)}{hint}; or a folder."
        )
    loaded = _read_directory(path, reading) if path.is_dir() else _read_file(path, reading)
    return loaded if natural else loaded.with_profile(profile, seed)


def _read_directory(path: Path, reading: Reading) -> ImageSet:
    """Read a folder by what it holds.

    Raises:
        InputError: it holds no data, or is something else that imblens writes.
    """
    seed, uncertain = reading.seed, reading.uncertain
    if (path / "run.json").exists():
        raise InputError(f"{path} is a captured run, not images.", hint=f"Look at it with: imblens audit {path}")
    files = split_files(path)
    if files:
        return read_parquet(path, files, seed=seed, uncertain=uncertain)
    inner = [p for p in sorted(path.iterdir()) if p.is_dir() and (any(p.glob("*.parquet")) or table_files(p))]
    if inner:
        raise InputError(
            f"{path} holds image sets in folders of their own: {', '.join(p.name for p in inner[:5])}.",
            hint=f"Give one of them, such as {inner[0]}.",
        )
    loose = sorted(path.glob("*.parquet"))
    if len(loose) == 1:
        return read_parquet(path, {"train": loose}, seed=seed, uncertain=uncertain)
    if loose:
        raise MissingError(
            f"{path} holds {', '.join(p.name for p in loose[:5])}, none of which is named after a split.",
            hint="Name them train.parquet, test.parquet, val.parquet.",
        )
    described = voc_root(path)
    if described is not None:
        return read_voc(described, seed=seed)
    tables = table_files(path)
    if tables:
        return read_tables(path, tables, seed=seed, uncertain=uncertain)
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        raise InputError(
            f"{path} is a folder of datasets.save_to_disk, which is not read.",
            hint="Write it as Parquet: for each split, dataset[split].to_parquet('DIR/' + split + '.parquet').",
        )
    lists = {SPLITS[file.stem.lower()]: file for file in sorted(path.glob("*.txt")) if file.stem.lower() in SPLITS}
    if "train" in lists:
        return _read_lists(path, lists, seed)
    annotations = json_files(path)
    if annotations:
        try:
            return read_coco(path, annotations, seed=seed)
        except InputError:
            if any(file.parent != path for file in annotations):
                raise
            try:
                images = read_folder(path, seed=seed)
            except InputError:
                images = None
            if images is None:
                raise
            listed = ", ".join(file.name for file in annotations[:5])
            return replace(images, notes=(*images.notes, f"JSON files without annotations, ignored: {listed}."))
    return read_folder(path, seed=seed)


def _read_lists(root: Path, lists: dict[str, Path], seed: int | None) -> ImageSet:
    """Read lists of images, such as train.txt: a path and its label on each line."""
    entries = []
    for split, file in lists.items():
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            name, _, label = line.strip().rpartition(" ")
            if name:
                entries.append(Entry(name.strip(), frozenset([label]), split=split))
            elif label:
                raise InputError(f"{file} line {number} is not a path and a label.", hint="Write both on each line.")
    classes = {label for entry in entries for label in entry.labels}
    order = sorted(classes, key=int) if all(name.isdecimal() for name in classes) else sorted(classes)
    return read_entries(root, entries, order, layout="table", seed=seed)


def _read_file(path: Path, reading: Reading) -> ImageSet:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return read_npz(path, seed=reading.seed, pixel_range=reading.pixel_range)
    advice = {
        ".parquet": f"Give the folder that holds it: {path.parent}",
        ".zip": "Unpack it and give the folder.",
        ".tar": "Unpack it and give the folder.",
        ".gz": "Unpack it and give the folder.",
    }
    raise InputError(
        f"{path} is a file of a kind that is not read.", hint=advice.get(suffix, "Give a folder, or an .npz file.")
    )


def _built_in(name: str, seed: int, profile: str) -> ImageSet:
    natural = parse_profile(profile).kind == "natural"
    if name == "digits":
        return digits(seed) if natural else digits(seed, profile=profile)
    return shapes(seed) if natural else shapes(seed, imbalance=1).with_profile(profile, seed)
