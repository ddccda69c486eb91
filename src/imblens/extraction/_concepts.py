"""Regions of strong activation in boxes, counted per channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from imblens.errors import NotApplicable
from imblens.extraction._boxes import Boxed, boxed
from imblens.extraction._histogram import ChannelHistogram
from imblens.extraction._probes import Probe, ProbeBatch

SLOTS = 63  # classes of one image that are counted together


class Concepts(Probe):
    """Counts connected regions of strong activation that overlap a box, per image and class.

    A channel's threshold is the value that a share q of its activations reach over the whole training split; it is
    found while that split is read, so that the other split needs one pass as well, and nothing is chosen on it. On
    that split, each channel's map is resized to the image (bilinear), thresholded, and cut into regions whose pixels
    touch by their sides.

    Columns (C,), NaN for classes without a box in the image: `concept_disjoint`, the regions that overlap a box of
    the class by at least one pixel, summed over channels; `concept_unique`, the channels with at least one.

    References:
        LOOKING, section 4 and Table 2; Bau et al. 2017, Network dissection. In LOOKING's released code thresholds are
        those of a batch, holes count as regions, and a channel that is inactive everywhere counts as one region.
    """

    name: ClassVar[str] = "concepts"

    def __init__(self, layer: str, n_classes: int, split: str, share: float, *, rectified: bool = False) -> None:
        """Count on `split` at the maps that `layer` gives, with thresholds from the training split.

        `rectified`: the network rectifies them before it pools; so are they here.
        """
        self.layers = (layer,)
        self._rectified = rectified
        self._n_classes, self._split, self._share = n_classes, split, share
        self._histogram: ChannelHistogram | None = None
        self._thresholds: NDArray[np.float64] | None = None
        self._begun = ""

    def begin(self, split: str) -> bool:
        """Return whether `split` is read; thresholds are set when the split on which regions are counted begins."""
        self._begun = split
        if split == self._split and self._histogram is not None:
            self._thresholds = self._histogram.thresholds(self._share)
        return split in ("train", self._split)

    def update(self, batch: ProbeBatch) -> dict[str, NDArray[Any]]:
        """Return no columns on the training split, the counts on the other.

        Raises:
            NotApplicable: the layer gives no maps.
        """
        maps = batch.maps[self.layers[0]]
        if maps.ndim != 4 or len(maps) != len(batch.labels):
            raise NotApplicable(f"the layer gives shape {tuple(maps.shape)}, not maps (b, channels, h, w).")
        if not self._begun:
            return {}
        if self._rectified:
            maps = maps.relu()
        if self._begun == "train":
            if self._histogram is None:
                self._histogram = ChannelHistogram(maps.shape[1])
            self._histogram.update(_numbers(maps))
            return {}
        found = {
            name: np.full((len(maps), self._n_classes), np.nan, dtype=np.float32)
            for name in ("concept_disjoint", "concept_unique")
        }
        if batch.pixels is None or self._thresholds is None:
            return found
        size = (batch.pixels.shape[1], batch.pixels.shape[2])
        pairs = boxed(batch.boxes, self._n_classes, size)
        rows, labels = [pair.row for pair in pairs], [pair.label for pair in pairs]
        for values, counts in zip(
            found.values(), concepts_in_boxes(_numbers(maps), self._thresholds, pairs, size), strict=True
        ):
            values[rows, labels] = counts
        return found

    def describe(self) -> dict[str, Any]:
        """Return where the maps come from, the share q, and how many channels took part."""
        found: dict[str, Any] = {"layer": self.layers[0], "rectified": self._rectified}
        found |= {"split": self._split, "share": self._share}
        if self._histogram is not None:
            dead = self._histogram.dead
            found |= {"channels": len(dead), "dead_channels": int(dead.sum()), "values": self._histogram.n_values}
        return found


def concepts_in_boxes(
    maps: NDArray[np.float32], thresholds: NDArray[np.float64], pairs: Sequence[Boxed], size: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count, for each pair of image and class, the regions that overlap its boxes, and the channels that have one.

    Args:
        maps: (b, C, h, w) float32.
        thresholds: (C,) what an activation must reach; infinite where nothing counts.
        pairs: from `boxed`, by row.
        size: (H, W) of the images.

    Returns:
        disjoint (pairs,) and unique (pairs,).
    """
    disjoint, unique = np.zeros(len(pairs), dtype=np.int64), np.zeros(len(pairs), dtype=np.int64)
    for low in range(0, max((pair.place for pair in pairs), default=-1) + 1, SLOTS):
        chosen = [i for i, pair in enumerate(pairs) if low <= pair.place < low + SLOTS]
        found = _count([pairs[i] for i in chosen], maps, thresholds, low, size)
        rows, places = [pairs[i].row for i in chosen], [pairs[i].place - low for i in chosen]
        disjoint[chosen], unique[chosen] = (counts[rows, places] for counts in found)
    return disjoint, unique


def _count(
    pairs: Sequence[Boxed], maps: NDArray[np.float32], thresholds: NDArray[np.float64], low: int, size: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    from imblens.extraction._loops import count_regions

    boxes = np.concatenate([pair.ranges for pair in pairs])
    per_pair = [len(pair.ranges) for pair in pairs]
    slots = np.repeat([pair.place - low for pair in pairs], per_pair)
    rows = np.repeat([pair.row for pair in pairs], per_pair)
    starts = np.searchsorted(rows, np.arange(len(maps) + 1))
    disjoint, unique = (np.zeros((len(maps), SLOTS), dtype=np.int64) for _ in range(2))
    count_regions(maps, thresholds, boxes, slots, starts, size, disjoint, unique)
    return disjoint, unique


def _numbers(maps: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = maps.detach().float().cpu().contiguous().numpy()
    return array
