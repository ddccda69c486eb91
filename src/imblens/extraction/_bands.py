"""Fourteen named colour bands: every sRGB colour belongs to the band whose reference is nearest in CIELAB.

The references are muted where photographs are (a lawn is not pure green), and chosen so that every neutral grey falls
into black, gray or white. This module is independent of networks and runs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

BANDS: dict[str, tuple[int, int, int]] = {
    "black": (0, 0, 0),
    "dark green": (25, 70, 30),
    "dark blue": (25, 35, 100),
    "gray": (119, 119, 119),
    "brown": (115, 75, 45),
    "orange": (235, 140, 45),
    "red": (205, 35, 40),
    "green": (60, 155, 65),
    "blue": (40, 95, 205),
    "yellow": (240, 220, 70),
    "light blue": (135, 190, 240),
    "light green": (165, 225, 150),
    "light red": (240, 145, 140),
    "white": (255, 255, 255),
}

_TO_XYZ = np.array(  # IEC 61966-2-1 primaries, white point D65
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_UNKNOWN = 255
_CHUNK = 2**18


def band_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the position in `BANDS` of each pixel's band; the first of equally near ones.

    Args:
        pixels: (..., 3) uint8 sRGB.

    Returns:
        (...) uint8.

    Example:
        >>> names = list(BANDS)
        >>> [names[i] for i in band_of(np.array([[30, 30, 30], [90, 160, 80], [140, 200, 235]], np.uint8))]
        ['black', 'green', 'light blue']
    """
    wide = pixels.astype(np.int32)
    codes = (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
    table = _table()
    found = table[codes]
    missing = np.unique(codes[found == _UNKNOWN])
    if missing.size:
        for start in range(0, len(missing), _CHUNK):
            some = missing[start : start + _CHUNK]
            table[some] = nearest_band(np.stack([some >> 16, (some >> 8) & 255, some & 255], axis=-1))
        found = table[codes]
    return found


def nearest_band(rgb: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the position in `BANDS` of the nearest reference of each (n, 3) colour, computed in float64."""
    references = cielab(np.array(list(BANDS.values())))  # (14, 3)
    # squared distance without its first term |lab|^2, which is the same for all references
    scores = cielab(rgb) @ (-2 * references.T) + (references**2).sum(axis=1)
    return scores.argmin(axis=1).astype(np.uint8)


def cielab(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """Convert (..., 3) sRGB in 0 to 255 to CIELAB under D65.

    References:
        IEC 61966-2-1 for sRGB; CIE 15 for L*, a*, b*.

    Example:
        >>> cielab(np.array([255, 0, 0])).round(1).tolist()
        [53.2, 80.1, 67.2]
    """
    share = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = linear @ (_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).T  # relative to white
    edge = 6 / 29
    f = np.where(xyz > edge**3, np.cbrt(xyz), xyz / (3 * edge**2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@cache
def _table() -> NDArray[np.uint8]:
    """256^3 bands by colour, 16 MiB, filled as colours occur: a data set has a small part of all 16.7 million."""
    return np.full(2**24, _UNKNOWN, dtype=np.uint8)
