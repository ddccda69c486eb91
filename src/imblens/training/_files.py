"""Checkpoints that hold nothing but tensors and plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imblens.errors import InputError, MissingError

LAST = Path("checkpoints") / "last.ckpt"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU; no code in it is run.

    Raises:
        MissingError: it is not there.
        InputError: it is damaged or not ours.
    """
    import torch

    if not path.is_file():
        raise MissingError(f"--resume: there is no {path}.", hint="Leave out --resume to start a training.")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # reading damaged files may raise anything
        raise InputError(
            f"--resume: {path} cannot be read: {(str(error) or type(error).__name__).splitlines()[0]}",
            hint="Delete it, and leave out --resume to start anew.",
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("imblens"), dict):
        raise InputError(f"--resume: {path} was not written by imblens.", hint="Leave out --resume to start anew.")
    return found
