"""How an image becomes the network's input, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imblens.errors import InputError

if TYPE_CHECKING:
    import torch

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Preprocessing:
    """From an image to the network's input: resize, divide by 255, subtract mean, divide by standard deviation.

    Attributes:
        mean: one value for each channel; one value alone makes a one-channel network's input, the mean of R, G, B.
        std: likewise.
        size: (H, W), or None for the images' own.
        given: whether it was given, or these are the defaults (mean 0, standard deviation 1).
        source: where it was found, if not given by the user.
    """

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    size: tuple[int, int] | None = None
    given: bool = False
    source: str = ""

    @classmethod
    def checked(cls, values: Mapping[str, Any] | None, model: Any = None) -> Preprocessing:
        """Read `{"mean": [...], "std": [...], "size": [H, W]}`; every key may be left out.

        What a run recorded of its preprocessing (`run.meta["preprocessing"]`, with `default` beside) is read as well.

        Raises:
            InputError: an unknown key, lengths that differ, or a value that cannot be.
        """
        if values is None:
            own = own_preprocessing(model)
            return cls() if own is None else replace(cls.checked(own), source="the network's own configuration")
        if isinstance(values, Mapping) and isinstance(values.get("default"), bool):
            values = {key: value for key, value in values.items() if key != "default"}
        known = {"mean", "std", "size"}
        if not isinstance(values, Mapping) or set(values) - known:
            found = sorted(map(str, set(values) - known)) if isinstance(values, Mapping) else type(values).__name__
            raise InputError(
                f"preprocessing has {found}; it knows mean, std and size.",
                hint='Pass {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "size": [224, 224]}.',
            )
        mean, std = _channels(values, "mean", model), _channels(values, "std", model)
        length = len(mean or std or (0, 0, 0))
        mean, std = mean or (0.0,) * length, std or (1.0,) * length
        if len(mean) != len(std) or length not in (1, 3):
            raise InputError(
                f"preprocessing has {len(mean)} means and {len(std)} standard deviations.",
                hint="Give one of each, or three of each (red, green, blue), on the scale from 0 to 1.",
            )
        if min(std) <= 0:
            raise InputError(f"preprocessing std holds {min(std)}.", hint="Every standard deviation must be above 0.")
        size = values.get("size")
        if size is not None:
            if np.shape(size) != (2,) or any(int(s) != s or s < 1 for s in size):
                raise InputError(f"preprocessing size is {size!r}.", hint="Give [height, width] in pixels.")
            size = (int(size[0]), int(size[1]))
        return cls(mean, std, size, True)

    def apply(self, pixels: Pixels) -> torch.Tensor:
        """Return (b, channels, H, W) float32 of (b, H, W, 3) uint8."""
        import torch

        channels = len(self.mean)
        wide = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255  # channels_last
        if channels == 1:
            wide = wide.mean(dim=1, keepdim=True)
        mean, std = (torch.tensor(v, dtype=torch.float32)[:, None, None] for v in (self.mean, self.std))
        return (wide - mean) / std

    def undo(self, inputs: torch.Tensor) -> Pixels | None:
        """Return the (b, H, W, 3) uint8 that gave these inputs; None where they cannot come from such images."""
        import torch

        if not self.given or inputs.ndim != 4 or inputs.shape[1] != len(self.mean):
            return None
        mean, std = (torch.tensor(v, dtype=torch.float32)[:, None, None] for v in (self.mean, self.std))
        levels = (inputs.float() * std + mean) * 255
        if not bool(((levels > -1) & (levels < 256)).all()):  # also where NaN
            return None
        pixels = levels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).expand(-1, -1, -1, 3)
        return np.ascontiguousarray(pixels.numpy())

    def notes(self) -> list[str]:
        """State what is applied where the user gave nothing."""
        if self.source:
            values = f"mean {[round(v, 3) for v in self.mean]}, std {[round(v, 3) for v in self.std]}"
            return [f"images are prepared with {self.source}: {values}."]
        if self.given:
            return []
        return ["images are scaled to [0, 1], mean 0, std 1: is that how it was trained? See preprocessing= or --mean."]

    def describe(self) -> dict[str, Any]:
        """Return plain JSON for the run's meta."""
        size = None if self.size is None else list(self.size)
        return {"mean": list(self.mean), "std": list(self.std), "size": size, "default": not self.given}


def own_preprocessing(model: Any) -> dict[str, Any] | None:
    """Return mean and std of a network's own configuration: preprocessor_config.json of a folder of transformers."""
    folder = getattr(getattr(model, "config", None), "_name_or_path", "") or ""
    file = Path(folder) / "preprocessor_config.json"
    if not folder or not file.is_file():
        return None
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not settings.get("do_normalize", True) or "image_mean" not in settings or "image_std" not in settings:
        return None
    size = settings.get("size")
    sides = [size["height"], size["width"]] if isinstance(size, dict) and {"height", "width"} <= set(size) else None
    return {"mean": settings["image_mean"], "std": settings["image_std"], "size": sides}


def _channels(values: Mapping[str, Any], key: str, model: Any) -> tuple[float, ...] | None:
    if values.get(key) is None:
        return None
    array = np.asarray(values[key], dtype=np.float64)
    if array.ndim == 0 and np.isfinite(array):  # one number for all channels
        return (float(array),) * _n_channels(model)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InputError(f"preprocessing {key} is {values[key]!r}.", hint="Give one finite number for each channel.")
    return tuple(array.tolist())


def _n_channels(model: Any) -> int:
    """Channels that the first convolution takes, if 1 or 3, else 3."""
    modules = model.modules() if model is not None else ()
    first = next((int(m.in_channels) for m in modules if hasattr(m, "in_channels")), 3)
    return first if first in (1, 3) else 3
