"""Does the network put the instances of a class before the others, whatever the threshold?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.base.intervals import Z95, mean_with_interval, wilson
from imblens.base.wording import FEW, counted, number, percent
from imblens.lenses._contract import Finding, Measure, lens
from imblens.lenses._resampling import areas, resample_counts
from imblens.run import Run, Split

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


class Ranking(Finding):
    """AUROC and average precision per class; see `ranking`."""

    def lines(self) -> dict[str, str]:
        """One line for each class ranked worse than the mean, worst first; then the means over classes."""
        table = self.tables["ranking"].dropna(subset=["auroc"])
        found: dict[str, str] = {}
        mean = table["auroc"].mean()
        for row in table[table["auroc"] < mean].sort_values("auroc", kind="stable").itertuples():
            few = ", too few to tell" if row.positives < FEW else ""
            found[str(row[1])] = (
                f"{row[1]}: one of its instances is put before {self._others} {100 * row.auroc:.1f} % of the time "
                f"[{100 * row.auroc_low:.1f}, {100 * row.auroc_high:.1f}] ({counted(row.positives, 'positive')}{few}); average "
                f"precision {row.average_precision:.2f} [{row.average_precision_low:.2f}, "
                f"{row.average_precision_high:.2f}] where chance gives {row.prevalence:.2f}; its own instances get a "
                f"mean probability of {percent(row.mean_probability_positives)}."
            )
        if len(table):
            found[""] = (
                f"Mean over {len(table)} classes: AUROC {self._mean('auroc')}, "
                f"average precision {self._mean('average_precision')}.{self._thresholds()}"
            )
        return found

    @property
    def _others(self) -> str:
        return "one without it" if "ranking_thresholds" in self.tables else "another class's"

    def _mean(self, measure: str) -> str:
        value, low, high = (self.summary[f"macro_{measure}{end}"] for end in ("", "_low", "_high"))
        return f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"

    def _thresholds(self) -> str:
        table = self.tables.get("ranking_thresholds")
        if table is None or table[["f1", "f1_at_half"]].dropna().empty:
            return ""
        both = table[["f1", "f1_at_half"]].dropna()
        return (
            f" With a threshold for each label, chosen on {table['chosen_on'].iloc[0]} instances, the mean F1 on test is "
            f"{both['f1'].mean():.3f}; with 0.5 for all it is {both['f1_at_half'].mean():.3f}."
        )

    def charts(self) -> dict[str, Any]:
        """AUROC with its interval, worst first; mean probability of all and of positive instances."""
        return {"ranking": _auroc_chart(self), "probabilities": _probability_chart(self)}


@lens(
    "Does the network put the instances of a class before the others?",
    order=110,
    measures=(
        Measure("ranking", "auroc", "AUROC", "higher"),
        Measure("ranking", "average_precision", "average precision", "higher"),
        Measure("ranking", "mean_probability_positives", "mean probability of positives", "higher", "probability"),
    ),
    needs=("test", "test_logits"),
)
def ranking(run: Run) -> Ranking:
    """AUROC and average precision of each class against the rest on the test split.

    auroc_c = P(probability of c for an instance of c > for another instance), ties counted half

    The probability is the sigmoid of the logit in a multi-label run, the softmax over classes otherwise. AUROC is blind
    to thresholds and to how rare the class is: a class can rank well and never be predicted. Average precision is not;
    compare it with `prevalence`, which is what a random order gets. Labels that nobody could tell do not count.

    Args:
        run: with a test split whose answers are known.

    Returns:
        Table `ranking`: class, positives, auroc, average_precision, mean_probability (over all test instances),
        mean_probability_positives (over those of the class), auroc_low, auroc_high, prevalence, then the 95 %
        intervals `..._low, ..._high` of average_precision, mean_probability and mean_probability_positives. That of
        the AUROC is the wider of DeLong's on the log-odds scale and the score interval of Hanley and McNeil's variance:
        the first is too narrow near 1 and for few positives, the second where positives are spread wider than negatives.
        That of average precision is the wider of the bootstrap's on the log-odds scale and Wilson's for a share of the
        positives; those of means are Student's t. auroc and average_precision are NaN for a class without test
        instances or without others. Summary: macro_auroc and macro_average_precision with bootstrap intervals,
        macro_mean_probability and macro_mean_probability_positives, classes_ranked (how many classes the means of the
        first two are over), n_classes.

        With several labels per instance also `ranking_thresholds`: class, chosen_on, positives (there), threshold (of
        the probability, with the largest F1 there), then on the test split precision, recall, f1 at that threshold and
        precision_at_half, recall_at_half, f1_at_half at 0.5, and the 95 % Wilson interval recall_low, recall_high. Chosen on
        the run's val split, or on training instances where it has none, never on test. NaN for a label without positives.

    Raises:
        NotApplicable: no test split, or its answers are unknown.

    References:
        LOOKING, Fig. 2 (AUROC, average precision, averaged probabilities). We add the intervals: DeLong et al. 1988,
        Comparing the areas under two or more correlated ROC curves; Hanley and McNeil 1982, The meaning and use of the
        area under a ROC curve; Newcombe 2006, Confidence intervals for an effect size measure based on the Mann-Whitney
        statistic, part 2 (the score method, here with both group sizes as they are); Boyd et al. 2013, Area under the
        precision-recall curve: point estimates and confidence intervals, for average precision.
    """
    import pandas as pd
    from sklearn.metrics import average_precision_score, roc_auc_score

    assert run.test is not None
    split = run.test
    normaliser = _normaliser(split)
    counts = resample_counts(split)
    drawn: list[tuple[Floats, Floats]] = []
    rows: list[dict[str, Any]] = []
    for column, name in enumerate(run.classes):
        if split.multilabel:
            is_positive, probability = _known(split, column)
        else:
            is_positive, probability = split.labels == column, _probability(split, column, normaliser)
        n_positive = int(np.count_nonzero(is_positive))
        means = {"mean_probability": probability, "mean_probability_positives": probability[is_positive]}
        row: dict[str, Any] = {
            "class": name,
            "positives": n_positive,
            "auroc": np.nan,
            "average_precision": np.nan,
            "mean_probability": probability.mean() if len(probability) else np.nan,
            "mean_probability_positives": probability[is_positive].mean() if n_positive else np.nan,
            "auroc_low": np.nan,
            "auroc_high": np.nan,
            "prevalence": n_positive / len(probability) if len(probability) else np.nan,
            "average_precision_low": np.nan,
            "average_precision_high": np.nan,
        }
        for mean, values in means.items():
            _, _, low, high = mean_with_interval(values[:, None])
            row |= {f"{mean}_low": max(low[0], 0.0), f"{mean}_high": min(high[0], 1.0)}
        if 0 < n_positive < len(probability):
            row["auroc"] = float(roc_auc_score(is_positive, probability))
            row["average_precision"] = float(average_precision_score(is_positive, probability))
            row["auroc_low"], row["auroc_high"] = auroc_interval(is_positive, probability)
            drawn.append(
                areas(is_positive, probability, counts[split.known[:, column]] if split.multilabel else counts)
            )
            low_high = share_interval(row["average_precision"], drawn[-1][1], n_positive)
            row["average_precision_low"], row["average_precision_high"] = low_high
        rows.append(row)
    table = pd.DataFrame(rows)
    tables, notes = {"ranking": table}, _notes(table)
    if split.multilabel:
        tables["ranking_thresholds"], more = _threshold_table(run)
        notes += more
    return Ranking(tables, _summary(table, drawn), notes=notes)


def _known(split: Split, column: int) -> tuple[NDArray[np.bool_], Floats]:
    """Whether instances have a label, and its probability, of those of which it is known."""
    known = split.known[:, column]
    return split.labels[known, column].astype(bool), _probability(split, column, None)[known]


def best_threshold(is_positive: NDArray[np.bool_], probability: Floats) -> float:
    """Return the threshold of the largest F1, halfway between two probabilities; NaN without a positive.

    Of equal ones the largest. An instance is positive where its probability reaches the threshold.

    Example:
        >>> best_threshold(np.array([True, True, False, False]), np.array([0.8, 0.4, 0.3, 0.1]))
        0.35
    """
    if not is_positive.any():
        return float("nan")
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    hits, said = np.cumsum(is_positive[order]), np.arange(1, len(order) + 1)
    last = np.r_[ranked[1:] != ranked[:-1], True]  # equal probabilities fall on one side
    f1 = np.where(last, 2 * hits / (said + hits[-1]), -1.0)
    k = int(f1.argmax())
    return float(ranked[k] if k + 1 == len(ranked) else (ranked[k] + ranked[k + 1]) / 2)


def share_interval(value: float, drawn: Floats, n: int) -> tuple[float, float]:
    """95 % interval of a measure in [0, 1] over n positives: the wider, at each end, of two.

    From the bootstrap's standard error on the log-odds scale, and Wilson's for a share of n.

    Args:
        value: the measure.
        drawn: (B,) the measure in each drawing.
        n: number of positives.
    """
    low, high = (float(end) for end in wilson(np.array(value * n), np.array(n)))
    inside = drawn[np.isfinite(drawn) & (drawn > 0) & (drawn < 1)]
    if 0 < value < 1 and len(inside) > 1:
        step = Z95 * float(np.log(inside / (1 - inside)).std(ddof=1))
        ends = 1 / (1 + np.exp(-(np.log(value / (1 - value)) + np.array([-step, step]))))
        low, high = min(low, float(ends[0])), max(high, float(ends[1]))
    return low, high


def _threshold_table(run: Run) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A threshold for each label, chosen on val or train, and what it does on test; with notes."""
    import pandas as pd

    assert run.test is not None
    chosen_on = run.val if run.val is not None and run.val.has_logits else run.train
    if not chosen_on.has_logits:
        return pd.DataFrame(columns=_THRESHOLD_COLUMNS), ("No thresholds: answers are known on the test split alone.",)
    rows = []
    for column, name in enumerate(run.classes):
        own, rated = _known(chosen_on, column)
        threshold = best_threshold(own, rated)
        truth, probability = _known(run.test, column)
        row = {"class": name, "chosen_on": chosen_on.name, "positives": int(own.sum()), "threshold": threshold}
        at, half = _at_threshold(truth, probability, threshold), _at_threshold(truth, probability, 0.5)
        low, high = wilson(np.array(at["recall"] * truth.sum()), np.array(truth.sum()))
        row |= at | {f"{key}_at_half": value for key, value in half.items()}
        rows.append(row | {"recall_low": float(low), "recall_high": float(high)})
    table = pd.DataFrame(rows, columns=_THRESHOLD_COLUMNS)
    notes = []
    if chosen_on.name == "train":
        notes.append(
            "The run has no validation split, so thresholds were chosen on training instances, where the network is "
            "surer than elsewhere. Capture one with val=..., or give data with a val split."
        )
    without = table.loc[table["threshold"].isna(), "class"]
    if len(without):
        notes.append(f"No {chosen_on.name} instance has {', '.join(without)}: no threshold can be chosen for it.")
    return table, tuple(notes)


_THRESHOLD_COLUMNS = [
    "class",
    "chosen_on",
    "positives",
    "threshold",
    *("precision", "recall", "f1"),
    *("precision_at_half", "recall_at_half", "f1_at_half"),
    *("recall_low", "recall_high"),
]


def _at_threshold(truth: NDArray[np.bool_], probability: Floats, threshold: float) -> dict[str, float]:
    """Precision, recall and F1; NaN where nothing is positive, or nothing is called so."""
    if np.isnan(threshold):
        return dict.fromkeys(("precision", "recall", "f1"), np.nan)
    said = probability >= threshold
    hits, n_said, n_true = int((said & truth).sum()), int(said.sum()), int(truth.sum())
    return {
        "precision": hits / n_said if n_said else np.nan,
        "recall": hits / n_true if n_true else np.nan,
        "f1": 2 * hits / (n_said + n_true) if n_true else np.nan,
    }


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


def _normaliser(split: Split) -> Floats | None:
    """(N,) log of the sum of exponentials of a row's logits; None in a multi-label split."""
    if split.multilabel:
        return None
    from scipy.special import logsumexp

    logits = split.logits
    found = np.empty(len(split))
    for rows in row_blocks(len(split), split.n_classes):
        found[rows] = logsumexp(np.asarray(logits[rows], dtype=np.float64), axis=1)
    return found


def _probability(split: Split, column: int, normaliser: Floats | None) -> Floats:
    from scipy.special import expit

    logit = np.asarray(split.logits[:, column], dtype=np.float64)
    probability: Floats = expit(logit) if normaliser is None else np.exp(logit - normaliser)
    return probability


def _summary(table: pd.DataFrame, drawn: list[tuple[Floats, Floats]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for place, name in enumerate(("auroc", "average_precision")):
        value = table[name].mean()
        # mean over the classes in each drawing; a class that a drawing left without positives is not in its mean
        of_drawing = mean_with_interval(np.array([pair[place] for pair in drawn] if drawn else [[np.nan]]))[1]
        known = of_drawing[np.isfinite(of_drawing)]
        step = Z95 * float(known.std(ddof=1)) if len(known) > 1 else np.nan
        found[f"macro_{name}"] = number(value)
        found[f"macro_{name}_low"] = number(max(value - step, 0.0) if np.isfinite(step) else np.nan)
        found[f"macro_{name}_high"] = number(min(value + step, 1.0) if np.isfinite(step) else np.nan)
    return {
        **found,
        "macro_mean_probability": number(table["mean_probability"].mean()),
        "macro_mean_probability_positives": number(table["mean_probability_positives"].mean()),
        "classes_ranked": int(table["auroc"].notna().sum()),
        "n_classes": len(table),
    }


def _notes(table: pd.DataFrame) -> tuple[str, ...]:
    notes = []
    empty = table.loc[table["positives"] == 0, "class"]
    if len(empty):
        notes.append(f"No test instance of {', '.join(empty)}: left out of the means.")
    whole = table.loc[table["prevalence"] == 1, "class"]
    if len(whole):
        notes.append(f"Every test instance is {', '.join(whole)}: there is nothing to rank it against.")
    return tuple(notes)


def _auroc_chart(finding: Ranking) -> Any:
    import altair as alt

    from imblens.lenses._charts import BLUE, base, class_axis, tip

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
            tip("class:N"),
            tip("positives:Q", ","),
            tip("auroc:Q", ".3f", "AUROC"),
            tip("average_precision:Q", ".3f"),
            tip("prevalence:Q", ".3f"),
        ],
    )
    return alt.layer(interval, points)


def _probability_chart(finding: Ranking) -> Any:
    import altair as alt

    from imblens.lenses._charts import BLUE, ORANGE, base, class_axis, tip

    table = finding.tables["ranking"].sort_values("auroc", kind="stable")
    names = {"mean_probability": "all test instances", "mean_probability_positives": "instances of the class"}
    long = table.melt(["class", "positives"], list(names), "over", "probability").dropna(subset=["probability"])
    long["over"] = long["over"].map(names)
    long["few"] = (long["positives"] < FEW) & (long["over"] == names["mean_probability_positives"])
    shared: dict[str, Any] = {"domain": list(names.values())}
    colours = alt.Scale(range=[ORANGE, BLUE], **shared)
    return (
        base(long, len(table))
        .mark_point(size=70, strokeWidth=2, opacity=1)
        .encode(
            x=alt.X(
                "probability:Q",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", title="mean probability that the network gives to the class"),
            ),
            y=class_axis([name for name in table["class"] if name in set(long["class"])]),
            color=alt.Color("over:N", scale=colours, legend=alt.Legend(title=None, orient="top")),
            fill=alt.condition("datum.few", alt.value("transparent"), alt.Fill("over:N", scale=colours, legend=None)),
            shape=alt.Shape(
                "over:N",
                scale=alt.Scale(range=["diamond", "circle"], **shared),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                tip("class:N"),
                tip("over:N"),
                tip("probability:Q", ".1%", "mean probability"),
                tip("positives:Q", ","),
            ],
        )
    )
