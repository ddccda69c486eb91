"""One question instead of several labels: whether an image has any of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imblens.data._images import ImageSet, ImageSplit
from imblens.errors import InputError


def finding_or_none(images: ImageSet) -> ImageSet:
    """Return a multi-label set with two labels that exclude each other: no finding, and a finding of any kind.

    Boxes of any finding are boxes of the second (LOOKING, section 4: healthy and unhealthy).

    Raises:
        InputError: one label for an image.
    """
    if images.task != "multilabel":
        raise InputError(
            f"{images.name} has one label for an image, so there is no question of any or none.",
            hint="Train on its classes as they are.",
        )
    return replace(
        images,
        classes=("no finding", "finding"),
        train=two_labels(images.train),
        test=None if images.test is None else two_labels(images.test),
        val=None if images.val is None else two_labels(images.val),
        notes=(*images.notes, f"{len(images.classes)} labels are one question: a finding, or none."),
        source={**images.source, "task": "finding or none"},
    )


def two_labels(images: ImageSplit) -> ImageSplit:
    """Make one label of all of an image's labels, any of them, and put the label of having none before it.

    Boxes become boxes of the second. Where an image has none for certain and nobody could tell of some, both are unknown.
    """
    has = images.labels.any(axis=1)
    unknown = np.zeros_like(has) if images.unknown is None else ~has & images.unknown.any(axis=1)
    boxes = images.boxes
    if boxes is not None:
        boxes = tuple(np.concatenate([np.ones((len(b), 1), np.float32), b[:, 1:]], axis=1) for b in boxes)
    return replace(
        images,
        labels=np.stack([~has & ~unknown, has], axis=1).astype(np.uint8),
        unknown=np.stack([unknown, unknown], axis=1) if unknown.any() else None,
        boxes=boxes,
    )
