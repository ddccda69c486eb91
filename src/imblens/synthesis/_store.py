"""Synthetic images on disk, with the task that they belong to, and a sheet of them beside real ones."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from imblens.base.files import write_atomic
from imblens.synthesis._base import Synthetic, Task

_REAL, _SYNTHETIC, _ROWS = 4, 10, 20
_GAP = 2  # pixels between images
_LEAST = 48  # images are enlarged to about this height


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


def sample_sheet(task: Task, synthetic: Synthetic, path: Path) -> None:
    """Write a PNG: a row for each class that grew: four real images, a white gap, ten synthetic images.

    Rows follow the order of the classes; of more than 20, the rarest 20 are shown. Images are the first of their class.

    Raises:
        StorageError: it cannot be written.
    """
    grown = sorted(sorted(task.wanted, key=lambda label: -task.wanted[label])[:_ROWS])
    if not grown:
        return
    zoom = max(1, -(-_LEAST // task.pixels.shape[1]))
    height, width = (side * zoom for side in task.pixels.shape[1:3])
    sheet = np.full(
        (len(grown) * (height + _GAP), (_REAL + _SYNTHETIC) * (width + _GAP) + 4 * _GAP, 3), 255, dtype=np.uint8
    )
    for row, label in enumerate(grown):
        real = task.pixels[np.flatnonzero(task.labels == label)[:_REAL]]
        new = synthetic.pixels[np.flatnonzero(synthetic.labels == label)[:_SYNTHETIC]]
        top = row * (height + _GAP)
        for start, images in ((0, real), (_REAL * (width + _GAP) + 4 * _GAP, new)):
            for column, image in enumerate(images):
                left = start + column * (width + _GAP)
                sheet[top : top + height, left : left + width] = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG")
    write_atomic(path, lambda file: file.write(buffer.getvalue()))
