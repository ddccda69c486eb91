"""Any finding against none: a multi-label set as a binary task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.data._images import ImageSet, ImageSplit
from imblens.errors import InputError

BINARY = "finding or none"  # `ImageSet.source["task"]` of sets whose second class is the positive one


def finding_or_none(images: ImageSet) -> ImageSet:
    """Return a multi-label set as one of two classes: no finding, and any finding, the positive one.

    Boxes of any finding are boxes of the second class. Images that have no certain finding but an uncertain one are left
    out. `imblens train` gives such a set a network with one output, the logit of the second class (LOOKING, section 4:
    healthy and unhealthy).

    Raises:
        InputError: the set is single-label.
    """
    if images.task != "multilabel":
        raise InputError(
            f"{images.name} is single-label, so finding against no finding is not defined.",
            hint="Use its classes unchanged.",
        )
    splits, left_out = binary_splits(images.splits)
    counts = {name: np.bincount(split.labels, minlength=2).tolist() for name, split in splits.items()}
    return replace(
        images,
        classes=("no finding", "finding"),
        task="multiclass",
        **dict[str, Any](splits),
        notes=(
            *images.notes,
            f"{len(images.classes)} labels are combined: any finding, or none.",
            *left_out,
        ),
        source={**images.source, "task": BINARY, "counts": counts},
    )


def binary_splits(splits: Mapping[str, ImageSplit]) -> tuple[dict[str, ImageSplit], list[str]]:
    """Return the splits with two classes, and a note on images that were left out because it is uncertain which they have."""
    found = {name: two_classes(split) for name, split in splits.items()}
    left_out = sum(len(splits[name]) - len(found[name]) for name in splits)
    return found, [f"Images without a certain label were left out: {left_out:,}."] if left_out else []


def two_classes(images: ImageSplit) -> ImageSplit:
    """Return the images with class 1 where any label is positive, else 0; boxes become boxes of class 1."""
    has: NDArray[np.bool_] = np.asarray(images.labels.any(axis=1))
    known = np.ones_like(has) if images.unknown is None else has | ~images.unknown.any(axis=1)
    boxes = images.boxes
    if boxes is not None:
        boxes = tuple(np.concatenate([np.ones((len(b), 1), np.float32), b[:, 1:]], axis=1) for b in boxes)
    return replace(images, labels=has.astype(np.int64), unknown=None, boxes=boxes).subset(known)
