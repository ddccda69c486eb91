"""What an over-sampler in pixel space is."""

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
    """What an over-sampler is given.

    Attributes:
        pixels: (N, H, W, 3) uint8, real training images.
        labels: (N,) int64.
        classes: C names.
        wanted: how many images to add, by class; classes that need none, or have no image, are left out.
        options: every option of the over-sampler, checked.
        seed: of every random choice.
        out: a folder for what is worth keeping, or None.
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
class Made:
    """What an over-sampler returns.

    Attributes:
        pixels: (m, H, W, 3) uint8.
        labels: (m,) int64.
        facts: plain JSON values worth keeping.
        notes: what the user should be told, one sentence each.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Oversampler:
    """A way to make synthetic images.

    Attributes:
        name: as typed behind `--oversample`.
        purpose: one line.
        paper: where it comes from.
        options: what can be set.
        make: from a task to images.
        least: images that a class needs to be added to.
    """

    name: str
    purpose: str
    paper: str
    options: tuple[Option, ...]
    make: Callable[[Task], Made]
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
        found = {option.name: option.default for option in self.options}
        for name, value in given.items():
            found[name] = self.option(name).check(value, self.name)
        return found
