"""The samplers of feature space on raw pixels."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from imblens.base.memory import refuse_too_large
from imblens.run import Run
from imblens.synthesis._base import Oversampler, Synthetic, Task
from imblens.treatments import find_treatment, resample, sampling_options


def _make(task: Task, *, name: str) -> Synthetic:
    """Apply a sampler to images as vectors of H x W x 3 values from 0 to 255, and round what it adds."""
    n, dim = len(task.pixels), task.pixels[0].size
    n_after = n + sum(task.wanted.values())
    refuse_too_large(
        3 * n_after * dim * 8,  # samplers compute in float64
        f"{name} on {n_after:,} images of {dim:,} values needs",
        hint="Use smaller images, or resample features instead: imblens treat RUN --with ...",
    )
    features = task.pixels.reshape(n, dim).astype(np.float32)
    run = Run.from_arrays(train=(features, task.labels), classes=task.classes)
    found = resample(run, name, random_state=task.seed, **task.options)
    copied = found.kept[n:]  # over-samplers keep all originals, in order, then copies
    pixels = np.concatenate([task.pixels[copied], as_pixels(found.new, task.pixels.shape[1:])])
    return Synthetic(pixels, np.concatenate([task.labels[copied], found.new_labels]), found.facts, found.notes)


def as_pixels(values: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return (n, D) numbers as (n, *shape) uint8, rounded and clipped to 0 to 255.

    >>> as_pixels(np.array([[-3.0, 0.5, 254.6, 300.0]]), (4,)).tolist()
    [[0, 0, 255, 255]]
    """
    return np.clip(np.rint(values), 0, 255).astype(np.uint8).reshape(-1, *shape)


def _declare(name: str, purpose: str, least: int = 2) -> Oversampler:
    options = tuple(option for option in sampling_options(name) if option.name != "sampling_strategy")
    return Oversampler(name, purpose, find_treatment(name).paper, options, partial(_make, name=name), least)


SAMPLERS = (
    _declare("smote", "Interpolates between images of a class: two blended images in one."),
    _declare("borderline_smote", "As smote, only from images among other classes."),
    _declare("balanced_svm", "As smote; a support vector machine then predicts the class of each new image."),
    _declare("svm_smote", "As borderline_smote, with the border from a support vector machine."),
    _declare("adasyn", "As smote, with more images where a class is among others."),
    _declare("eos", "Interpolates from images of a class towards the nearest images of other classes.", least=1),
    _declare("random", "Repeats images of rare classes.", least=1),
)
