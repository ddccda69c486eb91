"""Probabilities of one class at a time, so that no (N, C) copy is needed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.run import Split

Floats = NDArray[np.float64]


def normaliser_of(split: Split) -> Floats | None:
    """(N,) log of the sum of exponentials of a row's logits; None in a multi-label split."""
    if split.multilabel:
        return None
    found = np.empty(len(split))
    start = 0
    for batch in split.batches(logits=True):
        for rows in row_blocks(len(batch), split.n_classes):
            logits = np.array(batch.logits[rows], dtype=np.float64)  # type: ignore[index]
            largest = logits.max(axis=1)
            logits -= largest[:, None]
            found[start + rows.start : start + rows.stop] = np.log(np.exp(logits, out=logits).sum(axis=1)) + largest
        start += len(batch)
    return found


def class_logits(split: Split) -> Iterator[NDArray[np.float32]]:
    """(N,) logits of each class in turn, read for some classes at a time."""
    for columns in row_blocks(split.n_classes, len(split)):
        yield from split.logit_columns(columns).T


def probability_of(logit: NDArray[np.float32], normaliser: Floats | None) -> Floats:
    """(N,) probability of a class from its logits: their sigmoid without a normaliser, softmax with."""
    from scipy.special import expit

    wide = np.asarray(logit, dtype=np.float64)
    probability: Floats = expit(wide) if normaliser is None else np.exp(wide - normaliser)
    return probability


def known_scores(split: Split, column: int) -> tuple[NDArray[np.bool_], Floats]:
    """Labels (n,) and probabilities (n,) of one label of a multi-label split, where the label is known."""
    known = split.known[:, column]
    logits = split.logit_columns(slice(column, column + 1))[:, 0]
    return split.labels[known, column].astype(bool), probability_of(logits, None)[known]
