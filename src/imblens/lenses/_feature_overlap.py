"""Which features stand for a class, and which classes share them?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from imblens.base.wording import number
from imblens.errors import InputError
from imblens.lenses._base import Finding, lens
from imblens.run import ClassMoments, Moments, Run


class FeatureOverlap(Finding):
    """The strongest features of each class; see `feature_overlap`."""

    lens: ClassVar[str] = "feature_overlap"

    def lines(self) -> dict[str, str]:
        """One line for each class that shares at least half its strongest features with another, most shared first.

        None where the strongest are half of all features or more: then any two classes share many.
        """
        pairs = self.tables["feature_overlap_pairs"]
        top = int(self.summary["top"])
        if top * 2 >= self.summary["features"]:
            return {}
        found: dict[str, str] = {}
        for row in pairs.sort_values("shared", ascending=False, kind="stable").itertuples():
            if row[1] not in found and row.shared * 2 >= top:
                found[str(row[1])] = f"{row[1]} shares {row.shared} of its {top} strongest features with {row.other}."
        return found

    def charts(self) -> dict[str, Any]:
        """Shared features of each pair; the strongest features of each class."""
        return {"feature_overlap_pairs": _pair_chart(self), "feature_overlap": _share_chart(self)}


@lens("Which features stand for each class, and which classes share them?")
def feature_overlap(run: Run, *, top: int = 10) -> FeatureOverlap:
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
        shared), every ordered pair. Summary: top, features (D), mean_shared.

    Raises:
        InputError: `top` is less than 1.

    References:
        IML, section III-E, Alg. 2 and Fig. 6.
    """
    import pandas as pd

    if top < 1:
        raise InputError(f"feature_overlap: top={top} must be at least 1.", hint="The usual number is 10.")
    moments = class_moments(run)
    present = np.flatnonzero(moments.count)
    strongest = strongest_features(moments, top)[present]  # (P, K)
    used = strongest.shape[1]
    means = np.take_along_axis(moments.mean[present], strongest, axis=1)
    total = means.sum(axis=1, keepdims=True)
    shareable = (total > 0) & (means >= 0).all(axis=1, keepdims=True)  # (P, 1)
    among = np.zeros((len(present), run.dim))
    np.put_along_axis(among, strongest, 1.0, axis=1)
    shared = np.rint(among @ among.T).astype(np.int64)  # (P, P)
    names = np.asarray(run.classes, dtype=object)[present]
    first, second = np.nonzero(~np.eye(len(present), dtype=bool))
    tables = {
        "feature_overlap": pd.DataFrame(
            {
                "class": np.repeat(names, used),
                "rank": np.tile(np.arange(1, used + 1), len(present)),
                "feature": strongest.ravel(),
                "mean": means.ravel(),
                "share": np.divide(means, total, out=np.full(means.shape, np.nan), where=shareable).ravel(),
            }
        ),
        "feature_overlap_pairs": pd.DataFrame(
            {"class": names[first], "other": names[second], "shared": shared[first, second]}
        ),
    }
    summary = {
        "top": used,
        "features": run.dim,
        "mean_shared": number(shared[first, second].mean()) if len(first) else None,
    }
    return FeatureOverlap(tables, summary)


def class_moments(run: Run) -> Moments:
    """Count, mean and variance of the training features of each class, computed once per run."""
    return run.train.cached("moments", lambda: run.train.reduce(lambda: ClassMoments(run.n_classes, run.dim)))


def strongest_features(moments: Moments, top: int) -> NDArray[np.int64]:
    """(C, K) features of largest class mean, strongest first; of equal ones the lower index first."""
    order = np.argsort(-moments.mean, axis=1, kind="stable")
    return order[:, : min(top, moments.mean.shape[1])]


def _pair_chart(finding: FeatureOverlap) -> Any:
    from imblens.lenses._matrix import matrix_chart

    pairs = finding.tables["feature_overlap_pairs"]
    order = finding.tables["feature_overlap"]["class"].unique().tolist()
    shared = pairs.assign(share=pairs["shared"] / finding.summary["top"])
    legend = f"share of the {finding.summary['top']} strongest"
    return matrix_chart(shared, column="other", value="share", order=order, title="shares features with", legend=legend)


def _share_chart(finding: FeatureOverlap) -> Any:
    import altair as alt

    from imblens.lenses._charts import BLUE, base, class_axis, tip

    table = finding.tables["feature_overlap"]
    order = table["class"].unique().tolist()
    numbered = len(order) <= 40
    title = "rank of the feature in its class" + ("; in a cell, the feature's number" if numbered else "")
    x = alt.X("rank:O", title=title, axis=alt.Axis(labelAngle=0))
    y = class_axis(order)
    cells = (
        base(table, len(order))
        .mark_rect()
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "share:Q",
                scale=alt.Scale(range=["#F2F6FA", BLUE], domainMin=0),
                legend=alt.Legend(title="share of the strongest", format="%"),
            ),
            tooltip=[
                tip("class:N"),
                tip("rank:O"),
                tip("feature:O"),
                tip("share:Q", ".1%"),
            ],
        )
    )
    if not numbered:
        return cells
    highest = float(table["share"].max()) if table["share"].notna().any() else 1.0
    numbers = (
        base(table, len(order))
        .mark_text(fontSize=11)
        .encode(
            x=x,
            y=y,
            text=alt.Text("feature:O"),
            color=alt.condition(f"datum.share > {0.85 * highest}", alt.value("white"), alt.value("black")),
        )
    )
    return alt.layer(cells, numbers)
