"""Whether the order of classes in labels and in logits disagrees."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.wording import percent
from imblens.run._split import Split

RISE = 0.3  # of balanced accuracy under the best permutation of outputs: what is reported
ENOUGH = 20  # instances that such a comparison needs


def permutation_note(split: Split) -> str | None:
    """Report a permutation of the outputs under which balanced accuracy rises sharply; None where there is none."""
    if split.multilabel or not split.has_logits or len(split) < ENOUGH:
        return None
    from scipy.optimize import linear_sum_assignment

    labels, predictions = np.asarray(split.labels), np.asarray(split.predictions)
    shares = _shares(labels, predictions, split.n_classes)
    n_present = int((shares.sum(axis=1) > 0).sum())
    halves = [_shares(labels[k::2], predictions[k::2], split.n_classes) for k in (0, 1)]
    chosen = [linear_sum_assignment(-half) for half in halves]  # on one half, measured on the other
    crossed = [
        float(other[rows, columns].sum()) / n_present
        for other, (rows, columns) in zip(halves[::-1], chosen, strict=True)
    ]
    columns = linear_sum_assignment(-shares)[1]
    now, best = float(np.trace(shares)) / n_present, float(np.mean(crossed))
    if best - now < RISE or best < 0.5:
        return None
    order = [split.classes[row] for row in np.argsort(columns)]
    return (
        f"the order of classes seems wrong: balanced accuracy is {percent(now)}, and {percent(best)} if the network's "
        f"outputs are {', '.join(order[:10])}. Check the order (outputs= or --classes) before reading any diagnosis."
    )


def _shares(labels: NDArray[Any], predictions: NDArray[Any], n_classes: int) -> NDArray[np.float64]:
    """Return (C, C): the share of each class's instances that is predicted as each class."""
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (labels, predictions), 1)
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares
