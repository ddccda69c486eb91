"""How often the strongest features of a class are among the strongest of other classes' instances."""

from __future__ import annotations

import numpy as np

from imblens.base.arrays import divide
from imblens.base.wording import number
from imblens.errors import InputError
from imblens.lenses._contract import Finding, lens
from imblens.lenses._moments import class_moments, strongest_features
from imblens.lenses.feature_density.chart import charts
from imblens.lenses.feature_density.text import lines
from imblens.run import Run, TopKCounts


@lens("Which classes share the features that a class relies on?", order=60, lines=lines, charts=charts)
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

    if top < 1:
        raise InputError(f"feature_density: top={top} must be at least 1.", hint="The usual number is 10.")
    k = min(top, run.dim)
    counts = run.train.reduce(lambda: TopKCounts(run.n_classes, run.dim, k))  # (C, D)
    moments = class_moments(run)
    strongest = strongest_features(moments, k)  # (C, k)
    present = np.flatnonzero(moments.count)
    reference = np.repeat(present, (len(present) - 1) * k)
    adversary = np.concatenate([np.repeat(present[present != c], k) for c in present]).astype(np.int64)
    feature = np.concatenate([np.tile(strongest[c], len(present) - 1) for c in present]).astype(np.int64)
    own, other = counts[reference, feature], counts[adversary, feature]
    sizes = moments.count
    table = pd.DataFrame(
        {
            "reference": np.asarray(run.classes, dtype=object)[reference],
            "adversary": np.asarray(run.classes, dtype=object)[adversary],
            "feature": feature,
            "reference_count": own,
            "adversary_count": other,
            "ratio": divide(other, own),
            "rate_ratio": divide(other / sizes[adversary], own / sizes[reference]),
        }
    )
    return Finding({"feature_density": table}, {"top": k, "mean_rate_ratio": number(table["rate_ratio"].mean())})
