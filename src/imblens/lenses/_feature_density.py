"""How often are a class's own features also among the strongest of other classes' instances?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.wording import number, ratio
from imblens.errors import InputError
from imblens.lenses._contract import Finding, lens
from imblens.lenses._moments import class_moments, strongest_features
from imblens.run import Run, TopKCounts


class FeatureDensity(Finding):
    """Crowding of each class's strongest features; see `feature_density`."""

    def lines(self) -> dict[str, str]:
        """One line for each class whose features others show far more often, most crowded first."""
        table = self.tables["feature_density"]
        total = table.groupby(["reference", "adversary"], sort=False, as_index=False)["ratio"].mean()
        found: dict[str, str] = {}
        for row in total.sort_values("ratio", ascending=False, kind="stable").itertuples():
            if row.ratio >= 2 and row.reference not in found:
                found[str(row.reference)] = (
                    f"The features of {row.reference} are among the strongest of {ratio(row.ratio)}x as many {row.adversary} "
                    f"instances as of its own, on average over its strongest."
                )
        return found

    def charts(self) -> dict[str, Any]:
        """Rate of each pair: how often the reference's features are among the adversary's strongest."""
        return {"feature_density": _chart(self)}


@lens("Which classes crowd the features that a class relies on?", order=60)
def feature_density(run: Run, *, top: int = 10) -> FeatureDensity:
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
            "ratio": _divide(other, own),
            "rate_ratio": _divide(other / sizes[adversary], own / sizes[reference]),
        }
    )
    return FeatureDensity({"feature_density": table}, {"top": k, "mean_rate_ratio": number(table["rate_ratio"].mean())})


def _divide(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)


def _chart(finding: FeatureDensity) -> Any:
    from imblens.lenses._charts import tip
    from imblens.lenses._matrix import matrix_chart

    table = finding.tables["feature_density"]
    pairs = table.groupby(["reference", "adversary"], sort=False, as_index=False)[["ratio", "rate_ratio"]].mean()
    return matrix_chart(
        pairs,
        row="reference",
        column="adversary",
        value="rate_ratio",
        order=pairs["reference"].unique().tolist(),
        title="class that shows the features",
        row_title="class whose features they are",
        legend="rate, own = 1",
        write=ratio,
        format=".1f",
        tips=(tip("ratio:Q", ".2f"), tip("rate_ratio:Q", ".2f")),
    )
