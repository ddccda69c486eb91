"""Whether the images of a set have one label or several: what the user states precedes what the labels show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from imblens.data._images import ImageSet, ImageSplit
from imblens.errors import InputError, did_you_mean

TASKS = ("multiclass", "multilabel")


def with_task(images: ImageSet, task: str | None) -> ImageSet:
    """Return the set as single-label ("multiclass") or "multilabel", regardless of what was inferred; None leaves it.

    Single labels become (N, C) rows with one 1, as they were before they were read as single-label.

    Raises:
        InputError: an unknown task, or images with another number of labels than one that shall be single-label.
    """
    if task is not None and task not in TASKS:
        raise InputError(f"task is {task!r}.", hint=did_you_mean(str(task), list(TASKS)))
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
