"""Images of a run at their native size, read again from the data set that it was captured from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from imblens.data import ImageSplit, built_in_sets, load_images
from imblens.errors import ImblensError
from imblens.run import Run

Find = Callable[[str, str], Any]


def native_images(run: Run) -> tuple[Find | None, str]:
    """Return a function (split, id) to the image, uint8 (H, W, 3), and a sentence on what it reads.

    The function is None where run.json names no data set, or one that is no longer there; it returns None for an instance
    that the data set does not have.
    """
    data = run.meta.get("data")
    path = data.get("path") if isinstance(data, dict) else None
    if not path:
        return None, "The run does not name its data set, so the gallery shows the stored thumbnails."
    if path not in built_in_sets() and not Path(path).exists():
        return None, f"{path} is not there, so the gallery shows the stored thumbnails."
    seed = data.get("seed", run.meta.get("seed", 0)) if isinstance(data, dict) else 0
    try:
        images = load_images(path if path in built_in_sets() else Path(path), seed=int(seed or 0))
    except ImblensError as error:
        return None, f"{path} cannot be read again, so the gallery shows the stored thumbnails: {error.message}"
    places: dict[str, tuple[ImageSplit, int]] = {}
    by_split: dict[str, dict[str, tuple[ImageSplit, int]]] = {}
    for name, split in images.splits.items():
        by_split[name] = {str(one): (split, i) for i, one in enumerate(split.ids)}
        places |= by_split[name]

    def find(split: str, name: str) -> Any:
        found = by_split.get(split, {}).get(name) or places.get(name)
        return None if found is None else found[0].image(found[1])

    return find, f"The gallery shows images of {path} at their native size."
