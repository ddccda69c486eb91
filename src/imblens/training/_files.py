"""What a training leaves in its folder, and reading it back for a resumed training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from imblens.errors import ExistsError, InputError, MissingError

LAST = Path("checkpoints") / "last.ckpt"
MODEL = "model.safetensors"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of tensors and plain values to the CPU; no code in it is run.

    Raises:
        MissingError: it is not there.
        InputError: it is damaged, or another program wrote it.
    """
    if not path.is_file():
        raise MissingError(f"--resume: there is no {path}.", hint="Leave out --resume to start a training.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # reading damaged files may raise anything
        raise InputError(
            f"--resume: {path} cannot be read: {(str(error) or type(error).__name__).splitlines()[0]}",
            hint="Delete it, and leave out --resume to start from the beginning.",
        ) from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("imblens"), dict):
        raise InputError(
            f"--resume: {path} was not written by imblens.", hint="Leave out --resume to start from the beginning."
        )
    return checkpoint


def stored_precision(folder: Path, record: Mapping[str, Any]) -> str:
    """Check that the checkpoint in `folder` belongs to the training that `record` describes; return its precision.

    Raises:
        InputError: it belongs to another training; the message names the first difference.
    """
    stored = read_checkpoint(folder / LAST)["imblens"]
    for key, value in record.items():
        if stored.get(key) == value:
            continue
        if key in ("images", "classes", "class_counts"):
            difference = f"used other {key.replace('_', ' ')}"
        else:
            difference = f"had {key} {stored.get(key)!r}, and {value!r} is requested"
        again = f" (--augment {stored.get(key)})" if key == "augment" else ""
        raise InputError(
            f"--resume: the training in {folder} {difference}.",
            hint=f"Repeat the data and options it was started with{again}; or leave out --resume and choose another --out.",
        )
    return str(stored["precision"])


def refuse_old(folder: Path) -> None:
    """Refuse a folder that holds a training.

    Raises:
        ExistsError: it does.
    """
    if any((folder / name).exists() for name in (LAST, MODEL)):
        raise ExistsError(f"{folder} holds a training.", hint="Add --resume, or --force, or choose another --out.")


def remove_old(folder: Path) -> None:
    """Delete the checkpoint and the network of an earlier training."""
    for name in (LAST, MODEL):
        (folder / name).unlink(missing_ok=True)
