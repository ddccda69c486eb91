"""Which of several training processes this one is, and whether there are as many devices."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from imblens.errors import InputError

RANK, WORLD = "LOCAL_RANK", "IMBLENS_DEVICES"  # of this process, how many there are


def refuse_missing(devices: int, *, batch: int, features: str = "") -> None:
    """Refuse more devices than there are, and what cannot be split over several.

    Args:
        devices: asked for.
        batch: images of the smallest batch.
        features: what reads the features of a whole batch; "" for nothing.

    Raises:
        InputError: states what was asked, what there is and what to do.
    """
    if devices == 1:
        return
    gpus = torch.cuda.device_count()
    known, what = (gpus, "GPU") if gpus else (os.cpu_count() or 1, "processor core")
    if devices > known:
        raise InputError(
            f"{devices} devices were asked for, and this machine has {known} {what}{'s' * (known > 1)}.",
            hint=f"Give --devices {known}, or leave it out." if known > 1 else "Leave out --devices.",
        )
    if batch < devices:
        raise InputError(
            f"batches of {batch} images cannot be split over {devices} devices.", hint="Raise --batch-size."
        )
    if features:
        raise InputError(
            f"{features} reads the features of a whole batch, which several devices split.",
            hint="Leave out --devices.",
        )


def rank() -> int:
    """Return the number of this process among those of the training, 0 where there is one."""
    return int(os.environ.get(RANK, 0)) if WORLD in os.environ else 0


def world() -> int:
    """Return how many processes train together."""
    return int(os.environ.get(WORLD, 1))


def read_json(path: Path) -> dict[str, Any]:
    """Return what one process left for another; {} where it left nothing."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
