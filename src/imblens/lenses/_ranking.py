"""Does the network put the instances of a class before the others, whatever the threshold?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from imblens.lenses._base import FEW, Finding, lens, number, percent
from imblens.lenses._blocks import row_blocks
from imblens.run import Latents, Run

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Z95 = 1.959963984540054


class Ranking(Finding):
    """AUROC and average precision per class; see `ranking`."""

    lens: ClassVar[str] = "ranking"

    def lines(self) -> dict[str, str]:
        """One line for each class ranked worse than the mean, worst first; then the means over classes."""
        table = self.tables["ranking"].dropna(subset=["auroc"])
        found: dict[str, str] = {}
        mean = table["auroc"].mean()
        for row in table[table["auroc"] < mean].sort_values("auroc", kind="stable").itertuples():
            few = ", too few to tell" if row.positives < FEW else ""
            found[str(row[1])] = (
                f"{row[1]}: one of its instances is put before another class's {100 * row.auroc:.1f} % of the time "
                f"[{100 * row.auroc_low:.1f}, {100 * row.auroc_high:.1f}] ({row.positives:,} positives{few}); average "
                f"precision {row.average_precision:.2f} where chance gives {row.prevalence:.2f}; its own instances get a "
                f"mean probability of {percent(row.mean_probability_positives)}."
            )
        if len(table):
            found[""] = (
                f"Mean over {len(table)} classes: AUROC {self.summary['macro_auroc']:.3f}, "
                f"average precision {self.summary['macro_average_precision']:.3f}."
            )
        return found

    def charts(self) -> dict[str, Any]:
        """AUROC with its interval, worst first; mean probability of all and of positive instances."""
        return {"ranking": _auroc_chart(self), "probabilities": _probability_chart(self)}


@lens("Does the network put the instances of a class before the others?", needs=("test", "test_logits"))
def ranking(run: Run) -> Ranking:
    """AUROC and average precision of each class against the rest on the test split.

    auroc_c = P(probability of c for an instance of c > for another instance), ties counted half

    The probability is the sigmoid of the logit in a multi-label run, the softmax over classes otherwise. AUROC is blind
    to thresholds and to how rare the class is: a class can rank well and never be predicted. Average precision is not;
    compare it with `prevalence`, which is what a random order gets.

    Args:
        run: with a test split whose answers are known.

    Returns:
        Table `ranking`: class, positives, auroc, average_precision, mean_probability (over all test instances),
        mean_probability_positives (over those of the class), auroc_low, auroc_high, prevalence. The 95 % interval is
        the wider of DeLong's on the log-odds scale and the score interval of Hanley and McNeil's variance: the first is
        too narrow near 1 and for few positives, the second where positives are spread wider than negatives. auroc and
        average_precision are NaN for a class without test instances or without others. Summary: macro_auroc,
        macro_average_precision, classes_ranked (how many classes the means are over), n_classes.

    Raises:
        NotApplicable: no test split, or its answers are unknown.

    References:
        LOOKING, Fig. 2 (AUROC, average precision, averaged probabilities). We add the intervals: DeLong et al. 1988,
        Comparing the areas under two or more correlated ROC curves; Hanley and McNeil 1982, The meaning and use of the
        area under a ROC curve; Newcombe 2006, Confidence intervals for an effect size measure based on the Mann-Whitney
        statistic, part 2 (the score method, here with both group sizes as they are).
    """
    import pandas as pd
    from sklearn.metrics import average_precision_score, roc_auc_score

    assert run.test is not None
    split = run.test
    normaliser = _normaliser(split)
    rows: list[dict[str, Any]] = []
    for column, name in enumerate(run.classes):
        is_positive = split.labels[:, column].astype(bool) if split.multilabel else split.labels == column
        probability = _probability(split, column, normaliser)
        n_positive = int(np.count_nonzero(is_positive))
        row: dict[str, Any] = {
            "class": name,
            "positives": n_positive,
            "auroc": np.nan,
            "average_precision": np.nan,
            "mean_probability": probability.mean(),
            "mean_probability_positives": probability[is_positive].mean() if n_positive else np.nan,
            "auroc_low": np.nan,
            "auroc_high": np.nan,
            "prevalence": n_positive / len(split),
        }
        if 0 < n_positive < len(split):
            row["auroc"] = float(roc_auc_score(is_positive, probability))
            row["average_precision"] = float(average_precision_score(is_positive, probability))
            row["auroc_low"], row["auroc_high"] = auroc_interval(is_positive, probability)
        rows.append(row)
    table = pd.DataFrame(rows)
    return Ranking({"ranking": table}, _summary(table), notes=_notes(table, len(split)))


def auroc_interval(is_positive: NDArray[np.bool_], score: NDArray[Any]) -> tuple[float, float]:
    """95 % interval of the AUROC: the wider of DeLong's and Hanley and McNeil's at each end.

    Args:
        is_positive: (N,) with at least one of each.
        score: (N,) larger for positives.

    Example:
        >>> low, high = auroc_interval(np.array([True, True, False, False, False]), np.array([5, 4, 3, 2, 1]))
        >>> round(low, 2), high  # two against three, in perfect order: not much is known
        (0.44, 1.0)
    """
    from scipy.stats import rankdata

    positives, negatives = score[is_positive], score[~is_positive]
    n, m = len(positives), len(negatives)
    ranks = rankdata(np.concatenate([positives, negatives]))
    beaten = (ranks[:n] - rankdata(positives)) / m  # share of negatives below each positive
    missed = 1 - (ranks[n:] - rankdata(negatives)) / n  # share of positives above each negative
    auroc = float(beaten.mean())
    score_low = _score_end(auroc, n, m, 0.0)
    score_high = _score_end(auroc, n, m, 1.0)
    variance = (beaten.var(ddof=1) / n if n > 1 else 0.0) + (missed.var(ddof=1) / m if m > 1 else 0.0)
    if not 0 < auroc < 1 or variance == 0:
        return score_low, score_high
    log_odds = np.log(auroc / (1 - auroc))
    step = Z95 * np.sqrt(variance) / (auroc * (1 - auroc))
    low, high = 1 / (1 + np.exp(-np.clip([log_odds - step, log_odds + step], -500, 500)))
    return min(score_low, float(low)), max(score_high, float(high))


def _score_end(auroc: float, n: int, m: int, outer: float) -> float:
    """The value between `auroc` and `outer` that lies 1.96 of its own Hanley-McNeil errors from `auroc`."""
    inner = auroc
    for _ in range(50):
        middle = (inner + outer) / 2
        others = 1 + (n - 1) * (1 - middle) / (2 - middle) + (m - 1) * middle / (1 + middle)
        inside = (auroc - middle) ** 2 <= Z95**2 * middle * (1 - middle) * others / (n * m)
        inner, outer = (middle, outer) if inside else (inner, middle)
    return outer


def _normaliser(split: Latents) -> Floats | None:
    """(N,) log of the sum of exponentials of a row's logits; None in a multi-label split."""
    if split.multilabel:
        return None
    from scipy.special import logsumexp

    logits = split.logits
    found = np.empty(len(split))
    for rows in row_blocks(len(split), split.n_classes):
        found[rows] = logsumexp(np.asarray(logits[rows], dtype=np.float64), axis=1)
    return found


def _probability(split: Latents, column: int, normaliser: Floats | None) -> Floats:
    from scipy.special import expit

    logit = np.asarray(split.logits[:, column], dtype=np.float64)
    probability: Floats = expit(logit) if normaliser is None else np.exp(logit - normaliser)
    return probability


def _summary(table: pd.DataFrame) -> dict[str, Any]:
    return {
        "macro_auroc": number(table["auroc"].mean()),
        "macro_average_precision": number(table["average_precision"].mean()),
        "classes_ranked": int(table["auroc"].notna().sum()),
        "n_classes": len(table),
    }


def _notes(table: pd.DataFrame, n_instances: int) -> tuple[str, ...]:
    notes = []
    empty = table.loc[table["positives"] == 0, "class"]
    if len(empty):
        notes.append(f"No test instance of {', '.join(empty)}: left out of the means.")
    whole = table.loc[table["positives"] == n_instances, "class"]
    if len(whole):
        notes.append(f"Every test instance is {', '.join(whole)}: there is nothing to rank it against.")
    return tuple(notes)


def _auroc_chart(finding: Ranking) -> Any:
    import altair as alt

    from imblens.lenses._charts import BLUE, base, class_axis

    table = finding.tables["ranking"].dropna(subset=["auroc"]).sort_values("auroc", kind="stable")
    table = table.assign(few=table["positives"] < FEW)
    y = class_axis(table["class"].tolist())
    low = max(0.0, np.floor(10 * min(0.5, table["auroc_low"].min())) / 10) if len(table) else 0.0
    rows = base(table, len(table))
    interval = rows.mark_rule(strokeWidth=2, color=BLUE).encode(
        x=alt.X(
            "auroc_low:Q",
            scale=alt.Scale(domain=[low, 1]),
            axis=alt.Axis(title="AUROC on the test split, with 95 % interval (0.5 is chance)"),
        ),
        x2=alt.X2("auroc_high:Q"),
        y=y,
    )
    points = rows.mark_point(size=70, strokeWidth=2, color=BLUE, opacity=1).encode(
        x=alt.X("auroc:Q"),
        y=y,
        fill=alt.condition("datum.few", alt.value("white"), alt.value(BLUE)),
        tooltip=[
            alt.Tooltip("class:N"),
            alt.Tooltip("positives:Q", format=","),
            alt.Tooltip("auroc:Q", format=".3f"),
            alt.Tooltip("average_precision:Q", format=".3f"),
            alt.Tooltip("prevalence:Q", format=".3f"),
        ],
    )
    return alt.layer(interval, points)


def _probability_chart(finding: Ranking) -> Any:
    import altair as alt

    from imblens.lenses._charts import BLUE, ORANGE, base, class_axis

    table = finding.tables["ranking"].sort_values("auroc", kind="stable")
    names = {"mean_probability": "all test instances", "mean_probability_positives": "instances of the class"}
    long = table.melt(["class", "positives"], list(names), "over", "probability").dropna(subset=["probability"])
    long["over"] = long["over"].map(names)
    shared: dict[str, Any] = {"domain": list(names.values())}
    return (
        base(long, len(table))
        .mark_point(size=70, filled=True, opacity=1)
        .encode(
            x=alt.X(
                "probability:Q",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", title="mean probability that the network gives to the class"),
            ),
            y=class_axis(table["class"].tolist()),
            color=alt.Color(
                "over:N", scale=alt.Scale(range=[ORANGE, BLUE], **shared), legend=alt.Legend(title=None, orient="top")
            ),
            shape=alt.Shape(
                "over:N",
                scale=alt.Scale(range=["diamond", "circle"], **shared),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                alt.Tooltip("class:N"),
                alt.Tooltip("over:N"),
                alt.Tooltip("probability:Q", format=".1%"),
                alt.Tooltip("positives:Q"),
            ],
        )
    )
