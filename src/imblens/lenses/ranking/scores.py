"""Probabilities of one class at a time, so that no (N, C) copy is needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.run import Split

Floats = NDArray[np.float64]


def normaliser_of(split: Split) -> Floats | None:
    """(N,) log of the sum of exponentials of a row's logits; None in a multi-label split."""
    if split.multilabel:
        return None
    from scipy.special import logsumexp

    logits = split.logits
    found = np.empty(len(split))
    for rows in row_blocks(len(split), split.n_classes):
        found[rows] = logsumexp(np.asarray(logits[rows], dtype=np.float64), axis=1)
    return found


def probability_of(split: Split, column: int, normaliser: Floats | None) -> Floats:
    """(N,) probability of a class: sigmoid of its logit without a normaliser, softmax with."""
    from scipy.special import expit

    logit = np.asarray(split.logits[:, column], dtype=np.float64)
    probability: Floats = expit(logit) if normaliser is None else np.exp(logit - normaliser)
    return probability


def known_scores(split: Split, column: int) -> tuple[NDArray[np.bool_], Floats]:
    """Labels (n,) and probabilities (n,) of one label of a multi-label split, where the label is known."""
    known = split.known[:, column]
    return split.labels[known, column].astype(bool), probability_of(split, column, None)[known]
