"""The samplers of feature space on raw pixels."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from imblens.run import Run
from imblens.synthesis._base import Oversampler, Synthetic, Task
from imblens.treatments import find_treatment, resample, sampling_options


def _make(task: Task, *, name: str) -> Synthetic:
    """Apply a sampler to images as vectors of H x W x 3 values from 0 to 255, and round what it adds."""
    n = len(task.pixels)
    pixels = task.pixels.reshape(n, -1)
    features = pixels[:, :1] if name == "random" else pixels  # to repeat images none is read
    run = Run.from_arrays(train=(features.astype(np.float32), task.labels), classes=task.classes)
    found = resample(run, name, random_state=task.seed, precision=np.float32, **task.options)
    copied = found.kept[n:]  # over-samplers keep all originals, in order, then copies
    pixels = np.concatenate([task.pixels[copied], as_pixels(found.new, task.pixels.shape[1:])])
    return Synthetic(pixels, np.concatenate([task.labels[copied], found.new_labels]), found.facts, found.notes)


def as_pixels(values: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return (n, D) numbers as (n, *shape) uint8, rounded and clipped to 0 to 255.

    >>> as_pixels(np.array([[-3.0, 0.5, 254.6, 300.0]]), (4,)).tolist()
    [[0, 0, 255, 255]]
    """
    return np.clip(np.rint(values), 0, 255).astype(np.uint8).reshape(-1, *shape)


def _declare(name: str, purpose: str, least: int = 2, bytes_per_value: int = 14) -> Oversampler:
    options = tuple(option for option in sampling_options(name) if option.name != "sampling_strategy")
    make = partial(_make, name=name)
    return Oversampler(name, purpose, find_treatment(name).paper, options, make, least, bytes_per_value)


SAMPLERS = (
    _declare("smote", "Interpolates between images of a class: two blended images in one."),
    _declare("borderline_smote", "As smote, only from images among other classes."),
    _declare(
        "balanced_svm",
        "As smote; a support vector machine then predicts the class of each new image.",
        bytes_per_value=18,
    ),
    _declare("svm_smote", "As borderline_smote, with the border from a support vector machine."),
    _declare("adasyn", "As smote, with more images where a class is among others."),
    _declare(
        "eos",
        "Interpolates from images of a class towards the nearest images of other classes.",
        least=1,
        bytes_per_value=11,
    ),
    _declare("random", "Repeats images of rare classes.", least=1, bytes_per_value=3),
)
