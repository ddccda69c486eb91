"""The one door to all over-samplers: an image set in, the same set with a balanced training split out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imblens.data import ImageSet, ImageSplit
from imblens.errors import InputError
from imblens.synthesis._base import Made, Oversampler, Task
from imblens.synthesis._registry import find_oversampler
from imblens.synthesis._sheet import sample_sheet
from imblens.synthesis._store import fingerprint, read_made, write_made


def oversample_pixels(
    image_set: ImageSet,
    method: str,
    *,
    random_state: int = 0,
    out: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> ImageSet:
    """Return the set with synthetic images in its training split, until all classes have as many as the largest.

    Real images come first, as they were; synthetic ones follow under ids of their own. Test and val are the same
    objects: only training images are looked at, and only the training split grows. `balanced_svm` and the samplers
    that work at borders leave classes somewhat, or far, from balance; a note then says so.

    Args:
        image_set: with one label for each image, all images of one size.
        method: a name of `oversampler_descriptions()`.
        random_state: the seed. The same arguments give the same images.
        out: a folder for `images.npz` (what was made: read again, not made again, when the same is asked for) and
            `samples.png` (see `sample_sheet`). Without, nothing is written.
        progress: called with lines of progress.
        **options: of the over-sampler.

    Returns:
        A new set. `source["oversample"]` holds name, paper, options, seed, counts after, how many are synthetic, and the
        seconds that making them took.

    Raises:
        MissingError: no such over-sampler or option.
        InputError: several labels for an image, a set that was over-sampled before, images that differ in size, a
            class with too few images, or an option that does not fit.

    Example:
        >>> from imblens.data import digits
        >>> balanced = oversample_pixels(digits(), "smote")
        >>> balanced.class_counts.tolist()
        [89, 89, 89, 89, 89, 89, 89, 89, 89, 89]
    """
    oversampler = find_oversampler(method)
    settings = oversampler.check(options)
    _refuse(image_set, oversampler)
    pixels = image_set.train.array()
    labels = np.asarray(image_set.train.labels, dtype=np.int64)
    counts = image_set.class_counts
    wanted = {int(c): int(counts.max() - counts[c]) for c in np.flatnonzero((counts > 0) & (counts < counts.max()))}
    folder = None if out is None else Path(out)
    task = Task(
        pixels, labels, image_set.classes, wanted, settings, int(random_state), folder, progress or (lambda line: None)
    )
    made, seconds = _made(oversampler, task)
    record = {
        "name": oversampler.name,
        "paper": oversampler.paper,
        "options": settings,
        "seed": task.seed,
        "counts": (counts + np.bincount(made.labels, minlength=len(counts))).tolist(),
        "synthetic": len(made.labels),
        "seconds": seconds,
        "facts": dict(made.facts),
        "notes": list(made.notes),
    }
    return replace(
        image_set,
        train=_joined(image_set.train, made, oversampler.name),
        notes=(*image_set.notes, *made.notes),
        source={**image_set.source, "oversample": record},
    )


def _refuse(image_set: ImageSet, oversampler: Oversampler) -> None:
    name = oversampler.name
    if image_set.task != "multiclass":
        raise InputError(
            f"{name}: {image_set.name} has several labels for an image; balancing one label unbalances the others.",
            hint="Use a loss that weighs labels instead: wbce, cb_focal_bce or asl_bce.",
        )
    before = image_set.source.get("oversample")
    if before:
        raise InputError(
            f"{name}: {image_set.name} was over-sampled with {before['name']} before; its synthetic images would "
            "count as real ones.",
            hint="Start from the set as it was.",
        )
    counts = image_set.class_counts
    small = int(np.argmin(np.where(counts > 0, counts, counts.max())))
    if counts[small] < min(oversampler.least, int(counts.max())):
        raise InputError(
            f"{name} needs {oversampler.least} images of a class, and {image_set.classes[small]!r} has "
            f"{counts[small]}.",
            hint="Add images of it, or use random, which repeats them.",
        )


def _made(oversampler: Oversampler, task: Task) -> tuple[Made, float]:
    """Make images, or read those that the same task made before."""
    key = fingerprint(oversampler.name, task)
    if task.out is not None and (known := read_made(task.out / "images.npz", key)):
        task.progress(f"{oversampler.name}: {len(known[0].labels):,} synthetic images read from {task.out}")
        return known
    start = time.perf_counter()
    made = oversampler.make(task) if task.wanted else Made(task.pixels[:0], task.labels[:0])
    seconds = round(time.perf_counter() - start, 2)
    task.progress(f"{oversampler.name}: {len(made.labels):,} synthetic images made in {seconds:.1f} s")
    if task.out is not None:
        write_made(task.out / "images.npz", key, made, seconds)
        sample_sheet(task, made, task.out / "samples.png")
    return made, seconds


def _joined(train: ImageSplit, made: Made, name: str) -> ImageSplit:
    ids = train.ids.tolist()
    prefix = f"synthetic/{name}"
    while any(text.startswith(prefix) for text in ids):
        prefix = f"_{prefix}"
    boxes = None if train.boxes is None else [*train.boxes, *[()] * len(made.labels)]
    return ImageSplit.from_arrays(
        np.concatenate([train.array(), made.pixels]),
        np.concatenate([train.labels, made.labels]),
        ids=[*ids, *(f"{prefix}/{i:06d}" for i in range(len(made.labels)))],
        boxes=boxes,
        name="over-sampled images",
    )
