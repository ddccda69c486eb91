"""What another linear head on the same features could still gain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.groups import design_effects, group_counts, shared_effect
from imblens.base.intervals import mean_change, mean_of_kinds, paired_change
from imblens.base.wording import counted, number
from imblens.errors import NotApplicable
from imblens.lenses._contract import Finding, Measure, lens
from imblens.lenses.headroom.fits import ENOUGH, FITTED, SAMPLED, Fits, both_heads, most_rows
from imblens.run import Run, class_groups

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Block = tuple[Integers, Integers, Integers]  # class, unit (group, or instance) and change of what both heads predict


@lens(
    "How much could another head still gain?",
    order=95,
    measures=(Measure("headroom", "ceiling", "best linear head, cross-fitted", "higher"),),
    needs=("test",),
)
def headroom(run: Run) -> Finding:
    """Recall of each class on the test split: by the present head, by one refitted on training features, and by the best.

    best_head: cross-entropy with an L2 penalty, solved on the training features, log shares taken out (the treatment
        `refit` with l2 = 0.5), measured on the test split.
    ceiling: that head adapted to four fifths of the test instances, all classes of equal weight, and measured on the last
        fifth, five times. `ceiling_low` and `ceiling_high` are the 95% interval of its gain over `best_head` on the same
        instances, added to `best_head`. Where groups are known, intervals are by group, and no group is in two fifths.

    The ceiling estimates what any linear head on these features could reach. It has seen test labels, so it is no
    treatment; no instance is measured by a head that has seen its label. With more held-out instances it may rise.

    Args:
        run: with a test split. In multi-label runs every label is a binary problem, and the three are balanced accuracies
            (mean of recall and specificity).

    Returns:
        Table `headroom` (class, accuracy, best_head, ceiling, ceiling_low, ceiling_high, test_count). NaN where a class
        has fewer than 20 test instances (or groups); `accuracy` is NaN without predictions. Summary: the means over
        the classes with a ceiling, and `remaining`, the mean of ceiling - best_head, with its interval.

    Raises:
        NotApplicable: no test split, fewer than two classes with 20 test instances, or too many classes and features for
            a bounded fit.
    """
    assert run.test is not None
    fewest = 2 * ENOUGH if run.task == "multilabel" else ENOUGH * run.n_classes
    wide = 2 if run.task == "multilabel" else run.n_classes
    if most_rows(wide, run.dim, SAMPLED) < fewest:
        raise NotApplicable(
            f"headroom: {run.n_classes:,} classes and {run.dim:,} features are too many to fit {ENOUGH} test instances of each "
            "in bounded time."
        )
    table, left_out, blocks = _label_rows(run) if run.task == "multilabel" else _class_rows(run)
    known = table[table["ceiling"].notna()]
    remaining = (known["ceiling"] - known["best_head"]).to_numpy()
    low, high = (known[column].to_numpy() - known["best_head"].to_numpy() for column in ("ceiling_low", "ceiling_high"))
    least, most = mean_change(low, high, remaining, _alike(run, blocks))
    summary = {
        "task": run.task,
        "classes": len(known),
        **{column: number(known[column].mean()) for column in ("accuracy", "best_head", "ceiling")},
        "remaining": number(remaining.mean()),
        "remaining_low": number(least),
        "remaining_high": number(most),
    }
    return Finding({"headroom": table}, summary, notes=tuple(_notes(run, table, left_out)))


def _class_rows(run: Run) -> tuple[pd.DataFrame, int, list[Block]]:
    assert run.test is not None
    labels = run.test.labels
    count = np.bincount(labels, minlength=run.n_classes)
    enough = class_groups(run.test) >= ENOUGH
    if np.count_nonzero(enough) < 2:
        raise NotApplicable(f"headroom: fewer than two classes have {ENOUGH} test instances{_or_groups(run)}.")
    if np.count_nonzero(run.train.class_counts) < 2:
        raise NotApplicable("headroom: training has one class.")
    groups = run.test.groups
    fits = both_heads(run.train.features, run.train.labels, run.test.features, labels, run.n_classes, groups)
    correct = run.test.correct if run.test.has_logits else None
    *found, (kind, unit, turned) = _changes(fits, labels, run.n_classes, groups)
    best, gain, low, high = (np.where(enough, column, np.nan) for column in found)
    accuracy = np.full(run.n_classes, np.nan)
    if correct is not None:
        accuracy = divide(np.bincount(labels[correct], minlength=run.n_classes), count)
    own = enough[kind]
    table = _table(run, accuracy, (best, gain, low, high), count)
    return table, len(labels) - len(fits.rows), [(kind[own], unit[own], turned[own])]


def _label_rows(run: Run) -> tuple[pd.DataFrame, int, list[Block]]:
    assert run.test is not None
    found = np.full((5, run.n_classes), np.nan)
    counts = np.zeros(run.n_classes, np.int64)
    left_out, blocks = 0, list[Block]()
    for c in range(run.n_classes):
        known, seen = run.test.known[:, c], run.train.known[:, c]
        labels, train_labels = run.test.labels[known, c].astype(np.int64), run.train.labels[seen, c].astype(np.int64)
        both = np.bincount(labels, minlength=2)
        counts[c] = both[1]
        if both.all() and run.test.has_logits:
            correct = run.test.correct[known, c].astype(np.float64)
            found[0, c] = np.mean([correct[labels == kind].mean() for kind in (0, 1)])
        groups = None if run.test.groups is None else run.test.groups[known]
        units = both if groups is None else group_counts(labels, groups, 2)
        if units.min() < ENOUGH or not np.bincount(train_labels, minlength=2).all():
            continue
        train, test = np.asarray(run.train.features)[seen], np.asarray(run.test.features)[known]
        fits = both_heads(train, train_labels, test, labels, 2, groups)
        left_out = max(left_out, len(labels) - len(fits.rows))
        best, gain, low, high, (kind, unit, turned) = _changes(fits, labels, 2, groups)
        blocks.append((kind, unit if groups is not None else np.flatnonzero(known)[unit], turned))
        middle, least, most = mean_of_kinds(gain[None], low[None], high[None])
        found[1:, c] = best.mean(), middle[0], least[0], most[0]
    if np.isnan(found[1]).all():
        raise NotApplicable(
            f"headroom: no label has {ENOUGH} positive and {ENOUGH} negative test instances{_or_groups(run)}."
        )
    return _table(run, found[0], tuple(found[1:]), counts), left_out, blocks


def _changes(
    fits: Fits, labels: Integers, n_classes: int, groups: Integers | None
) -> tuple[Floats, Floats, Floats, Floats, Block]:
    """(C,) recall of the head from training features, and what the adapted one gains, with its interval; what turned."""

    def per_class(rows: NDArray[np.bool_], of: Integers = labels) -> Integers:
        return np.bincount(of[rows], minlength=n_classes)

    best = divide(per_class(fits.trained == labels), np.bincount(labels, minlength=n_classes))
    sampled = labels[fits.rows]
    before, after = fits.trained[fits.rows] == sampled, fits.adapted == sampled
    gained, lost = per_class(after & ~before, sampled), per_class(before & ~after, sampled)
    turned = after.astype(np.int64) - before
    count = np.bincount(sampled, minlength=n_classes)
    worth = np.ones(n_classes)
    unit = fits.rows if groups is None else groups[fits.rows]
    if groups is not None:
        worth = design_effects(sampled, unit, turned, n_classes, events=gained + lost)
    low, high = paired_change(gained / worth, lost / worth, count / worth)
    return best, divide(gained - lost, count), low, high, (sampled, unit, turned)


def _alike(run: Run, blocks: list[Block]) -> float:
    """Variance of the mean gain over what it is where classes are independent."""
    assert run.test is not None
    groups = run.test.groups
    if groups is None and run.task != "multilabel":
        return 1.0
    n_units = len(run.test) if groups is None else int(groups.max()) + 1
    turned = [unit[values != 0] for _, unit, values in blocks]
    return shared_effect(blocks, n_units, len(np.unique(np.concatenate(turned))))


def _or_groups(run: Run) -> str:
    return "" if run.test is None or run.test.groups is None else " of as many groups"


def _table(run: Run, accuracy: Floats, found: Any, counts: Integers) -> pd.DataFrame:
    best, gain, low, high = found
    ends = {"ceiling": best + gain, "ceiling_low": best + low, "ceiling_high": best + high}
    return pd.DataFrame(
        {
            "class": run.classes,
            "accuracy": accuracy,
            "best_head": best,
            **{name: np.clip(values, 0, 1) for name, values in ends.items()},
            "test_count": counts,
        }
    )


def _notes(run: Run, table: pd.DataFrame, left_out: int) -> list[str]:
    kind = "label" if run.task == "multilabel" else "class"
    notes = ["The ceiling is an estimate of what remains, not a treatment: its heads are fitted on test labels."]
    few = table.loc[table["ceiling"].isna(), "class"].tolist()
    if few:
        unit = "test instances" if run.test is None or run.test.groups is None else "test groups"
        notes.append(f"Fewer than {ENOUGH} {unit} of a kind, so no ceiling: {', '.join(few)}.")
    if left_out:
        notes.append(
            f"The ceiling was fitted on a sample, evenly over each {kind}'s test instances; "
            f"{counted(left_out, 'instance')} were left out."
        )
    wide = 2 if run.task == "multilabel" else run.n_classes
    if len(run.train) > most_rows(wide, run.dim, FITTED):
        notes.append(f"best_head was fitted on a sample of the {len(run.train):,} training instances.")
    if not (run.test is not None and run.test.has_logits):
        notes.append("The test split has no predictions, so the present head cannot be compared.")
    return notes
