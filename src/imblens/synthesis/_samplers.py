"""The samplers of feature space on raw pixels."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from imblens.base.memory import memory_limit
from imblens.errors import InputError
from imblens.run import Run
from imblens.synthesis._base import Made, Oversampler, Task
from imblens.treatments import find_treatment, resample, sampling_options


def _make(task: Task, *, name: str) -> Made:
    """Let a sampler see every image as H x W x 3 numbers from 0 to 255, and round what it adds."""
    n, dim = len(task.pixels), task.pixels[0].size
    needed = 3 * (n + sum(task.wanted.values())) * dim * 8  # samplers compute in float64
    if needed > memory_limit():
        raise InputError(
            f"{name} on {n + sum(task.wanted.values()):,} images of {dim:,} values needs {needed / 1e9:.1f} GB, more "
            "than half of this machine's memory.",
            hint="Use smaller images, or resample features instead: imblens treat RUN --with ...",
        )
    features = task.pixels.reshape(n, dim).astype(np.float32)
    run = Run.from_arrays(train=(features, task.labels), classes=task.classes)
    found = resample(run, name, random_state=task.seed, **task.options)
    copied = found.kept[n:]  # over-samplers keep all originals, in order, then copies
    pixels = np.concatenate([task.pixels[copied], as_pixels(found.new, task.pixels.shape[1:])])
    return Made(pixels, np.concatenate([task.labels[copied], found.new_labels]), found.facts, found.notes)


def as_pixels(values: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return (n, D) numbers as (n, *shape) uint8, rounded; what lies outside 0 to 255 is moved to the end it passed.

    >>> as_pixels(np.array([[-3.0, 0.5, 254.6, 300.0]]), (4,)).tolist()
    [[0, 0, 255, 255]]
    """
    return np.clip(np.rint(values), 0, 255).astype(np.uint8).reshape(-1, *shape)


def _declare(name: str, purpose: str, least: int = 2) -> Oversampler:
    options = tuple(option for option in sampling_options(name) if option.name != "sampling_strategy")
    return Oversampler(name, purpose, find_treatment(name).paper, options, partial(_make, name=name), least)


SAMPLERS = (
    _declare("smote", "Points between images of a class: two ghosts in one image."),
    _declare("borderline_smote", "As smote, only from images that lie among other classes."),
    _declare("balanced_svm", "As smote; a support vector machine then says which class the new images are."),
    _declare("svm_smote", "As borderline_smote, with the border from a support vector machine."),
    _declare("adasyn", "As smote, with more images where a class lies among others."),
    _declare("eos", "Points from images of a class toward the nearest images of others.", least=1),
    _declare("random", "Repeats images of rare classes.", least=1),
)
