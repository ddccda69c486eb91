"""Features of each class before and after a change of the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arguments import a_text, checked, whole
from imblens.base.wording import number
from imblens.errors import InputError
from imblens.lenses._contract import Finding, LensInfo
from imblens.lenses.class_features.measure import class_features, embedding_sums, per_instance
from imblens.run import Run, as_run, common_rows, same_features

Floats = NDArray[np.float64]
POOR_MATCH = 0.5  # a mean correlation of matched features below it gets a note


@checked(k=whole(1), split=a_text())
def compare_class_features(before: Run, after: Run, *, k: int = 10, split: str = "train") -> Finding:
    """Which of each class's k strongest features (by mean classification embedding) stayed, vanished, appeared.

    Feature d of one network is feature d of another only when both share the layers before the head, as a run and its
    treated head do. This is checked (equal training features); `summary["alignment"]` is:

    - "same": features are compared by index.
    - "matched": two networks saw the same test instances (same ids and labels). Each feature of `before` is paired with
      one of `after` so that the summed correlation over those instances is largest (Hungarian method). `correlation`
      measures how good a pair is; below about 0.5 a pair is nominal.
    - "none": there are no common test instances. Identities cannot be compared; numbers and magnitudes still are.

    Args:
        before: single-label, with a head.
        after: the same; classes are compared by name.
        k: strongest features per class, 1 or more.
        split: whose instances the magnitudes are means over.

    Returns:
        Tables `feature_changes` (class, feature, change, rank_before, rank_after, magnitude_before, magnitude_after,
        feature_after, correlation; empty when alignment is "none") with one row for each feature among the k strongest
        before or after, change being "stayed", "vanished" or "appeared"; and `diversity_changes` (class, stayed,
        needed_before, distinct_before, effective_before, needed_after, distinct_after, effective_after). Summary:
        alignment, mean_correlation of the pairs, kept_share = stayed / k over classes, k.

    Raises:
        NotApplicable: a run without head, or multi-label.
        InputError: no class in common, or `k` less than 1.

    References:
        Dablain et al. 2022, Understanding CNN fragility (arXiv 2210.09465), compares class top-K CE of networks trained
        on balanced and imbalanced data. Matching by assignment on correlations follows Li et al. 2016, Convergent
        learning: do different neural networks learn the same representations?, section 3.
    """
    before, after = (as_run(run, "lenses.compare_class_features") for run in (before, after))
    classes = [name for name in before.classes if name in after.classes]
    if not classes:
        raise InputError(
            "compare_class_features: the runs have no class in common.", hint="Compare runs of one data set."
        )
    diversity = [
        class_features(run, split=split).tables["class_diversity"].set_index("class") for run in (before, after)
    ]
    k = min(k, before.dim, after.dim)
    alignment, partner, correlation = _align(before, after)
    magnitudes = [_magnitudes(run, split, classes) for run in (before, after)]
    changes = _changes(classes, magnitudes, partner, correlation, k)
    diversity_changes = pd.DataFrame({"class": classes, "stayed": _stayed(classes, magnitudes, changes, alignment)})
    for when, table in zip(("before", "after"), diversity, strict=True):
        for short, column in (("needed", "needed_mean"), ("distinct", "distinct"), ("effective", "effective_number")):
            diversity_changes[f"{short}_{when}"] = table.loc[classes, column].to_numpy()
    mean_correlation = float(correlation[partner >= 0].mean()) if alignment == "matched" else float("nan")
    summary = {
        "alignment": alignment,
        "mean_correlation": number(mean_correlation),
        "kept_share": number(float(diversity_changes["stayed"].mean() / k)),
        "k": k,
    }
    tables = {"feature_changes": changes, "diversity_changes": diversity_changes}
    return Finding(tables, summary, notes=_notes(alignment, mean_correlation), info=INFO)


def _align(before: Run, after: Run) -> tuple[str, NDArray[np.int64], Floats]:
    """How features correspond: kind, the partner in `after` of each feature (D,) or -1, their correlation (D,)."""
    if same_features(before.train, after.train):
        return "same", np.arange(before.dim), np.ones(before.dim)
    partner, found = np.full(before.dim, -1), np.full(before.dim, np.nan)
    rows = None if before.test is None or after.test is None else common_rows(before.test, after.test)
    if rows is None or len(rows[0]) < 3:
        return "none", partner, found
    from scipy.optimize import linear_sum_assignment

    assert before.test is not None
    assert after.test is not None
    correlation = _correlations(before.test.features[rows[0]], after.test.features[rows[1]])
    first, second = linear_sum_assignment(correlation, maximize=True)
    partner[first] = second
    found[first] = correlation[first, second]
    return "matched", partner, found


def _correlations(first: NDArray[Any], second: NDArray[Any]) -> Floats:
    """(D1, D2) Pearson correlations over instances; 0 for a feature that never varies."""
    scaled = []
    for values in (first, second):
        wide = np.asarray(values, dtype=np.float64)
        wide = wide - wide.mean(axis=0)
        length = np.sqrt((wide**2).sum(axis=0))
        scaled.append(np.divide(wide, length, out=np.zeros_like(wide), where=length > 0))
    product: Floats = scaled[0].T @ scaled[1]
    return product


def _magnitudes(run: Run, split: str, classes: list[str]) -> Floats:
    sums = embedding_sums(run, split)
    place = {name: number for number, name in enumerate(run.classes)}
    rows = [place[name] for name in classes]
    return per_instance(sums.magnitude, sums.count)[rows]


def _changes(
    classes: list[str], magnitudes: list[Floats], partner: NDArray[np.int64], correlation: Floats, k: int
) -> pd.DataFrame:
    ranks = [np.argsort(np.argsort(-m, axis=1, kind="stable"), axis=1, kind="stable") + 1 for m in magnitudes]
    origin = np.full(magnitudes[1].shape[1], -1)
    origin[partner[partner >= 0]] = np.flatnonzero(partner >= 0)
    rows = []
    for place, name in enumerate(classes):
        if (partner < 0).all() or any(np.isnan(m[place]).all() for m in magnitudes):
            continue
        old = np.flatnonzero(ranks[0][place] <= k)
        new = np.flatnonzero(ranks[1][place] <= k)
        pairs = [(int(feature), int(partner[feature])) for feature in old]
        pairs += [
            (int(origin[feature]), int(feature)) for feature in new if (int(origin[feature]), int(feature)) not in pairs
        ]
        for feature, mate in pairs:
            was = feature >= 0 and ranks[0][place, feature] <= k
            stays = mate >= 0 and ranks[1][place, mate] <= k
            rows.append(
                {
                    "class": name,
                    "feature": feature if feature >= 0 else None,
                    "change": "stayed" if was and stays else "vanished" if was else "appeared",
                    "rank_before": int(ranks[0][place, feature]) if feature >= 0 else None,
                    "rank_after": int(ranks[1][place, mate]) if mate >= 0 else None,
                    "magnitude_before": magnitudes[0][place, feature] if feature >= 0 else np.nan,
                    "magnitude_after": magnitudes[1][place, mate] if mate >= 0 else np.nan,
                    "feature_after": mate if mate >= 0 else None,
                    "correlation": correlation[feature] if feature >= 0 else np.nan,
                }
            )
    columns = ["class", "feature", "change", "rank_before", "rank_after", "magnitude_before", "magnitude_after"]
    table = pd.DataFrame(rows, columns=[*columns, "feature_after", "correlation"])
    return table.astype(dict.fromkeys(("feature", "rank_before", "rank_after", "feature_after"), "Int64"))


def _stayed(classes: list[str], magnitudes: list[Floats], changes: pd.DataFrame, alignment: str) -> Floats:
    """(C,) how many features stayed; NaN for a class without instances in a run, or where nothing can be aligned."""
    counts = changes.loc[changes["change"] == "stayed", "class"].value_counts()
    known = ~np.isnan(magnitudes[0]).all(axis=1) & ~np.isnan(magnitudes[1]).all(axis=1) & (alignment != "none")
    return np.where(known, [float(counts.get(name, 0)) for name in classes], np.nan)


def _notes(alignment: str, mean_correlation: float) -> tuple[str, ...]:
    if alignment == "none":
        return (
            "The runs share neither features nor test instances, so feature numbers mean different things in them: only "
            "how many features a class relies on is compared.",
        )
    if alignment == "same":
        return ("Both runs have the same features; only the head differs.",)
    notes = [
        "The runs are different networks: features were paired by their correlation over the common test instances "
        f"(mean correlation {mean_correlation:.2f})."
    ]
    if mean_correlation < POOR_MATCH:
        notes.append("The pairs are weakly correlated: do not read much into single features that stayed or vanished.")
    return tuple(notes)


def _lines(finding: Finding) -> dict[str, str]:
    """One line for each class whose strongest features changed, most changed first."""
    table = finding.tables["diversity_changes"]
    found: dict[str, str] = {}
    changed = table.dropna(subset=["stayed"]).sort_values("stayed", kind="stable")
    k = finding.summary["k"]
    for row in changed[changed["stayed"] < k].itertuples():
        found[str(row[1])] = (
            f"{row[1]} keeps {row.stayed:.0f} of its {k} strongest features; it relies on "
            f"{row.effective_before:.1f} features in effect before and {row.effective_after:.1f} after."
        )
    return found


def _charts(finding: Finding) -> dict[str, Any]:
    """Features in effect before and after, per class."""
    import altair as alt

    from imblens.charts import BLUE, GREY, ORANGE, class_axis, table_chart, tip

    table = finding.tables["diversity_changes"]
    order = table["class"].tolist()
    long = table.melt(["class", "stayed"], ["effective_before", "effective_after"], "run", "effective")
    long["run"] = long["run"].str.removeprefix("effective_")
    names: dict[str, Any] = {"domain": ["before", "after"]}
    x = alt.X("effective_before:Q", scale=alt.Scale(zero=True), title="features in effect (exp of entropy)")
    lines = (
        table_chart(table, len(order))
        .mark_rule(color=GREY)
        .encode(x=x, x2=alt.X2("effective_after:Q"), y=class_axis(order))
    )
    top = alt.Legend(title=None, orient="top")
    points = (
        table_chart(long, len(order))
        .mark_point(size=70, filled=True, opacity=1)
        .encode(
            x=alt.X("effective:Q"),
            y=class_axis(order),
            color=alt.Color("run:N", scale=alt.Scale(range=[ORANGE, BLUE], **names), legend=top),
            shape=alt.Shape("run:N", scale=alt.Scale(range=["diamond", "circle"], **names), legend=top),
            tooltip=[
                tip("class:N"),
                tip("run:N"),
                tip("effective:Q", ".1f", "features in effect"),
                tip("stayed:Q", title="strongest features kept"),
            ],
        )
    )
    return {"diversity_changes": alt.layer(lines, points)}


INFO = LensInfo("compare_class_features", lines=_lines, charts=_charts)
