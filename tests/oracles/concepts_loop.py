"""Concepts by making every upsampled map and labelling it with SciPy."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage


def exact_thresholds(maps, share):
    """Quantiles of (N, C, h, w) over everything but the channel; infinite where a channel never changes."""
    found = np.quantile(maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1).astype(np.float64), 1 - share, axis=1)
    flat = maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1)
    found[flat.min(axis=1) == flat.max(axis=1)] = np.inf
    return found


def count(maps, thresholds, boxes, size):
    """For each image {class: (disjoint, unique)}; boxes (n, 5) in whole pixels."""
    found = []
    wide = torch.nn.functional.interpolate(torch.from_numpy(maps).double(), size=size, mode="bilinear").numpy()
    for channels, own in zip(wide, boxes, strict=True):
        counts = {}
        for label in sorted({int(box[0]) for box in own}):
            mask = np.zeros(size, dtype=bool)
            for _, x0, y0, x1, y1 in [box for box in own if int(box[0]) == label]:
                mask[int(y0) : int(y1), int(x0) : int(x1)] = True
            per_channel = []
            for values, threshold in zip(channels, thresholds, strict=True):
                regions, _ = ndimage.label(values >= threshold)
                per_channel.append(len(set(regions[mask].tolist()) - {0}))
            counts[label] = (sum(per_channel), sum(n > 0 for n in per_channel))
        found.append(counts)
    return found
