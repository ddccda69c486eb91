"""The one door to all over-samplers: a picture set in, the same set with a balanced training split out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imblens.data import Pictures, PictureSet
from imblens.errors import InputError
from imblens.synthesis._base import Made, Oversampler, Task
from imblens.synthesis._registry import find_oversampler
from imblens.synthesis._sheet import sample_sheet
from imblens.synthesis._store import fingerprint, read_made, write_made


def oversample_pixels(
    picture_set: PictureSet,
    method: str,
    *,
    random_state: int = 0,
    out: str | Path | None = None,
    say: Callable[[str], None] | None = None,
    **options: Any,
) -> PictureSet:
    """Return the set with synthetic pictures in its training split, until all classes have as many as the largest.

    Real pictures come first, as they were; synthetic ones follow under ids of their own. Test and val are the same
    objects: only training pictures are looked at, and only the training split grows. `balanced_svm` and the samplers
    that work at borders leave classes somewhat, or far, from balance; a note then says so.

    Args:
        picture_set: with one label for each picture, all pictures of one size.
        method: a name of `oversampler_descriptions()`.
        random_state: the seed. The same arguments give the same pictures.
        out: a folder for `pictures.npz` (what was made: read again, not made again, when the same is asked for) and
            `samples.png` (see `sample_sheet`). Without, nothing is written.
        say: called with lines of progress.
        **options: of the over-sampler.

    Returns:
        A new set. `source["oversample"]` holds name, paper, options, seed, counts after, how many are synthetic, and the
        seconds that making them took.

    Raises:
        MissingError: no such over-sampler or option.
        InputError: several labels for a picture, a set that was over-sampled before, pictures that differ in size, a
            class with too few pictures, or an option that does not fit.

    Example:
        >>> from imblens.data import digits
        >>> balanced = oversample_pixels(digits(), "smote")
        >>> balanced.class_counts.tolist()
        [89, 89, 89, 89, 89, 89, 89, 89, 89, 89]
    """
    oversampler = find_oversampler(method)
    settings = oversampler.check(options)
    _refuse(picture_set, oversampler)
    pixels = picture_set.train.array()
    labels = np.asarray(picture_set.train.labels, dtype=np.int64)
    counts = picture_set.class_counts
    wanted = {int(c): int(counts.max() - counts[c]) for c in np.flatnonzero((counts > 0) & (counts < counts.max()))}
    folder = None if out is None else Path(out)
    task = Task(
        pixels, labels, picture_set.classes, wanted, settings, int(random_state), folder, say or (lambda line: None)
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
        picture_set,
        train=_joined(picture_set.train, made, oversampler.name),
        notes=(*picture_set.notes, *made.notes),
        source={**picture_set.source, "oversample": record},
    )


def _refuse(picture_set: PictureSet, oversampler: Oversampler) -> None:
    name = oversampler.name
    if picture_set.task != "multiclass":
        raise InputError(
            f"{name}: {picture_set.name} has several labels for a picture; balancing one label unbalances the others.",
            hint="Use a loss that weighs labels instead: wbce, cb_focal_bce or asl_bce.",
        )
    before = picture_set.source.get("oversample")
    if before:
        raise InputError(
            f"{name}: {picture_set.name} was over-sampled with {before['name']} before; its synthetic pictures would "
            "count as real ones.",
            hint="Start from the set as it was.",
        )
    counts = picture_set.class_counts
    small = int(np.argmin(np.where(counts > 0, counts, counts.max())))
    if counts[small] < min(oversampler.least, int(counts.max())):
        raise InputError(
            f"{name} needs {oversampler.least} pictures of a class, and {picture_set.classes[small]!r} has "
            f"{counts[small]}.",
            hint="Add pictures of it, or use random, which repeats them.",
        )


def _made(oversampler: Oversampler, task: Task) -> tuple[Made, float]:
    """Make pictures, or read those that the same task made before."""
    key = fingerprint(oversampler.name, task)
    if task.out is not None and (known := read_made(task.out / "pictures.npz", key)):
        task.say(f"{oversampler.name}: {len(known[0].labels):,} synthetic pictures read from {task.out}")
        return known
    start = time.perf_counter()
    made = oversampler.make(task) if task.wanted else Made(task.pixels[:0], task.labels[:0])
    seconds = round(time.perf_counter() - start, 2)
    task.say(f"{oversampler.name}: {len(made.labels):,} synthetic pictures made in {seconds:.1f} s")
    if task.out is not None:
        write_made(task.out / "pictures.npz", key, made, seconds)
        sample_sheet(task, made, task.out / "samples.png")
    return made, seconds


def _joined(train: Pictures, made: Made, name: str) -> Pictures:
    ids = train.ids.tolist()
    prefix = f"synthetic/{name}"
    while any(text.startswith(prefix) for text in ids):
        prefix = f"_{prefix}"
    boxes = None if train.boxes is None else [*train.boxes, *[()] * len(made.labels)]
    return Pictures.from_arrays(
        np.concatenate([train.array(), made.pixels]),
        np.concatenate([train.labels, made.labels]),
        ids=[*ids, *(f"{prefix}/{i:06d}" for i in range(len(made.labels)))],
        boxes=boxes,
        name="over-sampled pictures",
    )
