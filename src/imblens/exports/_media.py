"""What annotation tools show of an instance: an image file, an address, the stored thumbnail, the start of a text."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from PIL import Image, UnidentifiedImageError

from imblens.base.files import write_bytes
from imblens.base.progress import tracked
from imblens.errors import MissingError
from imblens.run import Run

ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True)
class Media:
    """What is shown of E instances.

    Attributes:
        kind: "file", "address", "thumbnail", "text" or "id".
        names: (E,) path below the folder of images, with slashes; of a thumbnail the file to be written; else the id.
        shown: (E,) path of the file, address, PNG bytes, text, or None where an instance has none.
        root: the folder of the files.
    """

    kind: str
    names: list[str]
    shown: list[Any]
    root: Path | None = None

    @property
    def are_images(self) -> bool:
        """Whether instances are shown as images."""
        return self.kind in ("file", "address", "thumbnail")

    def size(self, at: int) -> tuple[int, int] | None:
        """Width and height of an image in pixels; None where they cannot be read."""
        source = self.shown[at]
        if self.kind not in ("file", "thumbnail") or source is None:
            return None
        try:
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                return image.size
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
            return None

    def write(self, folder: Path) -> None:
        """Write thumbnails as PNG files into `folder`; nothing for other kinds."""
        if self.kind != "thumbnail":
            return
        for name, png in tracked(list(zip(self.names, self.shown, strict=True)), "writing images"):
            if png is not None:
                write_bytes(folder / name, png)


def media(run: Run, table: pd.DataFrame, images: str | Path | None) -> Media:
    """Find what is shown of the instances in `table`.

    Args:
        run: its previews are used where `images` is None.
        table: with columns id, split, row.
        images: folder or address below which the ids of the instances are names of image files.

    Raises:
        MissingError: no such folder, or no such file in it.
    """
    ids = [str(name) for name in table["id"]]
    if images is not None:
        return _at(ids, images)
    kind = run.train.preview_kind
    if kind == "image":
        names = [f"{split}-{row:06d}.png" for split, row in zip(table["split"], table["row"], strict=True)]
        return Media("thumbnail", names, _column(run, table, "thumbnail"))
    if kind == "text":
        return Media("text", ids, _column(run, table, "preview"))
    return Media("id", ids, ids)


def _at(ids: list[str], images: str | Path) -> Media:
    if isinstance(images, str) and ADDRESS.match(images):
        return Media("address", ids, [f"{images.rstrip('/')}/{quote(name.lstrip('/'))}" for name in ids])
    root = Path(images)
    if not root.is_dir():
        raise MissingError(
            f"--images {images}: there is no such folder.",
            hint="Give the folder below which the ids of the run are names of files.",
        )
    files = [root / name for name in ids]
    there = [file.is_file() for file in tracked(files, "looking for images")]
    lacking = [name for name, found in zip(ids, there, strict=True) if not found]
    if lacking:
        raise MissingError(
            f"--images {images}: {len(lacking):,} of {len(ids):,} ids name no file there; the first is {lacking[0]!r}.",
            hint="Give the folder that was captured, or leave --images out: stored thumbnails are exported then.",
        )
    return Media("file", [Path(name).as_posix() for name in ids], [file.resolve() for file in files], root.resolve())


def _column(run: Run, table: pd.DataFrame, column: str) -> list[Any]:
    """Values of a per-instance column; None where there is none."""
    found: list[Any] = [None] * len(table)
    for split, rows in table.groupby("split", sort=False)["row"]:
        if column in run.splits[str(split)].columns:
            values = run.splits[str(split)].instances([column])[column].to_numpy(dtype=object)
            for at, row in rows.items():
                value = values[row]
                found[int(at)] = value if isinstance(value, (str, bytes)) and value else None
    return found
