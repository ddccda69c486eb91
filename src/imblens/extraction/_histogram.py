"""Quantiles of every channel over a whole data set, without keeping its values: a histogram over the bits of floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class ChannelHistogram:
    """Counts of float32 values per channel, in bins of ten mantissa bits: `update`, `thresholds`.

    A bin's values differ by less than 1 / 1024 of their size, so its middle is within 1 / 2048 (4.9e-4) of each.
    Values below 2^-30 in size count as 0, those from 2^34 on share a bin. Counts are whole numbers: any order of
    batches gives the same result. Memory is 512 KiB of address space a channel, of which only
    the 4 KiB of each octave that occurs are ever touched. A bin holds up to 4.29e9 values.

    Example:
        >>> values = np.arange(1, 1001, dtype=np.float32).reshape(10, 1, 10, 10)
        >>> histogram = ChannelHistogram(1)
        >>> histogram.update(values)
        >>> bool(abs(histogram.thresholds(0.25)[0] / np.quantile(values, 0.75) - 1) < 5e-4)
        True
    """

    def __init__(self, n_channels: int) -> None:
        from imblens.extraction._loops import BINS

        self._counts = np.zeros((n_channels, 2, BINS), dtype=np.uint32)
        self._zeros = np.zeros(n_channels, dtype=np.int64)
        self._low, self._high = np.full(n_channels, np.inf), np.full(n_channels, -np.inf)
        self.n_values = 0

    def update(self, maps: NDArray[np.float32]) -> None:
        """Count the values of maps (n, C, h, w)."""
        from imblens.extraction._loops import count_bits

        values = np.ascontiguousarray(maps, dtype=np.float32)
        if not values.size:
            return
        flat = values.reshape(len(values), values.shape[1], -1)
        count_bits(flat.view(np.uint32), self._counts, self._zeros)
        np.minimum(self._low, flat.min(axis=(0, 2)), out=self._low)
        np.maximum(self._high, flat.max(axis=(0, 2)), out=self._high)
        self.n_values += flat.shape[0] * flat.shape[2]

    @property
    def dead(self) -> NDArray[np.bool_]:
        """(C,) whether a channel had the same value everywhere."""
        return ~(self._high > self._low)

    def thresholds(self, share: float) -> Floats:
        """Return (C,) the value t of each channel with P(value >= t) = share, within 5e-4 of its size.

        Interpolated between the two nearest values, as `np.quantile(values, 1 - share)`. Two exceptions, so that
        an inactive channel never counts as active: a dead channel has an infinite threshold; and where the quantile is the
        channel's smallest value (a rectified channel that is inactive nearly everywhere), the threshold is the next
        larger float, so that only what lies above counts.
        """
        from imblens.extraction._loops import place_from_top

        found = np.full(len(self._zeros), np.inf)
        at = (self.n_values - 1) * share
        rank = int(at)
        for c in np.flatnonzero(~self.dead).tolist():
            ends = [
                self._middle(c, place_from_top(self._counts[c], self._zeros[c], min(r, self.n_values - 1)))
                for r in (rank, rank + 1)
            ]
            quantile = ends[0] + (at - rank) * (ends[1] - ends[0])
            least = np.nextafter(np.float32(self._low[c]), np.float32(np.inf))
            found[c] = max(quantile, float(least))
        return found

    def _middle(self, channel: int, place: int) -> float:
        from imblens.extraction._loops import LOWEST, MANTISSA_BITS

        if not place:
            return float(np.clip(0.0, self._low[channel], self._high[channel]))
        octave, step = divmod(abs(place) - 1, 1 << MANTISSA_BITS)
        size = 2.0 ** (LOWEST + octave) * (1 + (step + 0.5) / (1 << MANTISSA_BITS))
        return float(np.clip(np.sign(place) * size, self._low[channel], self._high[channel]))
