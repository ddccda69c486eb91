"""The features of largest mean in each class, and how many of them two classes share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arguments import checked, whole
from imblens.base.arrays import divide
from imblens.base.blocks import row_blocks
from imblens.base.wording import number
from imblens.lenses._contract import Finding, lens
from imblens.lenses._moments import class_moments, strongest_features
from imblens.lenses._pairs import kept_pairs, pairs_note
from imblens.run import Run


@lens(
    "Which features represent each class, and which classes share them?",
    order=50,
    pairs={"feature_overlap_pairs": "shared"},
)
@checked(top=whole(1))
def feature_overlap(run: Run, *, top: int = 10) -> Finding:
    """The `top` features of largest class-mean value, and how many of them two classes share.

    mean_cd = mean over training instances of c of feature d
    share_cd = mean_cd / sum of mean_c over the top features of c

    Of equal means the lower feature index comes first. A class without training instances has no rows; where one
    of its top means is negative or all are zero, there are no shares (NaN).

    Args:
        run: any run; in a multi-label run an instance counts for every class it is positive for.
        top: K, 1 or more; at most D are used.

    Returns:
        Tables `feature_overlap` (class, rank from 1, feature, mean, share) and `feature_overlap_pairs` (class, other,
        shared), every ordered pair up to 200 classes. Summary: top, features (D), mean_shared.

    Raises:
        InputError: `top` is less than 1.

    References:
        IML, section III-E, Alg. 2 and Fig. 6.
    """
    moments = class_moments(run)
    present = np.flatnonzero(moments.count)
    strongest = strongest_features(moments, top)[present]  # (P, K)
    used = strongest.shape[1]
    means = np.take_along_axis(moments.mean[present], strongest, axis=1)
    total = means.sum(axis=1, keepdims=True)
    shareable = (total > 0) & (means >= 0).all(axis=1, keepdims=True)  # (P, 1)
    among = np.zeros((len(present), run.dim))
    np.put_along_axis(among, strongest, 1.0, axis=1)
    names = np.asarray(run.classes, dtype=object)[present]
    first, second, shared, mean_shared = _shared_features(among)
    tables = {
        "feature_overlap": pd.DataFrame(
            {
                "class": np.repeat(names, used),
                "rank": np.tile(np.arange(1, used + 1), len(present)),
                "feature": strongest.ravel(),
                "mean": means.ravel(),
                "share": np.where(shareable, divide(means, total), np.nan).ravel(),
            }
        ),
        "feature_overlap_pairs": pd.DataFrame({"class": names[first], "other": names[second], "shared": shared}),
    }
    summary = {
        "top": used,
        "features": run.dim,
        "mean_shared": mean_shared,
    }
    return Finding(tables, summary, notes=pairs_note(len(present)))


def _shared_features(among: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], float | None]:
    """Class, other class and shared features of the pairs that the table holds, and the mean over all pairs.

    Args:
        among: (P, D) 1 where a feature is among the strongest of a class.
    """
    n = len(among)
    found, total = [], 0.0
    for block in row_blocks(n, 8 * n):
        shared = among[block] @ among.T  # (n, P)
        total += shared.sum() - among[block].sum()
        first, second = kept_pairs([shared], start=block.start)
        found.append((first, second, np.rint(shared[first - block.start, second]).astype(np.int64)))
    if not found:
        return np.empty(0, int), np.empty(0, int), np.empty(0, np.int64), None
    first, second, shared = (np.concatenate(values) for values in zip(*found, strict=True))
    return first, second, shared, number(total / (n * (n - 1))) if n > 1 else None
