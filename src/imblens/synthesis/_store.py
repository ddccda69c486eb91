"""Synthetic images on disk, with the task that they were made for."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from imblens.base.files import write_atomic
from imblens.synthesis._base import Made, Task


def fingerprint(name: str, task: Task) -> str:
    """Return a hash of all that decides which images are made."""
    words = [
        name,
        dict(task.options),
        task.seed,
        list(task.classes),
        list(task.pixels.shape),
        sorted(task.wanted.items()),
    ]
    digest = hashlib.sha256(json.dumps(words, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(task.labels).data)
    digest.update(np.ascontiguousarray(task.pixels).data)
    return digest.hexdigest()


def write_made(path: Path, key: str, made: Made, seconds: float) -> None:
    """Write images, labels and what goes with them, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    about: Mapping[str, Any] = {"key": key, "seconds": seconds, "facts": dict(made.facts), "notes": list(made.notes)}
    text = np.array(json.dumps(about))
    write_atomic(path, lambda file: np.savez(file, images=made.pixels, labels=made.labels, about=text))


def read_made(path: Path, key: str) -> tuple[Made, float] | None:
    """Return images that were made for the same task and the seconds it took; None where there are none."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            about = json.loads(str(archive["about"]))
            if about["key"] != key:
                return None
            made = Made(archive["images"], archive["labels"], about["facts"], tuple(about["notes"]))
            return made, about["seconds"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # not there, or damaged: made anew
        return None
