"""Thumbnails in a page: all of them as tiles of one sheet, which a page shows without a script."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from imblens.run import Run, Split

Key = tuple[str, str]  # split, id
SHEET_BYTES = 3_000_000
COLUMNS = 64
SMALL, LARGE = 32, 64  # pixels of a tile's side: multiples of 16, so that no colour runs into the next tile
GROUND = (221, 221, 221)
QUALITY = 75


@dataclass(frozen=True)
class Sheet:
    """Tiles of equal size, row by row.

    Attributes:
        places: (split, id) -> number of its tile.
        jpeg: the image of all tiles.
        left_out: images that were asked for, exist, and did not fit.
    """

    places: Mapping[Key, int] = field(default_factory=dict)
    jpeg: bytes = b""
    left_out: int = 0

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-len(self.places) // COLUMNS)

    def style(self) -> Markup:
        """CSS that puts the sheet behind every element of the class `pic`; nothing where there is no image."""
        if not self.places:
            return Markup("")
        address = base64.b64encode(self.jpeg).decode("ascii")
        size = f"{100 * COLUMNS}% {100 * self.rows}%"
        return Markup(f".pic{{background-image:url(data:image/jpeg;base64,{address});background-size:{size}}}")

    def at(self, split: str, name: str) -> str | None:
        """CSS position of an image in the sheet, or None."""
        place = self.places.get((split, name))
        if place is None:
            return None
        x, y = place % COLUMNS, place // COLUMNS
        return f"{100 * x / (COLUMNS - 1):.4f}% {100 * y / max(1, self.rows - 1):.4f}%"

    def data(self) -> dict[str, Any]:
        """What a script needs to show an image by split and id."""
        found: dict[str, dict[str, int]] = {}
        for (split, name), place in self.places.items():
            found.setdefault(split, {})[name] = place
        return {"columns": COLUMNS, "rows": self.rows, "at": found}


def sheet(run: Run, wanted: Iterable[Key], limit: int = SHEET_BYTES) -> Sheet:
    """Thumbnails on one sheet of at most `limit` bytes; what is asked for first stays. Only small PNG files are read."""
    order = dict.fromkeys(key for key in wanted if key[0] in run.splits)
    files = stored(run, order)
    keys = [key for key in order if key in files]
    if not keys:
        return Sheet()
    side = SMALL if all(max(size_of(files[key])) <= SMALL for key in keys[:256]) else LARGE
    kept = len(keys)
    while True:
        jpeg = _drawn([files[key] for key in keys[:kept]], side)
        if len(jpeg) <= limit or kept == 1:
            places = {key: place for place, key in enumerate(keys[:kept])}
            return Sheet(places, jpeg, len(keys) - kept)
        kept = max(1, int(0.97 * kept * limit / len(jpeg)))


def stored(run: Run, wanted: Iterable[Key]) -> dict[Key, bytes]:
    """Stored thumbnails by split and id; only small PNG files are read."""
    by_split: dict[str, set[str]] = {}
    for split, name in wanted:
        if split in run.splits:
            by_split.setdefault(split, set()).add(name)
    return {
        (split, name): png
        for split, names in by_split.items()
        for name, png in thumbnails(run.splits[split], names).items()
    }


def _drawn(files: list[bytes], side: int) -> bytes:
    from PIL import Image

    drawn = Image.new("RGB", (COLUMNS * side, -(-len(files) // COLUMNS) * side), GROUND)
    for place, png in enumerate(files):
        x, y = place % COLUMNS * side, place // COLUMNS * side
        try:
            tile = Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGB")
        except (OSError, SyntaxError, ValueError):  # a damaged file: its tile stays empty
            continue
        if max(tile.size) != side:
            scale = side / max(tile.size)
            size = (max(1, round(tile.width * scale)), max(1, round(tile.height * scale)))
            tile = tile.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR)
        drawn.paste(tile, (x + (side - tile.width) // 2, y + (side - tile.height) // 2))
    out = io.BytesIO()
    drawn.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def thumbnails(split: Split, wanted: set[str]) -> dict[str, bytes]:
    """Thumbnails by id; those that are not small PNG are left out."""
    found: dict[str, bytes] = {}
    if "thumbnail" not in split.columns:
        return found
    start = 0
    for part in split.parts:
        names = split.ids[start : start + len(part)]
        rows = [i for i, name in enumerate(names) if name in wanted]
        start += len(part)
        if rows:
            pngs = part.cells("thumbnail", rows)
            found |= {str(names[i]): bytes(png) for i, png in zip(rows, pngs, strict=True) if _is_small_png(png)}
    return found


def _is_small_png(png: Any) -> bool:
    if not isinstance(png, (bytes, bytearray)) or not png.startswith(b"\x89PNG\r\n\x1a\n") or len(png) > 2**17:
        return False
    width, height = size_of(bytes(png))
    return 0 < width <= 1024 and 0 < height <= 1024


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height that a PNG file states."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
