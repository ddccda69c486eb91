"""Files that are whole or not there; checkpoints that hold nothing but tensors and plain values."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from imblens.errors import InputError, MissingError, StorageError

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


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one.

    Raises:
        StorageError: it cannot be written; what was there is unchanged.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".imblens-tmp-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; nothing under that name was changed.",
            hint="Free some space, or choose another --out.",
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
