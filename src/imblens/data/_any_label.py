"""One question instead of several labels: whether a picture has any of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imblens.data._pictures import Pictures, PictureSet
from imblens.errors import InputError


def finding_or_none(pictures: PictureSet) -> PictureSet:
    """Return a multi-label set with two labels that exclude each other: no finding, and a finding of any kind.

    Boxes of any finding are boxes of the second (LOOKING, section 4: healthy and unhealthy).

    Raises:
        InputError: one label for a picture.
    """
    if pictures.task != "multilabel":
        raise InputError(
            f"{pictures.name} has one label for a picture, so there is no question of any or none.",
            hint="Train on its classes as they are.",
        )
    return replace(
        pictures,
        classes=("no finding", "finding"),
        train=two_labels(pictures.train),
        test=None if pictures.test is None else two_labels(pictures.test),
        val=None if pictures.val is None else two_labels(pictures.val),
        notes=(*pictures.notes, f"{len(pictures.classes)} labels are one question: a finding, or none."),
        source={**pictures.source, "task": "finding or none"},
    )


def two_labels(pictures: Pictures) -> Pictures:
    """Make one label of all of a picture's labels, any of them, and put the label of having none before it.

    Boxes become boxes of the second. Where a picture has none for certain and nobody could tell of some, both are unknown.
    """
    has = pictures.labels.any(axis=1)
    unknown = np.zeros_like(has) if pictures.unknown is None else ~has & pictures.unknown.any(axis=1)
    boxes = pictures.boxes
    if boxes is not None:
        boxes = tuple(np.concatenate([np.ones((len(b), 1), np.float32), b[:, 1:]], axis=1) for b in boxes)
    return replace(
        pictures,
        labels=np.stack([~has & ~unknown, has], axis=1).astype(np.uint8),
        unknown=np.stack([unknown, unknown], axis=1) if unknown.any() else None,
        boxes=boxes,
    )
