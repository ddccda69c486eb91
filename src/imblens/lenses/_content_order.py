"""An order of instances that depends on their features alone, for folds and samples that no order of a file changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import place_in_group
from imblens.base.blocks import row_blocks


def canonical_order(features: NDArray[Any], labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows by class and content, which no order of the instances changes, and (N,) place of each in its class."""
    order = np.lexsort((content_keys(features, np.arange(len(labels))), labels))
    sizes = np.bincount(labels, minlength=1) if len(labels) else np.zeros(1, np.int64)
    rank = np.empty(len(labels), np.int64)
    rank[order] = place_in_group(sizes)
    return order, rank


def content_keys(features: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(S,) a number that depends on an instance's features alone, spread like a random one.

    The order of the features and a scale that is a power of two do not change it.
    """
    largest = max(float(np.abs(features[block]).max()) for block in row_blocks(*features.shape))
    exponent = -int(np.frexp(largest)[1])
    weights = np.random.default_rng(0).integers(1, 2**63, features.shape[1], dtype=np.uint64) | np.uint64(1)
    keys = np.empty(len(rows), np.uint64)
    for block in row_blocks(len(rows), features.shape[1]):
        scaled = np.sort(np.ldexp(np.asarray(features[rows[block]], dtype=np.float32), exponent), axis=1)
        bits = (scaled + np.float32(0)).view(np.uint32).astype(np.uint64)
        keys[block] = (bits * weights).sum(axis=1, dtype=np.uint64)
    keys ^= keys >> np.uint64(29)
    keys *= np.uint64(0xBF58476D1CE4E5B9)
    return keys ^ (keys >> np.uint64(32))
