"""How an image becomes the network's input, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imblens.errors import InputError

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
    def checked(cls, values: Any, model: Any = None, data: Any = None) -> Preprocessing:
        """Read `{"mean": [...], "std": [...], "size": [H, W]}`; every key may be left out.

        Without it, the network's own configuration is used, or the normalisation among the transforms of `data`. The
        configuration of timm (`resolve_data_config`) and `transforms()` of torchvision's weights are read as well; their
        cropping is not applied. So is what a run recorded (`run.meta["preprocessing"]`).

        Raises:
            InputError: an unknown key, lengths that differ, or a value that cannot be.
        """
        if values is None:
            known_of = own_preprocessing(model) or transform_of(data)
            return cls() if known_of is None else replace(cls.checked(known_of[0], model), source=known_of[1])
        if not isinstance(values, Mapping) and hasattr(values, "mean") and hasattr(values, "std"):
            values = _of_object(values)  # transforms() of torchvision's weights
        if isinstance(values, Mapping) and "input_size" in values:  # timm.data.resolve_data_config
            values = {
                "size": list(values["input_size"])[-2:],
                **{key: values[key] for key in ("mean", "std") if key in values},
            }
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
        channels = len(self.mean)
        wide = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255  # channels_last
        if channels == 1:
            wide = wide.mean(dim=1, keepdim=True)
        mean, std = (torch.tensor(v, dtype=torch.float32)[:, None, None] for v in (self.mean, self.std))
        return (wide - mean) / std

    def undo(self, inputs: torch.Tensor) -> Pixels | None:
        """Return the (b, H, W, 3) uint8 that gave these inputs; None where they cannot come from such images."""
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


def own_preprocessing(model: Any) -> tuple[dict[str, Any], str] | None:
    """Return mean and std of a network's own configuration, and where it was found.

    Read are `preprocessor_config.json` of a folder of transformers, and `pretrained_cfg` or `default_cfg` of timm, whose
    size is taken only where the network accepts no other.
    """
    for name in ("pretrained_cfg", "default_cfg"):
        settings = getattr(model, name, None)
        settings = settings if isinstance(settings, Mapping) else dict(getattr(settings, "__dict__", {}))
        if settings.get("mean") is not None and settings.get("std") is not None:
            size = settings.get("input_size") if settings.get("fixed_input_size") else None
            found = {
                "mean": settings["mean"],
                "std": settings["std"],
                "size": None if size is None else list(size)[-2:],
            }
            return found, f"the network's own configuration ({name})"
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
    own = {"mean": settings["image_mean"], "std": settings["image_std"], "size": sides}
    return own, "the network's own configuration"


def transform_of(data: Any) -> tuple[dict[str, Any], str] | None:
    """Return mean and std of the normalisation among a data set's transforms, and where it was found; or None.

    Example:
        >>> from types import SimpleNamespace as Namespace
        >>> normalise = Namespace(mean=[0.5], std=[0.25])
        >>> transform_of(Namespace(transform=Namespace(transforms=[Namespace(size=8), normalise])))[0]
        {'mean': [0.5], 'std': [0.25]}
    """
    queue = [getattr(data, name, None) for name in ("transform", "transforms")]
    inner = data
    for _ in range(8):
        inner = getattr(inner, "dataset", None)
        queue += [getattr(inner, name, None) for name in ("transform", "transforms")]
    for _ in range(64):
        if not queue:
            return None
        transform = queue.pop(0)
        if isinstance(transform, (list, tuple)):
            queue = [*transform, *queue]
        elif transform is not None and not isinstance(transform, (str, type)):
            if hasattr(transform, "mean") and hasattr(transform, "std") and not callable(transform.mean):
                own = _of_object(transform)
                return {
                    "mean": own["mean"],
                    "std": own["std"],
                }, f"the data set's transform ({type(transform).__name__})"
            queue = [getattr(transform, "transforms", None), getattr(transform, "transform", None), *queue]
    return None


def _of_object(transform: Any) -> dict[str, Any]:
    mean, std = (np.asarray(getattr(transform, key), dtype=np.float64).reshape(-1).tolist() for key in ("mean", "std"))
    side = getattr(transform, "crop_size", None)
    sides = None if side is None else (list(side) * 2)[:2] if isinstance(side, (list, tuple)) else [side, side]
    return {"mean": mean, "std": std, "size": sides}


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
