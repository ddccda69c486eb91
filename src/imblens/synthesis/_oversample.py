"""Over-sampling of an image set: the same set, with a balanced training split."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imblens.data import ImageSet, ImageSplit
from imblens.errors import InputError
from imblens.synthesis._base import Oversampler, Synthetic, Task
from imblens.synthesis._memory import oversampling_memory
from imblens.synthesis._registry import find_oversampler
from imblens.synthesis._store import fingerprint, read_synthetic, sample_sheet, write_synthetic


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

    Real images come first, as they were; synthetic ones follow under new ids. Test and val are the same
    objects: only training images are looked at, and only the training split grows. `balanced_svm` and the samplers
    that work at class borders may leave classes out of balance; a note then states it.

    Args:
        image_set: with one label for each image, all images of one size.
        method: a name of `oversampler_descriptions()`.
        random_state: the seed. The same arguments give the same images.
        out: a folder for `images.npz` (synthetic images, read again when the same are requested) and
            `samples.png` (see `sample_sheet`). Without, nothing is written.
        progress: called with lines of progress.
        **options: of the over-sampler.

    Returns:
        A new set. `source["oversample"]` holds name, paper, options, seed, counts after, how many are synthetic, and the
        seconds that generating them took.

    Raises:
        MissingError: no such over-sampler or option.
        InputError: a multi-label set, a set that was over-sampled before, images that differ in size, a
            class with too few images, an option that does not fit, or too little memory (see `oversampling_memory`).

    Example:
        >>> from imblens.data import digits
        >>> balanced = oversample_pixels(digits(), "smote")
        >>> balanced.class_counts.tolist()
        [89, 89, 89, 89, 89, 89, 89, 89, 89, 89]
    """
    oversampler = find_oversampler(method)
    settings = oversampler.check(options)
    _refuse(image_set, oversampler)
    oversampling_memory(image_set, method)
    pixels = image_set.train.array()
    labels = np.asarray(image_set.train.labels, dtype=np.int64)
    counts = image_set.class_counts
    wanted = {int(c): int(counts.max() - counts[c]) for c in np.flatnonzero((counts > 0) & (counts < counts.max()))}
    folder = None if out is None else Path(out)
    task = Task(
        pixels, labels, image_set.classes, wanted, settings, int(random_state), folder, progress or (lambda line: None)
    )
    synthetic, seconds = _synthetic(oversampler, task)
    record = {
        "name": oversampler.name,
        "paper": oversampler.paper,
        "options": settings,
        "seed": task.seed,
        "counts": (counts + np.bincount(synthetic.labels, minlength=len(counts))).tolist(),
        "synthetic": len(synthetic.labels),
        "seconds": seconds,
        "facts": dict(synthetic.facts),
        "notes": list(synthetic.notes),
    }
    return replace(
        image_set,
        train=_joined(image_set.train, synthetic, oversampler.name),
        notes=(*image_set.notes, *synthetic.notes),
        source={**image_set.source, "oversample": record},
    )


def _refuse(image_set: ImageSet, oversampler: Oversampler) -> None:
    name = oversampler.name
    if image_set.task != "multiclass":
        raise InputError(
            f"{name}: {image_set.name} is multi-label; balancing one label unbalances the others.",
            hint="Use a loss that weights labels instead: wbce, cb_focal_bce or asl_bce.",
        )
    before = image_set.source.get("oversample")
    if before:
        raise InputError(
            f"{name}: {image_set.name} was over-sampled with {before['name']} before; its synthetic images would "
            "count as real ones.",
            hint="Start from the original set.",
        )
    counts = image_set.class_counts
    small = int(np.argmin(np.where(counts > 0, counts, counts.max())))
    if counts[small] < min(oversampler.least, int(counts.max())):
        raise InputError(
            f"{name} needs {oversampler.least} images of a class, and {image_set.classes[small]!r} has "
            f"{counts[small]}.",
            hint="Add images of it, or use random, which repeats them.",
        )


def _synthetic(oversampler: Oversampler, task: Task) -> tuple[Synthetic, float]:
    """Generate images, or read those that the same task generated before."""
    key = fingerprint(oversampler.name, task)
    if task.out is not None and (known := read_synthetic(task.out / "images.npz", key)):
        task.progress(f"{oversampler.name}: {len(known[0].labels):,} synthetic images read from {task.out}")
        return known
    start = time.perf_counter()
    synthetic = oversampler.make(task) if task.wanted else Synthetic(task.pixels[:0], task.labels[:0])
    seconds = round(time.perf_counter() - start, 2)
    task.progress(f"{oversampler.name}: {len(synthetic.labels):,} synthetic images generated in {seconds:.1f} s")
    if task.out is not None:
        write_synthetic(task.out / "images.npz", key, synthetic, seconds)
        sample_sheet(task, synthetic, task.out / "samples.png")
    return synthetic, seconds


def _joined(train: ImageSplit, synthetic: Synthetic, name: str) -> ImageSplit:
    ids = train.ids.tolist()
    prefix = f"synthetic/{name}"
    while any(text.startswith(prefix) for text in ids):
        prefix = f"_{prefix}"
    boxes = None if train.boxes is None else [*train.boxes, *[()] * len(synthetic.labels)]
    return ImageSplit.from_arrays(
        np.concatenate([train.array(), synthetic.pixels]),
        np.concatenate([train.labels, synthetic.labels]),
        ids=[*ids, *(f"{prefix}/{i:06d}" for i in range(len(synthetic.labels)))],
        boxes=boxes,
        name="over-sampled images",
    )
