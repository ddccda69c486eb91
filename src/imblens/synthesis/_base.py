"""The contract of over-samplers in pixel space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.options import Configurable, Option


@dataclass(frozen=True)
class Task:
    """Input of an over-sampler.

    Attributes:
        pixels: (N, H, W, 3) uint8, real training images.
        labels: (N,) int64.
        classes: C names.
        wanted: number of images to add, by class; classes that need none, or have no image, are left out.
        options: every option of the over-sampler, checked.
        seed: of every random choice.
        out: folder for synthetic images, or None.
        progress: called with lines of progress.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    wanted: Mapping[int, int]
    options: Mapping[str, Any]
    seed: int
    out: Path | None
    progress: Callable[[str], None]


@dataclass(frozen=True)
class Synthetic:
    """Synthetic images of an over-sampler.

    Attributes:
        pixels: (m, H, W, 3) uint8.
        labels: (m,) int64.
        facts: plain JSON values to record.
        notes: remarks for the user, one sentence each.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Oversampler(Configurable):
    """A method that generates synthetic images.

    Attributes:
        name: as typed behind `--oversample`.
        purpose: one line.
        paper: where it comes from.
        options: what can be set.
        make: from a task to synthetic images.
        least: smallest number of real images of a class.
        bytes_per_value: memory at its peak, for each value (of a pixel and colour) of the balanced images.
    """

    name: str
    purpose: str
    paper: str
    options: tuple[Option, ...]
    make: Callable[[Task], Synthetic]
    least: int = 2
    bytes_per_value: int = 4
