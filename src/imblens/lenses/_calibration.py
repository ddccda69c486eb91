"""Is the network as right as it is sure, class by class?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from imblens.base.blocks import row_blocks
from imblens.base.intervals import wilson
from imblens.base.wording import FEW, counted, number, percent
from imblens.errors import InputError
from imblens.lenses._contract import Finding, Measure, lens
from imblens.run import Batch, Run, Statistic

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
NOTABLE = 0.02  # a gap between confidence and accuracy worth a line


class Calibration(Finding):
    """Confidence against accuracy per class; see `calibration`."""

    def lines(self) -> dict[str, str]:
        """One line for each class whose confidence lies outside the interval of its accuracy, widest gap first."""
        table = self.tables["calibration"]
        found: dict[str, str] = {}
        if self.summary["task"] == "multiclass":
            low, high = wilson(table["accuracy"] * table["test_count"], table["test_count"])
            outside = (table["confidence"] > high) | (table["confidence"] < low)
            gap = table["over_confidence"].abs()
            off = table.assign(gap=gap)[(table["test_count"] >= FEW) & outside & (gap >= NOTABLE)]
            for row in off.sort_values("gap", ascending=False, kind="stable").itertuples():
                way = "over-confident" if row.over_confidence > 0 else "under-confident"
                found[str(row[1])] = (
                    f"{row[1]}: on its {counted(row.test_count, 'test instance')} the network is {percent(row.confidence)} "
                    f"sure on average and right {percent(row.accuracy)} of the time: {way} by "
                    f"{100 * abs(row.over_confidence):.0f} points."
                )
        else:
            for row in table.sort_values("over_confidence", ascending=False, kind="stable").itertuples():
                if row.accuracy > 0 and row.confidence > 2 * row.accuracy:
                    found[str(row[1])] = (
                        f"{row[1]}: the mean probability is {percent(row.confidence)}, but only "
                        f"{percent(row.accuracy)} of the test instances have it."
                    )
        if self.summary["ece"] is not None:
            found[""] = (
                f"Over all classes, confidence and accuracy differ by {100 * self.summary['ece']:.1f} points "
                f"(expected calibration error, {self.summary['n_bins']} bins)."
            )
        return found

    def charts(self) -> dict[str, Any]:
        """Confidence beside accuracy for each class; accuracy by confidence over all classes, and of a chosen one."""
        return {"calibration": _class_chart(self), "reliability": _reliability_chart(self)}


@lens(
    "Are rare classes over-confident?",
    order=100,
    measures=(Measure("calibration", "ece", "expected calibration error", "lower", "calibration_error"),),
    needs=("test", "test_logits"),
)
def calibration(run: Run, *, n_bins: int = 15) -> Calibration:
    """Mean confidence, accuracy and expected calibration error of each class on the test split.

    ece = sum over bins of (instances in bin / instances) * |accuracy in bin - mean confidence in bin|

    Confidence is the largest softmax probability; bins are (0, 1/n], (1/n, 2/n], ... A row speaks of the test
    instances whose label is that class, so its accuracy is the class's recall. Even a network whose probabilities are
    perfect is surer than right on a class that the test split holds less often than it was trained for, and less sure
    where it holds it more often; `answered_...` asks the question a user of the answers asks: of the times the network
    said this class, how sure was it and how often right?

    In a multi-label run each class is a question of its own: confidence is the mean sigmoid probability over all test
    instances, accuracy the share of them that are positive, and `answered_...` the instances with probability above
    one half.

    Args:
        run: with a test split whose answers are known.
        n_bins: bins of equal width, 1 or more.

    Returns:
        Table `calibration`: class, confidence, accuracy, ece, test_count, over_confidence (confidence - accuracy),
        answered_count, answered_confidence, answered_accuracy. Table `reliability`: bin, count, confidence, accuracy,
        low, high over all classes; table `class_reliability`: class and the same, without empty bins. NaN for a class
        without test instances, or that is never the answer. Summary: ece and confidence over all instances,
        mean_class_ece, classes_over_confident.

    Raises:
        NotApplicable: no test split, or its answers are unknown.
        InputError: `n_bins` is less than 1.

    References:
        Guo et al. 2017, On calibration of modern neural networks, section 2 (15 bins, equal width). We add the rows
        per class. Zhong et al. 2021, Improving calibration for long-tailed recognition, report the same over-confidence.
    """
    import pandas as pd

    if n_bins < 1:
        raise InputError(f"calibration: n_bins={n_bins} must be at least 1.", hint="The usual number is 15.")
    assert run.test is not None
    known = run.test.known if run.test.multilabel else None
    sums = run.test.reduce(lambda: _Reliability(run.n_classes, n_bins, known))
    by_class, answered = sums.by_class, sums.answered
    totals = by_class.sum(axis=1)  # (C, 3)
    confidence, accuracy = _mean(totals[:, 1], totals[:, 0]), _mean(totals[:, 2], totals[:, 0])
    table = pd.DataFrame(
        {
            "class": run.classes,
            "confidence": confidence,
            "accuracy": accuracy,
            "ece": _ece(by_class),
            "test_count": totals[:, 0].astype(np.int64),
            "over_confidence": confidence - accuracy,
            "answered_count": answered[:, 0].astype(np.int64),
            "answered_confidence": _mean(answered[:, 1], answered[:, 0]),
            "answered_accuracy": _mean(answered[:, 2], answered[:, 0]),
        }
    )
    bins = by_class.sum(axis=0)  # (n_bins, 3)
    of, at = np.nonzero(by_class[:, :, 0])
    classes = np.asarray(run.classes, dtype=object)
    tables = {
        "calibration": table,
        "reliability": _reliability(bins, np.arange(n_bins), n_bins),
        "class_reliability": pd.concat(
            [pd.DataFrame({"class": classes[of]}), _reliability(by_class[of, at], at, n_bins)], axis="columns"
        ),
    }
    return Calibration(tables, _summary(run, table, bins, n_bins), notes=_notes(table))


def _reliability(sums: Floats, at: NDArray[np.int64], n_bins: int) -> pd.DataFrame:
    """Rows of (count, confidence, right) sums (B, 3) in the bins `at` (B,), counted from 0."""
    import pandas as pd

    return pd.DataFrame(
        {
            "bin": at + 1,
            "count": sums[:, 0].astype(np.int64),
            "confidence": _mean(sums[:, 1], sums[:, 0]),
            "accuracy": _mean(sums[:, 2], sums[:, 0]),
            "low": at / n_bins,
            "high": (at + 1) / n_bins,
        }
    )


@dataclass(frozen=True)
class _Sums:
    """Sums of (count, confidence, right): by class and bin (C, n_bins, 3), by answer (C, 3)."""

    by_class: Floats
    answered: Floats


class _Reliability(Statistic[_Sums]):
    """Count, summed confidence and summed right answers per class and bin, and per answer."""

    needs_logits = True

    def __init__(self, n_classes: int, n_bins: int, known: NDArray[np.bool_] | None) -> None:
        self._known = known  # (N, C), with several labels per instance
        self._by_class = np.zeros((n_classes, n_bins, 3))
        self._answered = np.zeros((n_classes, 3))

    def update(self, batch: Batch) -> None:
        from scipy.special import expit, softmax

        assert batch.logits is not None
        for rows in row_blocks(len(batch), batch.n_classes):
            logits = np.asarray(batch.logits[rows], dtype=np.float64)
            labels = batch.labels[rows]
            if labels.ndim == 2:
                probability = expit(logits)  # (b, C)
                columns = np.broadcast_to(np.arange(batch.n_classes), probability.shape)
                assert self._known is not None
                known = self._known[batch.start + rows.start :][: len(labels)]
                self._add(columns[known], columns[known], probability[known], labels[known], probability[known] > 0.5)
            else:
                answers = logits.argmax(axis=1)
                confidence = softmax(logits, axis=1).max(axis=1)
                self._add(labels, answers, confidence, answers == labels, None)

    def merge(self, other: Self) -> Self:
        self._by_class += other._by_class
        self._answered += other._answered
        return self

    def finish(self) -> _Sums:
        return _Sums(self._by_class.copy(), self._answered.copy())

    def _add(
        self,
        labels: NDArray[Any],
        answers: NDArray[Any],
        confidence: Floats,
        right: NDArray[Any],
        said: NDArray[np.bool_] | None,
    ) -> None:
        n_classes, n_bins, _ = self._by_class.shape
        place = np.clip(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
        key = labels * n_bins + place
        for column, weights in enumerate((None, confidence, right)):
            sums = np.bincount(key, weights=weights, minlength=n_classes * n_bins)
            self._by_class[:, :, column] += sums.reshape(n_classes, n_bins)
            if said is not None and weights is None:
                chosen: NDArray[Any] | None = said.astype(np.float64)
            else:
                chosen = weights if said is None or weights is None else weights * said
            self._answered[:, column] += np.bincount(answers, weights=chosen, minlength=n_classes)


def _mean(sums: Floats, counts: Floats) -> Floats:
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)


def _ece(sums: Floats) -> Floats:
    """Expected calibration error of (..., n_bins, 3) sums; NaN without instances."""
    counts = sums[..., 0].sum(axis=-1)
    gaps = np.abs(sums[..., 2] - sums[..., 1]).sum(axis=-1)
    return np.divide(gaps, counts, out=np.full(counts.shape, np.nan), where=counts > 0)


def _summary(run: Run, table: pd.DataFrame, bins: Floats, n_bins: int) -> dict[str, Any]:
    total = bins[:, 0].sum()
    return {
        "task": run.task,
        "n_bins": n_bins,
        "ece": number(float(_ece(bins))),
        "confidence": number(float(bins[:, 1].sum() / total)),
        "accuracy": number(float(bins[:, 2].sum() / total)),
        "mean_class_ece": number(table["ece"].mean()),
        "classes_over_confident": int((table["over_confidence"] > 0).sum()),
    }


def _notes(table: pd.DataFrame) -> tuple[str, ...]:
    notes = []
    empty = table.loc[table["test_count"] == 0, "class"]
    if len(empty):
        notes.append(f"No test instance of {', '.join(empty)}: calibration is unknown there.")
    unsaid = table.loc[table["answered_count"] == 0, "class"]
    if len(unsaid):
        notes.append(f"The network never answers {', '.join(unsaid)} on the test split.")
    few = table.loc[(table["test_count"] > 0) & (table["test_count"] < FEW), "class"]
    if len(few):
        notes.append(f"Fewer than {FEW} test instances of {', '.join(few)}: too few to tell.")
    return tuple(notes)


def _class_chart(finding: Calibration) -> Any:
    import altair as alt

    from imblens.lenses._charts import BLUE, ORANGE, base, class_axis, tip

    table = finding.tables["calibration"].dropna(subset=["confidence"])
    table = table.sort_values("over_confidence", ascending=False, kind="stable")
    multiclass = finding.summary["task"] == "multiclass"
    names = ("mean confidence", "accuracy") if multiclass else ("mean probability", "share of positives")
    y = class_axis(table["class"].tolist())
    gap = (
        base(table, len(table))
        .mark_rule(strokeWidth=2, color="#767676")
        .encode(
            x=alt.X(
                "confidence:Q",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", title=f"{names[0]} and {names[1]} on the test split"),
            ),
            x2=alt.X2("accuracy:Q"),
            y=y,
        )
    )
    long = table.melt(["class", "test_count"], ["confidence", "accuracy"], "measure", "value")
    long["measure"] = long["measure"].map({"confidence": names[0], "accuracy": names[1]})
    long["few"] = long["test_count"] < FEW
    colours = alt.Scale(domain=list(names), range=[ORANGE, BLUE])
    points = (
        base(long, len(table))
        .mark_point(size=70, strokeWidth=2, opacity=1)
        .encode(
            x=alt.X("value:Q"),
            y=y,
            color=alt.Color(
                "measure:N",
                scale=colours,
                legend=alt.Legend(title=None, orient="top"),
            ),
            fill=alt.condition(
                "datum.few", alt.value("transparent"), alt.Fill("measure:N", scale=colours, legend=None)
            ),
            shape=alt.Shape(
                "measure:N",
                scale=alt.Scale(domain=list(names), range=["diamond", "circle"]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                tip("class:N"),
                tip("measure:N"),
                tip("value:Q", ".1%"),
                tip("test_count:Q", ",", "test instances"),
            ],
        )
    )
    return alt.layer(gap, points)


def _reliability_chart(finding: Calibration) -> Any:
    import altair as alt
    import pandas as pd

    from imblens.lenses._charts import BLUE, CHOSEN, GREY, ORANGE, base, chosen_class

    table = finding.tables["reliability"].dropna(subset=["accuracy"])
    multiclass = finding.summary["task"] == "multiclass"
    names = ("mean confidence", "accuracy") if multiclass else ("mean probability", "share of positives")
    whole = alt.Scale(domain=[0, 1])
    ideal = (
        base(pd.DataFrame({"at": [0.0, 1.0]}))
        .mark_line(color=GREY, strokeDash=[4, 4])
        .encode(x=alt.X("at:Q"), y=alt.Y("at:Q"))
    )

    def points(table: pd.DataFrame, colour: str, *tooltip: alt.Tooltip) -> alt.Chart:
        return (
            base(table.assign(few=table["count"] < FEW))
            .mark_point(color=colour, strokeWidth=2, opacity=1)
            .encode(
                fill=alt.condition("datum.few", alt.value("white"), alt.value(colour)),
                size=alt.Size(
                    "count:Q", scale=alt.Scale(range=[30, 400]), legend=alt.Legend(title="instances", orient="top")
                ),
                x=alt.X("confidence:Q", scale=whole, axis=alt.Axis(format="%", title=names[0])),
                y=alt.Y("accuracy:Q", scale=whole, axis=alt.Axis(format="%", title=names[1])),
                tooltip=[
                    *tooltip,
                    alt.Tooltip("confidence:Q", format=".1%"),
                    alt.Tooltip("accuracy:Q", format=".1%"),
                    alt.Tooltip("count:Q", format=","),
                ],
            )
        )

    of_chosen = f"datum.class === {CHOSEN}"
    own = points(finding.tables["class_reliability"], ORANGE, alt.Tooltip("class:N")).transform_filter(of_chosen)
    told = (
        base(finding.tables["calibration"][["class"]])
        .transform_filter(of_chosen)
        .mark_text(align="left", baseline="top", fontSize=13, fontWeight="bold", dx=6, dy=4, limit=240)
        .encode(x=alt.value(0), y=alt.value(0), text="class:N")
    )
    return alt.layer(ideal, points(table, BLUE), own, told).add_params(chosen_class())
