"""The contract of over-samplers in pixel space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.errors import MissingError, did_you_mean
from imblens.treatments import Option


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
class Oversampler:
    """A method that generates synthetic images.

    Attributes:
        name: as typed behind `--oversample`.
        purpose: one line.
        paper: where it comes from.
        options: what can be set.
        make: from a task to synthetic images.
        least: smallest number of real images of a class.
    """

    name: str
    purpose: str
    paper: str
    options: tuple[Option, ...]
    make: Callable[[Task], Synthetic]
    least: int = 2

    def option(self, name: str) -> Option:
        """Return an option by name.

        Raises:
            MissingError: no such option; the hint names the nearest.
        """
        for option in self.options:
            if option.name == name:
                return option
        known = [option.name for option in self.options]
        raise MissingError(
            f"{self.name} has no option {name!r}.", hint=did_you_mean(name, known) if known else "It has none."
        )

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return every option, checked, the given ones over the defaults."""
        values = {option.name: option.default for option in self.options}
        for name, value in given.items():
            values[name] = self.option(name).check(value, self.name)
        return values
