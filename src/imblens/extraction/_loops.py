"""The loops that are compiled: counting activations into bins, and regions of thresholded maps. Imports Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

MANTISSA_BITS = 10  # of a bin's width: values in a bin differ by at most 1 / 1024
LOWEST = -30  # values below 2^-30 in size count as 0
OCTAVES = 64  # values from 2^34 on count in the last bin
BINS = OCTAVES << MANTISSA_BITS
_BASE = (127 + LOWEST) << MANTISSA_BITS  # the bits of 2^LOWEST, shifted
_SHIFT = 23 - MANTISSA_BITS


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first use; the result is cached beside the source or in the user's cache folder, if either can be written."""
    try:
        compiled_function: Callable[..., Any] = njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder for the cache can be written
        compiled_function = njit(nogil=True)(function)
    return compiled_function


@compiled
def count_bits(bits: Any, counts: Any, zeros: Any) -> None:
    """Add values to the bins of their channel.

    Args:
        bits: (n, C, P) uint32, the bits of float32 values.
        counts: (C, 2, BINS) uint32, of positive and of negative values by size; added to.
        zeros: (C,) int64, of values that are 0 or nearly; added to.
    """
    for i in range(bits.shape[0]):
        for c in range(bits.shape[1]):
            for p in range(bits.shape[2]):
                b = bits[i, c, p]
                place = np.int64((b & np.uint32(0x7FFFFFFF)) >> np.uint32(_SHIFT)) - _BASE
                if place < 0:
                    zeros[c] += 1
                else:
                    counts[c, np.int64(b >> np.uint32(31)), min(place, BINS - 1)] += np.uint32(1)


@compiled
def place_from_top(counts: Any, zeros: Any, rank: Any) -> Any:
    """Return the bin of the value of that rank, 0 the largest, for one channel.

    Args:
        counts: (2, BINS); zeros: their number; rank: below the number of values.

    Returns:
        k + 1 for bin k of the positive values, -(k + 1) for bin k of the negative ones, 0 for zero.
    """
    left = np.int64(rank)
    for k in range(BINS - 1, -1, -1):
        left -= np.int64(counts[0, k])
        if left < 0:
            return k + 1
    left -= zeros
    if left < 0:
        return 0
    for k in range(BINS):
        left -= np.int64(counts[1, k])
        if left < 0:
            return -(k + 1)
    return -BINS


@compiled
def _root(parent: Any, i: Any) -> Any:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled
def count_regions(
    maps: Any, thresholds: Any, boxes: Any, slots: Any, starts: Any, size: Any, disjoint: Any, unique: Any
) -> None:
    """Count connected regions of upsampled, thresholded maps that overlap boxes, without making the upsampled maps.

    Every output row is a blend of two rows of a map. Between two of its positions it is linear, so it crosses the
    threshold at most once there: a row becomes a few runs, and runs of neighbouring rows that share a column are united.

    Args:
        maps: (n, C, h, w) float32.
        thresholds: (C,) float64; infinite where nothing counts.
        boxes: (m, 4) int64 x0, y0, x1, y1 in pixels of the output, x1 and y1 exclusive.
        slots: (m,) int64, 0 to 62: in which column of its image a box counts.
        starts: (n + 1,) int64: boxes starts[i] to starts[i + 1] are those of image i.
        size: (H, W) of the output.
        disjoint: (n, 63) int64: regions that overlap a box, summed over channels; added to.
        unique: (n, 63) int64: channels with at least one; added to.
    """
    n, channels, h, w = maps.shape
    height, width = size
    above, below, share = _grid(height, h)
    left, _, across = _grid(width, w)
    edge = np.zeros(w + 1, np.int64)  # pixels edge[j] to edge[j + 1] lie between positions j and j + 1
    for x in range(width):
        edge[left[x] + 1] = x + 1
    for j in range(w):
        edge[j + 1] = max(edge[j + 1], edge[j])
    most = w // 2 + 2
    runs = np.empty((2, most, 3), np.int64)  # of the last row and of this: first pixel, end, region
    parent, seen = np.empty(height * most, np.int64), np.empty(height * most, np.int64)
    blend, high = np.empty(w, np.float64), np.empty(h, np.float64)
    for i in range(n):
        if starts[i] == starts[i + 1]:
            continue
        for c in range(channels):
            t = thresholds[c]
            best = -np.inf
            for y in range(h):
                high[y] = maps[i, c, y].max()
                best = max(best, high[y])
            if not best >= t:
                continue
            regions, before, now = 0, 0, 0
            for y in range(height):
                last, this = runs[(y + 1) % 2], runs[y % 2]
                before, now = now, 0
                upper, lower, part = above[y], below[y], share[y]
                if not max(high[upper], high[lower]) >= t:
                    continue
                for j in range(w):
                    blend[j] = (1 - part) * maps[i, c, upper, j] + part * maps[i, c, lower, j]
                for j in range(w):
                    first, end = edge[j], edge[j + 1]
                    if first == end:
                        continue
                    a, b = blend[j], blend[min(j + 1, w - 1)]
                    if a < t and b < t:
                        continue
                    if a < t or b < t:  # one crossing: halve until found
                        low, top = first, end
                        while low < top:
                            middle = (low + top) // 2
                            if ((1 - across[middle]) * a + across[middle] * b >= t) == (a >= t):
                                low = middle + 1
                            else:
                                top = middle
                        if a >= t:
                            end = low
                        else:
                            first = low
                        if first == end:
                            continue
                    if now and this[now - 1, 1] == first:
                        this[now - 1, 1] = end
                    else:
                        this[now, 0], this[now, 1] = first, end
                        now += 1
                k = 0
                for r in range(now):
                    mine = -1
                    while k < before and last[k, 1] <= this[r, 0]:
                        k += 1
                    other = k
                    while other < before and last[other, 0] < this[r, 1]:
                        root = _root(parent, last[other, 2])
                        if mine < 0:
                            mine = root
                        elif root != mine:
                            parent[root] = mine
                            seen[mine] |= seen[root]
                        other += 1
                    if mine < 0:
                        mine = regions
                        parent[mine], seen[mine] = mine, 0
                        regions += 1
                    this[r, 2] = mine
                    for k_box in range(starts[i], starts[i + 1]):
                        inside_rows = boxes[k_box, 1] <= y and y < boxes[k_box, 3]
                        if inside_rows and this[r, 0] < boxes[k_box, 2] and boxes[k_box, 0] < this[r, 1]:
                            seen[mine] |= np.int64(1) << slots[k_box]
            any_of = np.int64(0)
            for region in range(regions):
                if parent[region] == region:
                    any_of |= seen[region]
                    for k_box in range(starts[i], starts[i + 1]):
                        bit = np.int64(1) << slots[k_box]
                        if seen[region] & bit:
                            disjoint[i, slots[k_box]] += 1
                            seen[region] &= ~bit  # a class with several boxes counts a region once
            for k_box in range(starts[i], starts[i + 1]):
                bit = np.int64(1) << slots[k_box]
                if any_of & bit:
                    unique[i, slots[k_box]] += 1
                    any_of &= ~bit


@compiled
def _grid(n_out: Any, n_in: Any) -> Any:
    """Bilinear upsampling with centres aligned: the two neighbours of each output position, and the second's share."""
    first, second, share = np.empty(n_out, np.int64), np.empty(n_out, np.int64), np.empty(n_out, np.float64)
    for i in range(n_out):
        at = max((i + 0.5) * n_in / n_out - 0.5, 0.0)
        first[i] = min(int(at), n_in - 1)
        second[i] = min(first[i] + 1, n_in - 1)
        share[i] = at - first[i]
    return first, second, share
