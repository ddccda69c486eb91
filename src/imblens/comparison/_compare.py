"""Comparison of runs: changes of each class from the first run, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from imblens.base.arguments import checked, flag, some_texts
from imblens.base.progress import tracked
from imblens.base.random_state import random_state_kept
from imblens.base.wording import FEW, listed, percent, points
from imblens.comparison._changes import class_table, classes_known_in_all, measure_table, paired_rows, summary_table
from imblens.comparison._gains import gains
from imblens.comparison._of_classes import check_classes, class_tables
from imblens.comparison._rankings import left_out_note, ranking_line, ranking_table, rankings, with_intervals
from imblens.errors import InputError, NotApplicable, ShapeError
from imblens.lenses import (
    Finding,
    Measure,
    all_lenses,
    class_measures,
    common_map,
    compare_class_features,
    lens_info,
    run_lenses,
)
from imblens.run import Run, as_runs, class_groups, group_name, legible, share_graph

POINTS = 2_000  # real instances, and synthetic ones of each run, on a map of named classes

ONE_TRAINING = (
    "Intervals cover the choice of test instances. Each run is one training (or one fitted head): how much results vary "
    "between trainings of one method is not in them."
)
MANY_CLASSES = 120  # of more, charts show some only:
ENDS = 30  # of the largest, and of the smallest
WORST = 10  # of those whose accuracy fell most


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: the first is the reference.
        names: of the runs, in their order.
        tables: `comparison`, `comparison_summary`, `comparison_measures` and more; see `compare`.
        notes: what limits the comparison, one sentence each.
        findings: of the lenses that measure classes, by name, for each run.
        measures: declarations of the class measures in `comparison_measures`, by name.
        maps: the runs' instances on maps of one frame, where they were asked for and can be.
        of: classes that are shown in full.
    """

    runs: tuple[Run, ...] = field(repr=False)
    names: tuple[str, ...]
    tables: Mapping[str, pd.DataFrame] = field(repr=False)
    notes: tuple[str, ...] = ()
    findings: tuple[Mapping[str, Finding], ...] = field(default=(), repr=False)
    measures: Mapping[str, Measure] = field(default_factory=dict, repr=False)
    maps: Finding | None = field(default=None, repr=False)
    of: tuple[str, ...] = ()

    def verdict(self) -> list[str]:
        """Return a few lines: the best other run, classes that improve and that get worse, then the same for the others."""
        order = best_first(self)
        lines = [] if not order else [_headline(self, order[0])]
        for name in order:
            ranks = ranking_line(self.tables, name, self.names[0]) if self.runs[0].task == "multilabel" else ""
            lines += [line for line in (ranks, _gains(self, name)) if line]
        return lines or ["No class has test instances with predictions in all runs, so no accuracy can be compared."]

    def charts(self) -> dict[str, Any]:
        """Altair charts by name: accuracy, change, each measure that differs between the runs, and the named classes."""
        from imblens.comparison._charts import charts  # with Altair, which only charts need
        from imblens.comparison._class_charts import class_charts

        classes, measures = self.tables["comparison"], self.tables["comparison_measures"]
        first = classes[classes["run"] == self.names[0]].sort_values("train_count", ascending=False, kind="stable")
        if len(first) > MANY_CLASSES:
            fell = classes.dropna(subset="change").sort_values(["change", "change_high"], kind="stable")["class"]
            kept = [*first["class"].head(ENDS), *first["class"].tail(ENDS), *fell.drop_duplicates().head(WORST)]
            classes, measures = (table[table["class"].isin(kept)] for table in (classes, measures))
        found = charts(self.names, classes, measures, {name: one.title for name, one in self.measures.items()})
        for place, label in enumerate(self.of):
            found |= class_charts(self.names, self.tables, label, place)
        return found | ({} if self.maps is None else self.maps.charts())


@checked(names=some_texts(optional=True), draw_map=flag(), of=some_texts("classes"))
def compare(
    runs: Sequence[Run],
    names: Sequence[str] | None = None,
    *,
    draw_map: bool = False,
    of: str | Sequence[str] = (),
) -> Comparison:
    """Compare runs of one data set: every class's accuracy, its change from the first run, and how certain that is.

    Where two runs predict the same test instances (equal ids and labels), the interval of a change is Agresti and
    Min's for paired shares, which is much narrower; otherwise it is Newcombe's for different instances. The column
    `paired` states which. Classes that only some runs have are left out; a note names them.

    In multi-label runs the accuracy of a label is the mean of its recall and its specificity at a probability of 0.5;
    both follow as columns (`recall`, `specificity`), and test_count is the number of positives.

    Args:
        runs: two or more; the first is what the others are compared with.
        names: one for each run; from their folders, data and treatment when None.
        draw_map: whether to draw the runs' instances on maps with common axes (table `common_map`), the slowest part.
        of: classes to show in full, one or several: where their errors go and what was forecast, and which of their
            strongest features other classes share, in each run (IML, Figs 6, 8 and 10). With two or more, maps are of
            these classes alone, synthetic instances marked (EOS, Fig. 6).

    Returns:
        Tables `comparison` (run, class, train_count, test_count, accuracy, accuracy_low, accuracy_high, change,
        change_low, change_high, gained, lost, paired; changes are NaN for the first run, gained and lost where not
        paired), `comparison_summary` (run, balanced_accuracy, geometric_mean, macro_f1, accuracy, mean_auroc, change,
        change_low, change_high; the change is that of balanced accuracy;
        where the runs or their test splits have different classes, balanced
        accuracy and change are over those that all test, and the other measures are NaN) and `comparison_measures` (run,
        class, measure, value, change, change_low, change_high; the interval is known for auroc and
        average_precision of runs with the same test instances): every class measure that a lens declares
        (`imblens.lenses.class_measures`), accuracy apart. Intervals are 95%.
        `comparison_ranking` (run, measure, change, change_low, change_high): changes of mean AUROC and mean average
        precision, which no threshold changes.
        Runs with a head and one label per instance have also `feature_changes` and `diversity_changes`, those of
        `imblens.lenses.compare_class_features` from the first run to each other one, after a column `run`.
        With `of`: `class_errors` (run, class, other, missed, false_positives, observed, forecast, shared), `class_strongest`
        (run, class, other, rank, feature, share, shared) and `class_density` (run, class, adversary, rank, feature, ratio,
        rate_ratio); see `imblens.lenses.adversaries`, `feature_overlap` and `feature_density`.

    Raises:
        InputError: fewer than two runs, names or classes that repeat, or no class in common.
        MissingError: a run does not have a class of `of`.
        ShapeError: not one name for each run.

    References:
        Agresti and Min 2005; Newcombe 1998, method 10.

    Example:
        >>> import numpy as np
        >>> features = np.arange(40.0).reshape(20, 2) % 7
        >>> labels = np.repeat([0, 1], 10)
        >>> right, wrong = np.eye(2)[labels], np.eye(2)[1 - labels]
        >>> one = Run.from_arrays(train=(features, labels), test=(features, labels, np.r_[right[:15], wrong[15:]]))
        >>> two = Run.from_arrays(train=(features, labels), test=(features, labels, right))
        >>> found = compare([one, two], names=["before", "after"]).tables["comparison"]
        >>> found.loc[3, "run"], found.loc[3, "class"], float(found.loc[3, "change"]), int(found.loc[3, "gained"])
        ('after', '1', 0.5, 5)
    """
    with random_state_kept():
        return _compared(as_runs(runs, "compare"), names, draw_map, of)


def _findings(runs: Sequence[Run], lenses: Sequence[str]) -> tuple[dict[str, Finding], ...]:
    """The findings of every run; neighbours are searched once for all runs with the same features."""
    found: list[dict[str, Finding]] = []
    for place, run in enumerate(tracked(runs, "comparing runs")):
        for one in runs[:place]:
            share_graph(one.train, run.train)
        found.append(run_lenses(run, lenses)[0])
    return tuple(found)


def _compared(runs: Sequence[Run], names: Sequence[str] | None, draw_map: bool, of: str | Sequence[str]) -> Comparison:
    if len(runs) < 2:
        raise InputError(f"compare got {len(runs)} run(s).", hint="Give two or more; the first is the reference.")
    labelled = tuple(legible(str(name)) for name in names) if names is not None else _names(runs)
    if len(labelled) != len(runs):
        raise ShapeError(f"there are {len(labelled)} names for {len(runs)} runs.", hint="Give one name for each run.")
    if len(set(labelled)) < len(labelled):
        raise InputError(f"names repeat: {', '.join(labelled)}.", hint="Runs need names that differ.")
    tasks = {run.task for run in runs}
    if len(tasks) > 1:
        raise InputError("some runs are single-label, others multi-label.", hint="Compare runs of one kind.")
    in_all = set(runs[0].classes).intersection(*(run.classes for run in runs))
    classes = [name for name in runs[0].classes if name in in_all]
    if not classes:
        raise InputError("the runs have no class in common.", hint="Compare runs of one data set.")
    of = check_classes(of, runs, labelled)
    wanted = [name for name, lens in all_lenses().items() if lens_info(lens).measures]
    findings = _findings(runs, wanted)
    measured = [
        {name: measure for name, measure in class_measures(of_run).items() if name != "accuracy"} for of_run in findings
    ]
    notes = _notes(runs, labelled, classes)
    if len(classes) > MANY_CLASSES:
        notes += (
            f"Charts show the {ENDS} largest and the {ENDS} smallest classes, and the {WORST} whose accuracy fell most "
            "or rose least; tables have all.",
        )
    per_class = pd.concat(
        [
            class_table(runs[0] if place else None, run, labelled[place], classes)  # a run may be compared with itself
            for place, run in enumerate(runs)
        ],
        ignore_index=True,
    )
    pairs = [paired_rows(runs[0], run) for run in runs]
    ranked = rankings(runs, labelled, classes, pairs)
    notes += left_out_note(runs, classes, pairs)

    measures = with_intervals(measure_table(measured, labelled, classes), ranked, classes)
    tables = {
        "comparison": per_class,
        "comparison_summary": summary_table(runs, findings, labelled, per_class, measures, pairs),
        "comparison_measures": measures,
        **({"comparison_ranking": ranking_table(ranked)} if ranked else {}),
    }
    for shown, reasons in (_class_features(runs, labelled), class_tables(runs, labelled, of) if of else ({}, ())):
        tables |= shown
        notes += reasons
    maps = None
    if draw_map:
        try:
            few: dict[str, Any] = {"classes": of, "n_points": POINTS} if len(of) > 1 else {}
            maps = common_map(runs, names=labelled, **few)
        except (InputError, NotApplicable) as reason:  # other instances, or too few
            notes += (f"No common map: {reason.message.removeprefix('common_map: ')}",)
        else:
            tables |= maps.tables
            notes += maps.notes
    declared = {name: found.measure for of_run in measured for name, found in of_run.items()}
    return Comparison(tuple(runs), labelled, tables, notes, findings, declared, maps, of)


def _class_features(runs: Sequence[Run], names: Sequence[str]) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """Tables and notes of `compare_class_features` from the first run to each other one that can be compared with it."""
    found: dict[str, list[pd.DataFrame]] = {}
    notes: list[str] = []
    for name, run in zip(names[1:], runs[1:], strict=True):
        try:
            changes = compare_class_features(runs[0], run)
        except NotApplicable:
            continue
        for table, frame in changes.tables.items():
            found.setdefault(table, []).append(frame.assign(run=name)[["run", *frame.columns]])
        kept, k = changes.summary["kept_share"], changes.summary["k"]
        sentence = [] if kept is None else [f"{name} keeps {percent(kept)} of the classes' {k} strongest features."]
        notes.append(" ".join([*sentence, *changes.notes]))
    return {table: pd.concat(frames, ignore_index=True) for table, frames in found.items()}, tuple(notes)


def best_first(comparison: Comparison) -> list[str]:
    """Names of the runs but the first, best balanced accuracy (or mean AUROC) first; those without a value left out."""
    table = comparison.tables["comparison_summary"]
    key = "balanced_accuracy" if table["balanced_accuracy"].notna().any() else "mean_auroc"
    known = table.iloc[1:].dropna(subset=[key])
    return [str(name) for name in known.sort_values(key, ascending=False, kind="stable")["run"]]


def _headline(comparison: Comparison, name: str) -> str:
    table = comparison.tables["comparison_summary"].set_index("run")
    reference = comparison.names[0]
    now, then = table.loc[name], table.loc[reference]
    if np.isfinite(now["balanced_accuracy"]) and np.isfinite(then["balanced_accuracy"]):
        text = (
            f"{name}: balanced accuracy {100 * now['balanced_accuracy']:.1f}% ({reference}: "
            f"{100 * then['balanced_accuracy']:.1f}%), a change of {points(now['change'])} "
            f"[{_signed(now['change_low'])}, {_signed(now['change_high'])}]"
        )
        tested = classes_known_in_all(comparison.tables["comparison"])
        if len(tested) < max(run.n_classes for run in comparison.runs):
            text += f", over the {len(tested)} class{'' if len(tested) == 1 else 'es'} that all test splits contain"
        sure = now["change_low"] > 0 or now["change_high"] < 0
        return f"{text}." if sure else f"{text}, which may be due to chance."
    if np.isfinite(now["mean_auroc"]) and np.isfinite(then["mean_auroc"]):
        change = now["mean_auroc"] - then["mean_auroc"]
        return f"{name}: mean AUROC {now['mean_auroc']:.3f} ({reference}: {then['mean_auroc']:.3f}), a change of {change:+.3f}."
    return f"{name} and {reference} have no measure in common."


def _gains(comparison: Comparison, name: str) -> str:
    table = comparison.tables["comparison"]
    of_run = table[table["run"] == name]
    if "recall" in table:
        first = table[table["run"] == comparison.names[0]].set_index("class")
        for kind in ("recall", "specificity"):
            before = of_run["class"].map(first[kind])
            of_run = of_run.assign(**{f"{kind}_before": before, f"{kind}_after": of_run[kind]})
    return gains(of_run, name)


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "\u2212")


def _names(runs: Sequence[Run]) -> tuple[str, ...]:
    """A name for each run: its folder, else its treatment, else its place."""
    found = []
    for place, run in enumerate(runs):
        treatment = run.meta.get("treatment")
        name = run.path.name if run.path is not None else None
        if name is None and isinstance(treatment, Mapping):
            name = str(treatment.get("name") or "") or None
        found.append(legible(name or "") or ("reference" if place == 0 else f"run {place + 1}"))
    if len(set(found)) < len(found):
        found = [f"{name} ({place + 1})" for place, name in enumerate(found)]
    return tuple(found)


def _notes(runs: Sequence[Run], names: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
    notes = []
    left_out = sorted({name for run in runs for name in run.classes} - set(classes))
    if left_out:
        notes.append(f"Left out, because not every run has them: {', '.join(left_out)}.")
    for name, run in zip(names[1:], runs[1:], strict=True):
        if run.test is None or runs[0].test is None:
            continue
        if paired_rows(runs[0], run) is None:
            notes.append(
                f"{names[0]} and {name} were tested on different instances, so changes are compared as of different samples."
            )
    notes.append(ONE_TRAINING)
    if runs[0].test is not None and runs[0].test.groups is not None:
        notes.append(
            f"Intervals are by {group_name(runs[0])}: instances of one {group_name(runs[0])} are not independent."
        )
    few = few_in_means(runs, classes)
    return (*notes, few) if few else tuple(notes)


def few_in_means(runs: Sequence[Run], classes: Sequence[str]) -> str:
    """A sentence on the classes of too few test instances, which move means as much as others; "" where none is.

    Args:
        runs: whose means are shown.
        classes: that the means are over; those without a test instance are in none.

    Example:
        >>> y = np.repeat([0, 1], [20, 3])
        >>> few_in_means([Run.from_arrays(train=(np.eye(2)[y], y), test=(np.eye(2)[y], y), classes=["a", "b"])], ["a", "b"])
        'Of fewer than 10 test instances: b. In every mean they count as much as others.'
    """
    found: dict[str, str] = {}
    for run in runs:
        numbers, unit = _units(run)
        found |= {name: unit for name in classes if 0 < numbers[name] < FEW}
    if not found:
        return ""
    positive = "positive " if runs[0].task == "multilabel" and "instance" in found.values() else ""
    units = " or ".join(f"{unit}s" for unit in dict.fromkeys(found.values()))
    return (
        f"Of fewer than {FEW} {positive}test {units}: {listed([name for name in classes if name in found])}. In every mean "
        "they count as much as others."
    )


def class_lines(comparison: Comparison, name: str) -> dict[str, str]:
    """One line for each class with a statistically clear change of accuracy, largest change first."""
    table = comparison.tables["comparison"]
    before = table[table["run"] == comparison.names[0]].set_index("class")
    rows = table[(table["run"] == name) & table["change"].notna()]
    clear = rows[(rows["change_low"] > 0) | (rows["change_high"] < 0)]
    run = comparison.runs[comparison.names.index(name)]
    few, unit = _units(run)
    found = {}
    for row in clear.loc[clear["change"].abs().sort_values(ascending=False, kind="stable").index].to_dict("records"):
        label = str(row["class"])
        text = (
            f"{label} goes from {_from_to(before.loc[label, 'accuracy'], row['accuracy'])}: {points(row['change'])} "
            f"[{_signed(row['change_low'])}, {_signed(row['change_high'])}]"
        )
        if "recall" in row:
            text += (
                f". Sensitivity {_from_to(before.loc[label, 'recall'], row['recall'])}, "
                f"false-positive rate {_from_to(1 - before.loc[label, 'specificity'], 1 - row['specificity'])}"
            )
        elif row["paired"]:
            text += f"; {row['gained']:.0f} test instances become correct and {row['lost']:.0f} misclassified"
        found[label] = text + (f"; few test {unit}s" if few[label] < FEW else "") + "."
    return found


def _units(run: Run) -> tuple[dict[str, int], str]:
    """Test instances (positives) of each class, or groups of them where groups are known, and what is counted."""
    if run.test is None:
        return dict.fromkeys(run.classes, 0), "instance"
    unit = "instance" if run.test.groups is None else "group"
    return dict(zip(run.classes, class_groups(run.test).tolist(), strict=True)), unit


def _from_to(then: float, now: float) -> str:
    return f"{percent(then)} to {percent(now)}"
