"""Synthetic images on disk, with the task that they belong to."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from imblens.base.files import write_atomic
from imblens.synthesis._base import Synthetic, Task


def fingerprint(name: str, task: Task) -> str:
    """Return a hash of everything that decides the synthetic images."""
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


def write_synthetic(path: Path, key: str, synthetic: Synthetic, seconds: float) -> None:
    """Write images, labels, facts and notes, atomically.

    Raises:
        StorageError: it cannot be written.
    """
    about: Mapping[str, Any] = {
        "key": key,
        "seconds": seconds,
        "facts": dict(synthetic.facts),
        "notes": list(synthetic.notes),
    }
    text = np.array(json.dumps(about))
    write_atomic(path, lambda file: np.savez(file, images=synthetic.pixels, labels=synthetic.labels, about=text))


def read_synthetic(path: Path, key: str) -> tuple[Synthetic, float] | None:
    """Return the images of the same task and the seconds that generating them took; None where there are none."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            about = json.loads(str(archive["about"]))
            if about["key"] != key:
                return None
            synthetic = Synthetic(archive["images"], archive["labels"], about["facts"], tuple(about["notes"]))
            return synthetic, about["seconds"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # missing or damaged: generated again
        return None
