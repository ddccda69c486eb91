"""How often the strongest features of a class are among the strongest of other classes' instances."""

from __future__ import annotations

import numpy as np
import pandas as pd

from imblens.base.arguments import checked, whole
from imblens.base.arrays import divide
from imblens.base.blocks import row_blocks
from imblens.base.wording import number
from imblens.lenses._contract import Finding, lens
from imblens.lenses._moments import class_moments, strongest_features
from imblens.lenses._pairs import kept_pairs, pairs_note
from imblens.run import Run, TopKCounts


@lens(
    "Which classes share the features that a class relies on?",
    order=60,
    pairs={"feature_density": "rate_ratio"},
)
@checked(top=whole(1))
def feature_density(run: Run, *, top: int = 10) -> Finding:
    """For each of a class's strongest features: in how many instances of every class it is among the instance's own.

    ratio = instances of the adversary that have the feature in their own top K / those of the reference class
    rate_ratio = the same with each count divided by its class's size

    `ratio` (the paper's) is large when the adversary is large; `rate_ratio` takes size out. NaN where no instance of the
    reference class has the feature in its own top K, never infinite.

    Args:
        run: any run; in a multi-label run an instance counts for every class it is positive for.
        top: K, 1 or more; at most D are used.

    Returns:
        Table `feature_density` (reference, adversary, feature, reference_count, adversary_count, ratio, rate_ratio).
        Summary: top, mean_rate_ratio.

    Raises:
        InputError: `top` is less than 1.

    References:
        IML, section III-F, Alg. 3 and Fig. 10. The released code scales bars by hand and divides by zero; we do neither,
        and count every class in one pass.
    """
    k = min(top, run.dim)
    counts = run.train.reduce(lambda: TopKCounts(run.n_classes, run.dim, k))  # (C, D)
    moments = class_moments(run)
    strongest, sizes = strongest_features(moments, k), moments.count  # (C, k), (C,)
    names, found = np.asarray(run.classes, dtype=object), []
    total, defined = 0.0, 0
    by_feature = np.ascontiguousarray(counts.T).astype(np.float64)  # (D, C)
    own_counts = np.take_along_axis(counts, strongest, axis=1)  # (C, k)
    n_known, n_present = (own_counts > 0).sum(axis=1), int(np.count_nonzero(sizes))
    for block in row_blocks(run.n_classes, run.n_classes):
        classes = np.arange(block.start, block.stop)
        weight = divide(1.0, own_counts[block], otherwise=0.0)
        ratio = np.zeros((len(classes), run.n_classes))  # sum over features, then mean
        for place in range(k):
            ratio += by_feature[strongest[block, place]] * weight[:, [place]]
        ratio = divide(ratio, n_known[block, None])
        rate = ratio * divide(sizes[block, None], sizes)
        reference, adversary = kept_pairs([ratio, rate], start=block.start)
        exists = (sizes[reference] > 0) & (sizes[adversary] > 0)
        reference, adversary = reference[exists], adversary[exists]
        rate[np.arange(len(classes)), classes] = np.nan
        total += float(np.nansum(rate * n_known[block, None]))
        defined += int(n_known[block].sum()) * (n_present - 1)
        own, other = own_counts[reference], by_feature[strongest[reference], adversary[:, None]]  # (P, k)
        own_rate = divide(own, sizes[reference][:, None])
        found.append(
            pd.DataFrame(
                {
                    "reference": names[np.repeat(reference, k)],
                    "adversary": names[np.repeat(adversary, k)],
                    "feature": strongest[reference].ravel(),
                    "reference_count": own.ravel(),
                    "adversary_count": other.astype(counts.dtype).ravel(),
                    "ratio": divide(other, own).ravel(),
                    "rate_ratio": divide(divide(other, sizes[adversary][:, None]), own_rate).ravel(),
                }
            )
        )
    summary = {"top": k, "mean_rate_ratio": number(total / defined) if defined else None}
    return Finding({"feature_density": pd.concat(found, ignore_index=True)}, summary, notes=pairs_note(run.n_classes))
