"""How often the strongest features of a class are among the strongest of other classes' instances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.base.arguments import checked, whole
from imblens.base.arrays import divide
from imblens.base.wording import number
from imblens.lenses._contract import Finding, lens
from imblens.lenses._moments import class_moments, strongest_features
from imblens.lenses._pairs import kept_pairs, pairs_note
from imblens.lenses.feature_density.chart import charts
from imblens.lenses.feature_density.text import lines
from imblens.run import Run, TopKCounts

BLOCK = 2**21  # values of pairs and features that are held at once


@lens(
    "Which classes share the features that a class relies on?",
    order=60,
    lines=lines,
    charts=charts,
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
    import pandas as pd

    k = min(top, run.dim)
    counts = run.train.reduce(lambda: TopKCounts(run.n_classes, run.dim, k))  # (C, D)
    moments = class_moments(run)
    strongest, sizes = strongest_features(moments, k), moments.count  # (C, k), (C,)
    names, found = np.asarray(run.classes, dtype=object), []
    total, defined = 0.0, 0
    step = max(1, BLOCK // (run.n_classes * k))
    for start in range(0, run.n_classes, step):
        block = np.arange(start, min(start + step, run.n_classes))
        own = counts[block[:, None], strongest[block]]  # (n, k)
        other = counts.T[strongest[block]]  # (n, k, C)
        ratio = divide(other, own[..., None])
        rate = divide(divide(other, sizes), divide(own, sizes[block][:, None])[..., None])
        reference, adversary = kept_pairs([_mean(ratio), _mean(rate)], start=start)
        exists = (sizes[reference] > 0) & (sizes[adversary] > 0)
        reference, adversary = reference[exists], adversary[exists]
        total += np.nansum(rate) - np.nansum(rate[np.arange(len(block)), :, block])
        defined += int(np.isfinite(rate).sum() - np.isfinite(rate[np.arange(len(block)), :, block]).sum())
        cells = (np.repeat(reference - start, k), np.tile(np.arange(k), len(reference)), np.repeat(adversary, k))
        found.append(
            pd.DataFrame(
                {
                    "reference": names[np.repeat(reference, k)],
                    "adversary": names[np.repeat(adversary, k)],
                    "feature": strongest[reference].ravel(),
                    "reference_count": own[cells[:2]],
                    "adversary_count": other[cells],
                    "ratio": ratio[cells],
                    "rate_ratio": rate[cells],
                }
            )
        )
    summary = {"top": k, "mean_rate_ratio": number(total / defined) if defined else None}
    return Finding({"feature_density": pd.concat(found, ignore_index=True)}, summary, notes=pairs_note(run.n_classes))


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, C) mean over the features (n, k, C) that have a value; NaN where none has."""
    known = np.isfinite(values)
    return divide(np.where(known, values, 0).sum(axis=1), known.sum(axis=1))
