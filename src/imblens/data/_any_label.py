"""Any finding against none: a multi-label set as a task of two exclusive labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imblens.data._images import ImageSet, ImageSplit
from imblens.errors import InputError


def finding_or_none(images: ImageSet) -> ImageSet:
    """Return a multi-label set with two exclusive labels: no finding, and any finding.

    Boxes of any finding are boxes of the second (LOOKING, section 4: healthy and unhealthy).

    Raises:
        InputError: the set is single-label.
    """
    if images.task != "multilabel":
        raise InputError(
            f"{images.name} is single-label, so any finding against none is not defined.",
            hint="Use its classes as they are.",
        )
    return replace(
        images,
        classes=("no finding", "finding"),
        train=two_labels(images.train),
        test=None if images.test is None else two_labels(images.test),
        val=None if images.val is None else two_labels(images.val),
        notes=(*images.notes, f"{len(images.classes)} labels are combined: any finding, or none."),
        source={**images.source, "task": "finding or none"},
    )


def two_labels(images: ImageSplit) -> ImageSplit:
    """Return the images with the labels (none, any).

    Boxes become boxes of the second label. An image without a positive label but with an uncertain one is uncertain in both.
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
