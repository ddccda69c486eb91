"""Bitmaps for pages, as small as their text stays sharp."""

from __future__ import annotations

import io
import math

BITMAP_BYTES, COLOURS = 60_000, 48


def small_bitmap(png: bytes) -> bytes:
    """A bitmap of fewer colours, and of fewer pixels until it fits: lossless, so that text and cells stay sharp."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    while True:
        out = io.BytesIO()
        few = image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
        few.putpalette([255 if value > 247 else value for value in few.getpalette() or []])  # white stays white
        few.convert("RGB").save(out, "WEBP", lossless=True, method=4)
        size = len(out.getbuffer())
        if size <= BITMAP_BYTES or image.width < 200:
            return out.getvalue()
        smaller = max(0.5, 0.95 * math.sqrt(BITMAP_BYTES / size))
        image = image.resize((int(image.width * smaller), int(image.height * smaller)), Image.Resampling.LANCZOS)
