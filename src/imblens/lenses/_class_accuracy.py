"""How often is each class right, how sure is that, and where do its errors go?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import imbalance
from imblens.base.intervals import wilson
from imblens.base.wording import FEW, counted, number, percent, ratio
from imblens.lenses._contract import Finding, Measure, lens
from imblens.run import Confusion, Run, Split, confusion_summary


class ClassAccuracy(Finding):
    """Recall per class with intervals; see `class_accuracy`."""

    def lines(self) -> dict[str, str]:
        """One line for each class below the mean accuracy, worst first."""
        table = self.tables["class_accuracy"]
        if "specificity" in table:
            return {
                str(row[1]): _label_line(row) for row in table.sort_values("accuracy").itertuples() if row.test_count
            }
        confusion = self.tables["confusion"]
        largest = table.loc[table["train_count"].idxmax(), "class"]
        found: dict[str, str] = {}
        mean = table["accuracy"].mean()
        for row in table[table["accuracy"] < mean].sort_values("accuracy", kind="stable").itertuples():
            name = str(row[1])
            errors = confusion[(confusion["class"] == name) & (confusion["predicted"] != name)]
            text = (
                f"{name} is right {percent(row.accuracy)} of the time "
                f"[{100 * row.accuracy_low:.0f}, {100 * row.accuracy_high:.0f}]"
            )
            if row.test_count < FEW:
                text += f" in {counted(row.test_count, 'test instance')}, too few to tell"
            if row.imbalance >= 1.5:
                text += f", {ratio(row.imbalance)}x rarer than {largest}"
            if errors["count"].sum():
                worst = errors.loc[errors["count"].idxmax()]
                text += f"; {_errors_to(int(worst['count']), int(errors['count'].sum()))} to {worst['predicted']}"
                text += ", too few to tell" if errors["count"].sum() < FEW <= row.test_count else ""
            found[name] = text + "."
        return found

    def charts(self) -> dict[str, Any]:
        """Accuracy with interval, rarest class last; confusion with the diagonal left blank, where there are errors."""
        charts = {"class_accuracy": _accuracy_chart(self)}
        if "confusion" in self.tables and self.tables["confusion"]["share"].notna().any():
            charts["confusion"] = _confusion_chart(self)
        return charts


def _errors_to(count: int, errors: int) -> str:
    if errors < FEW:
        return "its one error goes" if errors == 1 else f"{count} of its {errors} errors go"
    low, high = wilson(np.array(count), np.array(errors))
    return f"{percent(count / errors)} [{100 * low:.0f}, {100 * high:.0f}] of its errors go"


@lens(
    "How often is each class right, and how sure is that?",
    order=10,
    measures=(Measure("class_accuracy", "accuracy", "accuracy", "higher"),),
    needs=("test", "test_logits"),
)
def class_accuracy(run: Run) -> ClassAccuracy:
    """Recall of each class on the test split, with 95 % Wilson intervals.

    accuracy_c = right answers among test instances of c / test instances of c

    A class without test instances has accuracy NaN, never 0. With fewer than ten the line says "too few to tell".

    With several labels per instance every label is a question of its own, answered yes where its logit is above 0:
    accuracy is the recall of the instances that have it, specificity the share of noes among those that have it not,
    imbalance = instances without the label / instances with it. Labels that nobody could tell do not count.

    Args:
        run: with a test split whose answers are known.

    Returns:
        Tables `class_accuracy` (class, train_count, imbalance, test_count, accuracy, accuracy_low, accuracy_high) and
        `confusion` (class, predicted, count, share of the class's errors, NaN on the diagonal; error_count of the
        class). Summary: balanced_accuracy (mean recall over classes with test instances), geometric_mean = sqrt(macro
        sensitivity x macro specificity), macro_f1, accuracy. With several labels per instance there is no `confusion`;
        the table ends with specificity, specificity_low, specificity_high; balanced_accuracy is the mean over labels of
        (recall + specificity) / 2, and accuracy the share of all answers that are right.

    Raises:
        NotApplicable: no test split, or no answers.

    References:
        IML, section III-B and Fig. 2; EOS, section IV-A for the three measures. We add the intervals.
    """
    import pandas as pd

    assert run.test is not None
    if run.test.multilabel:
        return _label_accuracy(run)
    counts = confusion_counts(run.test)
    test_count = counts.sum(axis=1)
    right = np.diag(counts)
    low, high = wilson(right, test_count)
    table = pd.DataFrame(
        {
            "class": run.classes,
            "train_count": run.train.class_counts,
            "imbalance": imbalance(run.train.class_counts),
            "test_count": test_count,
            "accuracy": np.divide(right, test_count, out=np.full(len(right), np.nan), where=test_count > 0),
            "accuracy_low": low,
            "accuracy_high": high,
        }
    )
    untested = [name for name, n in zip(run.classes, test_count, strict=True) if n == 0]
    notes: tuple[str, ...] = ()
    if untested:
        notes = (f"No test instance of {', '.join(untested)}: accuracy is unknown there, and left out of every mean.",)
    return ClassAccuracy(
        {"class_accuracy": table, "confusion": _confusion_table(run, counts)}, confusion_summary(counts), notes=notes
    )


def _label_accuracy(run: Run) -> ClassAccuracy:
    import pandas as pd

    assert run.test is not None
    labels, known, said = run.test.labels.astype(bool), run.test.known, np.asarray(run.test.logits) > 0
    has, lacks = (labels & known).sum(axis=0), (~labels & known).sum(axis=0)
    hits, passed = (labels & known & said).sum(axis=0), (~labels & known & ~said).sum(axis=0)
    recall, specificity = _share(hits, has), _share(passed, lacks)
    low, high = wilson(hits, has)
    other_low, other_high = wilson(passed, lacks)
    train = run.train
    table = pd.DataFrame(
        {
            "class": run.classes,
            "train_count": train.class_counts,
            "imbalance": _share(((train.labels == 0) & train.known).sum(axis=0), train.class_counts),
            "test_count": has,
            "accuracy": recall,
            "accuracy_low": low,
            "accuracy_high": high,
            "specificity": specificity,
            "specificity_low": other_low,
            "specificity_high": other_high,
        }
    )
    told = (has > 0) & (lacks > 0)
    summary: dict[str, Any] = {
        "accuracy": number(_share((hits + passed).sum(), known.sum()).item()),
        "balanced_accuracy": None,
        "geometric_mean": None,
        "macro_f1": None,
    }
    if told.any():
        f1 = 2 * hits[told] / (hits + has + lacks - passed)[told]
        summary |= {
            "balanced_accuracy": float((recall[told] + specificity[told]).mean() / 2),
            "geometric_mean": float(np.sqrt(recall[told].mean() * specificity[told].mean())),
            "macro_f1": float(f1.mean()),
        }
    notes = []
    for what, lacking in (("has", has == 0), ("lacks", lacks == 0)):
        names = [name for name, empty in zip(run.classes, lacking, strict=True) if empty]
        if names:
            notes.append(f"No test instance {what} {', '.join(names)}: left out of every mean.")
    return ClassAccuracy({"class_accuracy": table}, summary, notes=tuple(notes))


def _label_line(row: Any) -> str:
    text = (
        f"{row[1]} is found in {percent(row.accuracy)} [{100 * row.accuracy_low:.0f}, {100 * row.accuracy_high:.0f}] "
        f"of the instances that have it"
    )
    if row.test_count < FEW:
        text += f" ({counted(row.test_count, 'test instance')}, too few to tell)"
    if np.isfinite(row.specificity):
        text += f", and wrongly said of {percent(1 - row.specificity)} of the others"
    if row.imbalance >= 1.5:
        text += f"; in training {ratio(row.imbalance)} lack it for one that has it"
    return f"{text}."


def _share(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def confusion_counts(split: Split) -> NDArray[np.int64]:
    """(C, C) counts of answers (columns) to the instances of each class (rows), computed once per split."""
    return split.statistic(Confusion, split.n_classes)


def _confusion_table(run: Run, counts: NDArray[np.int64]) -> Any:
    import pandas as pd

    errors = counts.astype(np.float64)
    np.fill_diagonal(errors, np.nan)
    n_errors = np.nansum(errors, axis=1, keepdims=True)
    share = np.divide(errors, n_errors, out=np.full(errors.shape, np.nan), where=n_errors > 0)
    return pd.DataFrame(
        {
            "class": np.repeat(run.classes, run.n_classes),
            "predicted": np.tile(run.classes, run.n_classes),
            "count": counts.ravel(),
            "share": share.ravel(),
            "error_count": np.repeat(n_errors.ravel().astype(np.int64), run.n_classes),
        }
    )


def _accuracy_chart(finding: ClassAccuracy) -> Any:
    import altair as alt

    from imblens.lenses._charts import BLUE, LABEL_LIMIT, base, class_axis, tip

    table = finding.tables["class_accuracy"].sort_values("train_count", ascending=False, kind="stable")
    order = [_row_name(row) for row in table.itertuples()]
    table = table.assign(**{"name": table["class"], "class": order, "few": table["test_count"] < FEW})
    table["remark"] = table["few"].map({True: "too few to tell", False: ""})
    y = class_axis(order, limit=LABEL_LIMIT + 60)
    what = "accuracy" if "specificity" not in table else "share found of the instances that have the label"
    share = alt.Axis(format="%", title=f"{what} on the test split, with 95 % interval", grid=True)
    rows = base(table, len(table))
    interval = rows.mark_rule(strokeWidth=2, color=BLUE).encode(
        x=alt.X("accuracy_low:Q", scale=alt.Scale(domain=[0, 1]), axis=share), x2=alt.X2("accuracy_high:Q"), y=y
    )
    points = rows.mark_point(size=70, strokeWidth=2, color=BLUE, opacity=1).encode(
        x=alt.X("accuracy:Q"),
        y=y,
        fill=alt.condition("datum.few", alt.value("white"), alt.value(BLUE)),
        tooltip=[
            tip("name:N", title="class"),
            tip("train_count:Q", ",", "training instances"),
            tip("test_count:Q", ",", "test instances"),
            tip("accuracy:Q", ".1%"),
        ],
    )
    remark = rows.mark_text(align="left", dx=8, fontSize=11).encode(
        x=alt.X("accuracy_high:Q"), y=y, text=alt.Text("remark:N")
    )
    return alt.layer(interval, points, remark)


def _row_name(row: Any) -> str:
    if hasattr(row, "specificity"):
        return (
            f"{row[1]} ({row.train_count:,}, 1 in {ratio(row.imbalance + 1)})" if row.train_count else f"{row[1]} (0)"
        )
    if not np.isfinite(row.imbalance) or row.imbalance < 1.05:
        return f"{row[1]} ({row.train_count:,})"
    return f"{row[1]} ({row.train_count:,}, {ratio(row.imbalance)}x rarer)"


def _confusion_chart(finding: ClassAccuracy) -> Any:
    from imblens.lenses._matrix import error_chart

    order = (
        finding.tables["class_accuracy"].sort_values("train_count", ascending=False, kind="stable")["class"].tolist()
    )
    return error_chart(
        finding.tables["confusion"],
        column="predicted",
        value="share",
        errors="error_count",
        order=order,
        title="answer given",
    )
