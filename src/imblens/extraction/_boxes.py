"""Boxes of one batch: which image has which class, and which pixels lie inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]  # (n, 5): class, x0, y0, x1, y1 in pixels, x1 and y1 exclusive
Ranges = NDArray[np.int64]  # (n, 4): x0, y0, x1, y1 in whole pixels, x1 and y1 exclusive


@dataclass(frozen=True)
class Boxed:
    """One image of a batch with the boxes of one class.

    Attributes:
        row: of the batch.
        place: position among the classes that have boxes in this image.
        label: the class.
        edges: (n, 4) x0, y0, x1, y1 of its boxes in pixels, not rounded.
        ranges: (n, 4) the pixels whose centres lie inside, at least one in each direction.
    """

    row: int
    place: int
    label: int
    edges: NDArray[np.float64]
    ranges: Ranges


def boxed(boxes: Sequence[Boxes] | None, n_classes: int, size: tuple[int, int]) -> list[Boxed]:
    """Pair every image with the classes that it has boxes of, by row and class.

    Boxes of other classes than 0 to C - 1, and boxes that lie outside of the image or have no area, are left out.

    Args:
        boxes: for each image of a batch.
        n_classes: C.
        size: (H, W) of the images.

    Example:
        >>> found = boxed([np.array([[1, 2.4, 0, 4.5, 3]], np.float32)], 3, (6, 8))[0]
        >>> found.label, found.ranges.tolist()
        (1, [[2, 0, 4, 3]])
    """
    found = []
    for row, some in enumerate(boxes if boxes is not None else ()):
        inside = _inside(np.asarray(some, dtype=np.float64).reshape(-1, 5), n_classes, size)
        labels = inside[:, 0].astype(np.int64)
        for place, label in enumerate(np.unique(labels).tolist()):
            edges = inside[labels == label, 1:]
            found.append(Boxed(row, place, label, edges, pixel_ranges(edges, size)))
    return found


def pixel_ranges(edges: NDArray[np.float64], size: tuple[int, int]) -> Ranges:
    """Pixels whose centres lie inside boxes (n, 4) of x0, y0, x1, y1; the nearest pixel where there is none."""
    limits = np.array([size[1], size[0]])
    first = np.clip(np.ceil(edges[:, :2] - 0.5), 0, limits - 1)
    last = np.clip(np.ceil(edges[:, 2:] - 0.5), first + 1, limits)
    return np.column_stack([first, last]).astype(np.int64)


def mask_of(ranges: Ranges, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) whether a pixel lies in any of the boxes."""
    mask = np.zeros(size, dtype=bool)
    for x0, y0, x1, y1 in ranges:
        mask[y0:y1, x0:x1] = True
    return mask


def _inside(boxes: NDArray[np.float64], n_classes: int, size: tuple[int, int]) -> NDArray[np.float64]:
    height, width = size
    clipped = boxes.copy()
    clipped[:, 1:] = np.clip(boxes[:, 1:], 0, [width, height, width, height])
    known = (clipped[:, 0] >= 0) & (clipped[:, 0] < n_classes)
    return clipped[known & (clipped[:, 3] > clipped[:, 1]) & (clipped[:, 4] > clipped[:, 2])]
