"""The one engine for before and after: correct predictions of each class, their change and how certain it is.

`compare` and the tables of treatments are made from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.groups import shared_effect
from imblens.base.intervals import independent_change, mean_change, mean_of_kinds, paired_change, wilson
from imblens.lenses import ClassMeasure, Finding, common_rows
from imblens.run import Run, group_effects

SUMMARY = ("balanced_accuracy", "geometric_mean", "macro_f1", "accuracy")
Rows = tuple[NDArray[np.int64], NDArray[np.int64]]  # of the same test instances in two runs


def classes_known_in_all(per_class: pd.DataFrame) -> list[str]:
    """Classes whose accuracy is known in every run that has predictions."""
    known = per_class.groupby("run")["accuracy"].transform(lambda accuracy: accuracy.notna().any())
    complete = per_class[known].groupby("class", sort=False)["accuracy"].agg(lambda accuracy: accuracy.notna().all())
    return [str(name) for name in complete.index[complete.to_numpy(dtype=bool)]]


def paired_rows(first: Run, other: Run) -> Rows | None:
    """Rows of the same test instances in both runs, where they hold exactly the same ones."""
    if first.test is None or other.test is None or len(first.test) != len(other.test):
        return None
    rows = common_rows(first.test, other.test)
    return rows if rows is not None and len(rows[0]) == len(first.test) else None


def class_table(first: Run | None, run: Run, name: str, classes: Sequence[str]) -> pd.DataFrame:
    """Rows of the table `comparison` for one run; without changes where it is the first."""
    right, count = class_counts(run, classes)
    worth = class_effects(run, classes)
    accuracy, low, high = mean_of_kinds(divide(right, count), *wilson(right / worth, count / worth))
    changes = dict.fromkeys(("change", "change_low", "change_high", "gained", "lost"), np.full(len(classes), np.nan))
    rows = None
    if first is not None:
        rows = paired_rows(first, run) if _has_predictions(first) and _has_predictions(run) else None
        changes = class_changes(first, run, classes, rows)
    found = pd.DataFrame(
        {
            "run": name,
            "class": list(classes),
            "train_count": run.train.class_counts[_places(run, classes)],
            "test_count": count[:, 0],
            "accuracy": accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            **changes,
            "paired": rows is not None,
        }
    )
    if run.task == "multilabel":
        found["recall"], found["specificity"] = divide(right, count).T
    return found


def class_changes(first: Run, run: Run, classes: Sequence[str], rows: Rows | None) -> dict[str, NDArray[np.float64]]:
    """Change of each class's accuracy from `first` to `run` with its 95% interval, and how many instances turned.

    Args:
        first, run: what is compared.
        classes: (C,) names.
        rows: of the same test instances in both, for paired intervals; None where the instances differ.

    Returns:
        (C,) change, change_low, change_high, gained and lost; the last two are NaN where the instances differ.
    """
    (right, count), (right_then, count_then) = class_counts(run, classes), class_counts(first, classes)
    step = divide(right, count) - divide(right_then, count_then)
    if rows is None:
        worth, worth_then = (class_effects(one, classes) for one in (run, first))
        change, low, high = mean_of_kinds(
            step, *independent_change(right / worth, count / worth, right_then / worth_then, count_then / worth_then)
        )
        sums = dict.fromkeys(("gained", "lost"), np.full(len(classes), np.nan))
    else:
        assert first.test is not None and run.test is not None
        turned = _turned(first, run, rows)
        every = np.arange(len(turned))
        gained, lost = (_of_kinds(run, classes, chosen, every) for chosen in (turned > 0, turned < 0))
        worth = _effects(run, classes, turned, events=gained + lost)
        change, low, high = mean_of_kinds(step, *paired_change(gained / worth, lost / worth, count / worth))
        sums = {name: turned.sum(axis=1).astype(np.float64) for name, turned in (("gained", gained), ("lost", lost))}
    return {"change": change, "change_low": low, "change_high": high, **sums}


def changes_alike(first: Run, run: Run, classes: Sequence[str], rows: Rows | None) -> float:
    """Variance of the mean of the classes' changes over what it is where classes are independent, 1 or more.

    Labels of one instance may change together, and so may instances of one group in several classes.

    Args:
        first, run, rows: as for `class_changes`.
        classes: those with a known change.
    """
    assert first.test is not None and run.test is not None
    if rows is None:
        return max(_alike(one, classes, ~one.test.correct) for one in (first, run) if one.test is not None)
    return _alike(run, classes, _turned(first, run, rows))


def _alike(run: Run, classes: Sequence[str], value: NDArray[Any]) -> float:
    """`shared_effect` of values (N,), or (N, C) in a multi-label run; values that are not 0 are its events."""
    split, here = run.test, _places(run, classes)
    assert split is not None
    if not split.multilabel and split.groups is None:
        return 1.0
    unit = np.arange(len(split)) if split.groups is None else np.asarray(split.groups, dtype=np.int64)
    n_units = int(unit.max()) + 1 if len(unit) else 0
    if not split.multilabel:
        own = np.isin(split.labels, here)
        return shared_effect([(split.labels[own], unit[own], value[own])], n_units, int(np.count_nonzero(value[own])))
    turned = np.zeros(len(split), dtype=bool)
    for label in here:
        turned |= (value[:, label] != 0) & split.known[:, label]

    def blocks() -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]]:
        for label in here:
            known = split.known[:, label]
            yield split.labels[known, label].astype(np.int64), unit[known], value[known, label]

    return shared_effect(blocks(), n_units, int(np.count_nonzero(turned)))


def _turned(first: Run, run: Run, rows: Rows) -> NDArray[np.int8]:
    """1 where a prediction of `run` became correct, -1 where it became misclassified; shape of its `correct`."""
    assert first.test is not None and run.test is not None
    then, now = first.test.correct[rows[0]], run.test.correct[rows[1]]
    turned = np.zeros(run.test.correct.shape, dtype=np.int8)
    turned[rows[1]] = now.astype(np.int8) - then.astype(np.int8)
    return turned


def _has_predictions(run: Run) -> bool:
    return run.test is not None and run.test.has_logits


def _places(run: Run, classes: Sequence[str]) -> NDArray[np.int64]:
    place = {name: number for number, name in enumerate(run.classes)}
    return np.array([place[name] for name in classes])


def class_counts(run: Run, classes: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(C, S) correct predictions and (C, S) test instances; zeros where no prediction is known.

    S is 1: the instances of the class. In multi-label runs it is 2: positives and negatives.
    """
    if not _has_predictions(run) or run.test is None:
        none = np.zeros((len(classes), 2 if run.task == "multilabel" else 1), np.int64)
        return none, none
    rows = np.arange(len(run.test))
    return _of_kinds(run, classes, run.test.correct, rows), _of_kinds(
        run, classes, np.ones_like(run.test.correct), rows
    )


def class_effects(run: Run, classes: Sequence[str]) -> NDArray[np.float64]:
    """(C, S) design effects of the shares of correct predictions; 1 where no groups are known; S as in `class_counts`."""
    return _effects(run, classes, None if run.test is None or not _has_predictions(run) else run.test.correct)


def _effects(
    run: Run, classes: Sequence[str], value: NDArray[Any] | None, *, events: Any = None
) -> NDArray[np.float64]:
    kinds = 2 if run.task == "multilabel" else 1
    if value is None or run.test is None or run.test.groups is None:
        return np.ones((len(classes), kinds))
    here = _places(run, classes)
    asked: list[Any] = [None] * kinds
    if events is not None:  # of all classes of the run
        every = np.zeros((run.n_classes, kinds))
        every[here] = events
        asked = list(every.T)
    if kinds == 1:
        return group_effects(run.test, run.test.labels, value, events=asked[0])[here, None]
    has, known = run.test.labels.astype(bool), run.test.known
    found = [
        group_effects(run.test, kind & known, value, events=of_kind)
        for kind, of_kind in zip((has, ~has), asked, strict=True)
    ]
    return np.stack(found, axis=1)[here]


def _of_kinds(run: Run, classes: Sequence[str], which: NDArray[np.bool_], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(C, S) how many of the test instances in `rows` are marked, by class and kind."""
    assert run.test is not None
    here = _places(run, classes)
    labels = run.test.labels[rows]
    if run.task != "multilabel":
        return np.bincount(labels[which], minlength=run.n_classes)[here, None]
    has, known = labels.astype(bool), run.test.known[rows]
    return np.stack([(which & known & kind).sum(axis=0)[here] for kind in (has, ~has)], axis=1)


def summary_table(
    runs: Sequence[Run],
    findings: Sequence[Mapping[str, Finding]],
    names: Sequence[str],
    per_class: pd.DataFrame,
    measures: pd.DataFrame,
    pairs: Sequence[Rows | None],
) -> pd.DataFrame:
    rows = []
    tested = classes_known_in_all(per_class)
    any_run = per_class.dropna(subset=["accuracy"])["class"].nunique()  # classes that some run tests
    shared = len(tested) < any_run or per_class["class"].nunique() < max(run.n_classes for run in runs)
    for run, name, of_run, rows_of in zip(runs, names, findings, pairs, strict=True):
        accuracy = of_run.get("class_accuracy")
        values = {} if accuracy is None else accuracy.summary
        own = per_class[per_class["run"] == name]
        if shared:  # values over different sets of classes cannot be compared
            own = own[own["class"].isin(tested)]
            values = {"balanced_accuracy": own["accuracy"].mean()}
        change = own["change"].to_numpy(dtype=np.float64)
        moved = own.loc[np.isfinite(change), "class"].tolist()
        alike = changes_alike(runs[0], run, moved, rows_of) if moved else 1.0
        low, high = mean_change(own["change_low"].to_numpy(), own["change_high"].to_numpy(), change, alike)
        auroc = measures.loc[(measures["run"] == name) & (measures["measure"] == "auroc"), "value"]
        rows.append(
            {
                "run": name,
                **{key: np.nan if values.get(key) is None else float(values[key]) for key in SUMMARY},
                "mean_auroc": float(auroc.mean()) if auroc.notna().any() else np.nan,
                "change": float(np.nanmean(change)) if np.isfinite(change).any() else np.nan,
                "change_low": low,
                "change_high": high,
            }
        )
    return pd.DataFrame(rows)


def measure_table(
    measured: Sequence[Mapping[str, ClassMeasure]], names: Sequence[str], classes: Sequence[str]
) -> pd.DataFrame:
    rows = []
    for measure in dict.fromkeys(name for of_run in measured for name in of_run):
        first: dict[str, float] = {}
        for name, of_run in zip(names, measured, strict=True):
            if measure not in of_run:
                continue
            values = {str(label): float(value) for label, value in of_run[measure].values.items()}
            reference = not first
            first = first or values
            for label in classes:
                value = values.get(label, np.nan)
                change = np.nan if reference else value - first.get(label, np.nan)
                rows.append({"run": name, "class": label, "measure": measure, "value": value, "change": change})
    return pd.DataFrame(rows, columns=["run", "class", "measure", "value", "change"])
