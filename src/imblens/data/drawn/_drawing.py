"""Drawing many small images at once: every shape is a signed distance, anti-aliased where it crosses zero.

Distances are in units of the object's radius, negative inside, (n, H, W); exact near edges is enough, since only the
pixels on the edge show it. `stretch` is width over height where a shape has one to vary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 throughout; NumPy's stubs lose that in places
Shape = Callable[[Floats, Floats, Floats], Floats]  # x, y (n, H, W) and stretch (n, 1, 1) -> distance


def ring(x: Floats, y: Floats, stretch: Floats) -> Floats:
    """A circle line."""
    return np.abs(np.hypot(x, y) - 0.7) - 0.24


def square(x: Floats, y: Floats, stretch: Floats) -> Floats:
    """A filled square."""
    return _box(x, y, 0.75, 0.75)


def ellipse(x: Floats, y: Floats, stretch: Floats) -> Floats:
    """A filled ellipse; its area does not depend on the stretch."""
    a, b = 0.75 * np.sqrt(stretch), 0.75 / np.sqrt(stretch)
    level = np.hypot(x / a, y / b)
    slope = np.hypot(x / a**2, y / b**2) + 1e-6
    return level * (level - 1) / slope


def cross(x: Floats, y: Floats, stretch: Floats) -> Floats:
    """A plus sign."""
    return np.minimum(_box(x, y, 0.26, 0.9), _box(x, y, 0.9, 0.26))


def arrow(x: Floats, y: Floats, stretch: Floats) -> Floats:
    """A shaft with a head at the top (y points down)."""
    head = _convex(x, y, [(0, 1, 0.0), (0.8, -0.6, 0.56), (-0.8, -0.6, 0.56)])
    return np.minimum(_box(x, y - 0.4, 0.2, 0.5), head)


def two_dots(x: Floats, y: Floats, stretch: Floats) -> Floats:
    """Two filled circles side by side."""
    return np.hypot(np.abs(x) - 0.52, y) - 0.36


def two_bars(x: Floats, y: Floats, stretch: Floats) -> Floats:
    """An equals sign."""
    return _box(x, np.abs(y) - 0.42, 0.8, 0.2)


def kite(x: Floats, y: Floats, stretch: Floats) -> Floats:
    """A pointed quadrilateral, longer below."""
    wide = np.abs(x)
    return np.maximum(0.64 * wide - 0.77 * y - 0.42, 0.89 * wide + 0.45 * y - 0.48)


def crescent(x: Floats, y: Floats, stretch: Floats) -> Floats:
    """A moon: a circle with a bite."""
    return np.maximum(np.hypot(x, y) - 0.85, 0.68 - np.hypot(x - 0.42, y))


def hourglass(x: Floats, y: Floats, stretch: Floats) -> Floats:
    """Two triangles, tip to tip."""
    return np.maximum(np.abs(y) - 0.85, 0.74 * np.abs(x) - 0.67 * np.abs(y) - 0.05)


@dataclass(frozen=True)
class Layout:
    """Where and how objects lie, one entry per image; lengths in pixels, angles in radians."""

    centre_x: Floats
    centre_y: Floats
    radius: Floats
    angle: Floats
    stretch: Floats

    def __getitem__(self, chosen: NDArray[np.int64]) -> Layout:
        return Layout(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def coverage(shape: Shape, layout: Layout, size: int) -> Floats:
    """Return (n, H, W) how much of each pixel the object covers, 0 to 1."""
    middle = np.arange(size, dtype=np.float32) + 0.5
    x = middle[None, None, :] - layout.centre_x[:, None, None]
    y = middle[None, :, None] - layout.centre_y[:, None, None]
    radius = layout.radius[:, None, None]
    cosine, sine = np.cos(layout.angle)[:, None, None], np.sin(layout.angle)[:, None, None]
    distance = shape((cosine * x + sine * y) / radius, (cosine * y - sine * x) / radius, layout.stretch[:, None, None])
    return np.clip(0.5 - distance * radius, 0, 1).astype(np.float32)


def hsv_to_rgb(hue: Floats, saturation: Floats, value: Floats) -> Floats:
    """Return (n, 3) colours from 0 to 255; hue, saturation and value from 0 to 1."""
    k = (np.array([5, 3, 1], dtype=np.float32) + hue[:, None] * 6) % 6
    share = np.clip(np.minimum(k, 4 - k), 0, 1)
    return (255 * value[:, None] * (1 - saturation[:, None] * share)).astype(np.float32)


def bounding_boxes(covered: Floats) -> NDArray[np.float32]:
    """Return (n, 4) x0, y0, x1, y1 of the pixels that are covered by half or more; x1 and y1 exclusive."""
    inside = np.asarray(covered >= 0.5)
    corners = []
    for axis in (1, 2):  # columns, then rows
        seen = np.asarray(inside.any(axis=axis))  # (n, size)
        corners += [seen.argmax(axis=1), seen.shape[1] - seen[:, ::-1].argmax(axis=1)]
    return np.stack([corners[0], corners[2], corners[1], corners[3]], axis=1).astype(np.float32)


def _box(x: Floats, y: Floats, half_width: float, half_height: float) -> Floats:
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def _convex(x: Floats, y: Floats, edges: list[tuple[float, float, float]]) -> Floats:
    """Return the largest of a * x + b * y - c over edges (a, b, c)."""
    a, b, c = edges[0]
    inside = a * x + b * y - c
    for a, b, c in edges[1:]:
        inside = np.maximum(inside, a * x + b * y - c)
    return inside
