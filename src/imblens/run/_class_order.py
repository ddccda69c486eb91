"""Whether the order of classes in labels and in logits disagrees."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.wording import listed, percent
from imblens.run._split import Split

RISE = 0.3  # of balanced accuracy under the best permutation of outputs: what is reported
ENOUGH = 20  # instances that such a comparison needs


def permutation_note(split: Split) -> str | None:
    """Report a permutation of the outputs under which balanced accuracy rises sharply; None where there is none."""
    if split.multilabel or not split.has_logits or len(split) < ENOUGH:
        return None
    labels, predictions = np.asarray(split.labels), np.asarray(split.predictions)
    shares = _shares(labels, predictions, split.n_classes)
    n_present = int(np.count_nonzero(split.class_counts))
    now = float(shares.trace()) / n_present
    halves = [_shares(labels[k::2], predictions[k::2], split.n_classes) for k in (0, 1)]
    most = [min(half.max(axis=axis).sum() for axis in (0, 1)) for half in halves]  # one entry of every row or column
    reachable = np.mean(most) / n_present
    if reachable - now < RISE or reachable < 0.5:  # whatever the permutation
        return None
    crossed = [  # chosen on one half, measured on the other
        float(other[np.arange(split.n_classes), _matching(half)].sum()) / n_present
        for half, other in zip(halves, halves[::-1], strict=True)
    ]
    columns, best = _matching(shares), float(np.mean(crossed))
    if best - now < RISE or best < 0.5:
        return None
    order = [split.classes[row] for row in np.argsort(columns)]
    return (
        f"the order of classes seems wrong: balanced accuracy is {percent(now)}, and {percent(best)} if the network's "
        f"outputs are {listed(order, 10)}. Check the order (outputs= or --classes) before reading any diagnosis."
    )


def _shares(labels: NDArray[Any], predictions: NDArray[Any], n_classes: int) -> Any:
    """Return (C, C), sparse: the share of each class's instances that is predicted as each class."""
    from scipy.sparse import csr_array

    counts = np.bincount(labels, minlength=n_classes)
    return csr_array((1 / counts[labels], (labels, predictions)), shape=(n_classes, n_classes))


def _matching(shares: Any) -> NDArray[np.int64]:
    """(C,) the column of every row in the permutation of the largest sum; rows without an entry take what is left."""
    from scipy.sparse import dia_array, hstack
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    n_classes = shares.shape[0]
    # a column of its own for every row, worth next to nothing
    nothing = dia_array((np.full((1, n_classes), 1e-9), [0]), shape=shares.shape)
    found = min_weight_full_bipartite_matching(hstack([shares, nothing], format="csr"), maximize=True)[1]
    left = np.setdiff1d(np.arange(n_classes), found)
    rest = found >= n_classes
    found[rest] = left
    return np.asarray(found, dtype=np.int64)
