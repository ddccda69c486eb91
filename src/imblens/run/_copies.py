"""Instances that are in two splits, or twice in one, bit for bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.run._split import Split


def copies(of: Split, among: Split) -> NDArray[np.bool_]:
    """(n,) which rows of `among` are bit for bit rows of `of`, with the same labels."""
    return np.isin(_fingerprints(among), _fingerprints(of))


def copied_within(split: Split) -> NDArray[np.bool_]:
    """(N,) which rows of a split are bit for bit another row of it, with the same labels."""
    _, inverse, count = np.unique(_fingerprints(split), return_inverse=True, return_counts=True)
    return (count > 1)[inverse]


def _fingerprints(split: Split) -> NDArray[np.uint64]:
    """(N,) 64-bit hash of every row and its labels; exact, so independent of rounding."""
    n_labels = len(split.classes) if split.multilabel else 1
    factors = np.random.default_rng(0).integers(1, 2**63, split.dim + n_labels, dtype=np.uint64) | np.uint64(1)
    pieces = []
    for batch in split.batches():
        bits = np.ascontiguousarray(np.asarray(batch.features) + np.float32(0)).view(np.uint32)  # -0 becomes 0
        step = max(1, 2**22 // split.dim)
        for low in range(0, len(bits), step):
            words = bits[low : low + step].astype(np.uint64)
            words ^= words << np.uint64(29)
            words *= factors[: split.dim]
            words ^= words >> np.uint64(31)
            total = words.sum(axis=1, dtype=np.uint64)
            labels = batch.labels[low : low + step].astype(np.uint64).reshape(len(words), n_labels)
            total += (labels * factors[split.dim :]).sum(axis=1, dtype=np.uint64)
            pieces.append(total)
    return np.concatenate(pieces)
