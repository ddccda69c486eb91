"""One function for every layout and every built-in set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imblens.base.arguments import a_seed, checked, one_of
from imblens.data._any_label import finding_or_none
from imblens.data._boxes import add_boxes
from imblens.data._digits import digits
from imblens.data._entries import Uncertain
from imblens.data._images import ImageSet, ImageSplit
from imblens.data._pixel_range import checked_range, with_range
from imblens.data._profiles import parse_profile
from imblens.data.drawn._shapes import shapes
from imblens.data.layouts._columns import ColumnNames, ReadOptions
from imblens.data.layouts._directory import read_directory, read_file
from imblens.data.public import PUBLIC, describe, read_public
from imblens.errors import InputError, MissingError, did_you_mean, nearby

_BUILT_IN = {
    "digits": "scikit-learn's handwritten digits, 32 x 32 grey, 10 classes, 20:1; no download",
    "shapes": "coloured shapes, 32 x 32, 10 classes, 50:1, planted causes of failure, boxes; no download",
}
# names of the sets that `unmirrored` marks
UNMIRRORED = frozenset({"digits", *(name for name, entry in PUBLIC.items() if not entry.may_be_mirrored)})


def built_in_sets() -> dict[str, str]:
    """Return the names of the sets that need no download, each with one line about it.

    Example:
        >>> sorted(built_in_sets())
        ['digits', 'shapes']
    """
    return dict(_BUILT_IN)


def image_sets() -> dict[str, str]:
    """Return every name that `load_images` knows, with what it is: one line, then more of the public ones.

    Example:
        >>> set(built_in_sets()) < set(image_sets())
        True
    """
    return {**_BUILT_IN, **{name: describe(name) for name in PUBLIC}}


@checked(
    seed=a_seed(),
    uncertain=one_of("ignore", "positive", "negative"),
    task=one_of("multiclass", "multilabel", optional=True),
)
def load_images(
    data: str | Path,
    *,
    seed: int = 0,
    profile: str = "natural",
    root: str | Path | None = None,
    hub: bool = False,
    boxes: str | Path | None = None,
    uncertain: Uncertain = "ignore",
    any_label: bool = False,
    task: str | None = None,
    pixel_range: tuple[float, float] | None = None,
    hold_out: bool = True,
    label_column: str | None = None,
    split_column: str | None = None,
    image_column: str | None = None,
    group: str | None = None,
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
        task: "multiclass" (one label an image) or "multilabel"; by default single-label where every image of every split
            has exactly one label. A note states what was decided.
        pixel_range: black and white of images of more than 8 bits per pixel; by default the range of the training
            images. A note states it.
        hold_out: hold out a fifth of the training images as test where there is no test or val split. False where a
            network may have been trained on all of them.
        label_column: the column of a table or of Parquet that holds the label; by default one of the usual names.
        split_column: the column that holds train, val or test; NAME=VALUE: the rows with that value are test.
        image_column: the column that names images, or holds them in Parquet.
        group: the column of groups whose images are alike (patient, source image, site), which stay on one side of a
            split; by default patients where the data names them.

    Raises:
        MissingError: no such name, folder or file, or a part of it is missing.
        InputError: the data cannot be used; the message states what was found and what to do.

    Example:
        >>> load_images("digits", profile="step:10").class_counts.tolist()
        [89, 91, 89, 92, 91, 9, 9, 9, 9, 9]
    """
    columns = ColumnNames(image_column, label_column, split_column, group)
    reading = ReadOptions(seed if hold_out else None, uncertain, checked_range(pixel_range), columns)
    loaded = _load(data, seed, profile, None if root is None else Path(root).expanduser(), hub, reading)
    loaded = with_range(loaded, reading.pixel_range)
    if boxes is not None:
        loaded = add_boxes(loaded, boxes)
    loaded = with_task(loaded, task)
    return finding_or_none(loaded) if any_label else loaded


def _load(data: str | Path, seed: int, profile: str, root: Path | None, hub: bool, reading: ReadOptions) -> ImageSet:
    natural = parse_profile(profile).kind == "natural"
    if isinstance(data, str) and (data in PUBLIC or data in _BUILT_IN):
        reading.refuse_columns(data)
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
        raise InputError(
            f"{data!r} is not a valid path: {error}.", hint="Give a folder, an .npz file or a name."
        ) from error
    if not exists:
        hint = did_you_mean(str(data), list(image_sets())).rstrip(".")
        raise MissingError(
            f"there is no folder, .npz file or image set {str(data)!r}.", hint=f"{nearby(path)}{hint}; or a folder."
        )
    loaded = read_directory(path, reading) if path.is_dir() else read_file(path, reading)
    return loaded if natural else loaded.with_profile(profile, seed)


def _built_in(name: str, seed: int, profile: str) -> ImageSet:
    natural = parse_profile(profile).kind == "natural"
    if name == "digits":
        return digits(seed) if natural else digits(seed, profile=profile)
    return shapes(seed) if natural else shapes(seed, imbalance=1).with_profile(profile, seed)


def with_task(images: ImageSet, task: str | None) -> ImageSet:
    """Return the set as single-label ("multiclass") or "multilabel", regardless of what was inferred; None leaves it.

    Single labels become (N, C) rows with one 1, as they were before they were read as single-label.

    Raises:
        InputError: images with another number of labels than one that shall be single-label.
    """
    if task is None or task == images.task:
        return images
    splits = {"train": images.train, "val": images.val, "test": images.test}
    if task == "multiclass":
        for name, split in splits.items():
            n_labels = None if split is None else split.labels.sum(axis=1)
            if split is not None and n_labels is not None and (n_labels != 1).any():
                row = int(np.flatnonzero(n_labels != 1)[0])
                raise InputError(
                    f"the {name} image {split.ids[row]!r} has {int(n_labels[row])} labels, so {images.name} is not "
                    "single-label.",
                    hint="Leave out the task, or give every image exactly one label.",
                )
    note = f"The labels are read as {'multi' if task == 'multilabel' else 'single'}-label, as stated."
    changed: dict[str, Any] = {
        name: None if split is None else _as(split, task, images.n_classes) for name, split in splits.items()
    }
    return replace(images, **{"task": task, "notes": (*images.notes, note), **changed})


def _as(split: ImageSplit, task: str, n_classes: int) -> ImageSplit:
    if task == "multiclass":
        return replace(split, labels=split.labels.argmax(axis=1).astype(np.int64), unknown=None)
    return replace(split, labels=np.eye(n_classes, dtype=np.uint8)[split.labels])
