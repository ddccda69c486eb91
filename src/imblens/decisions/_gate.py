"""The gate: did any class get worse from one run to another, beyond chance?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arguments import a_seed, checked, flag, number, some_texts
from imblens.base.arrays import divide
from imblens.base.intervals import independent_change, paired_change
from imblens.base.random_state import random_state_kept
from imblens.base.wording import listed
from imblens.decisions._deployment import RECALLS, share_hint
from imblens.decisions._drops import Drops, changed_groups, detectable_drop, stacked
from imblens.decisions._gate_result import GateResult
from imblens.decisions._same_test import same_instances
from imblens.decisions._worse_calibration import calibration_changes, compared_rows, residuals
from imblens.errors import InputError, MissingError, did_you_mean
from imblens.run import Run, Split, as_run, group_effects, group_name

Floats = NDArray[np.float64]
TWO = some_texts("two names", count=2)
COLUMNS = (
    "class",
    "check",
    "count",
    "before",
    "after",
    "change",
    "change_low",
    "change_high",
    "limit",
    "p_value",
    "detectable",
    "result",
)
AT_ONCE = 200  # classes that are counted at once
_MOST_POWER = 2000  # instances of a class up to which the smallest detectable drop is computed exactly


@checked(max_drop=number(), min_recall=RECALLS, alpha=number(), calibration=flag(), seed=a_seed(), names=TWO)
def gate(
    run: Run,
    against: Run,
    *,
    max_drop: float = 0.0,
    min_recall: Mapping[str, float] | None = None,
    alpha: float = 0.05,
    calibration: bool = True,
    seed: int = 0,
    names: tuple[str, str] = ("run", "reference"),
) -> GateResult:
    """Report classes whose recall dropped beyond chance from `against` to `run`, broken constraints, worse calibration.

    Three checks:

    - `recall` of each class (in multi-label runs also `specificity`): fails where the drop is larger than `max_drop` and
      beyond chance. On the same test instances the test is the exact sign test of the instances that changed, otherwise
      Fisher's; p-values are controlled over all classes (Holm, with what each class can reach, as Tarone).
    - `calibration` of each label: fails where the expected calibration error of its probability rose beyond chance, by
      random exchange of the two runs, controlled over all labels.
    - `minimum`: fails where the measured recall of a class in `run` is below `min_recall`.

    If nothing really changed, the chance that any `recall`, `specificity` or `calibration` check fails is at most
    `alpha`; half of it belongs to each kind. A difference between two trainings with other seeds is a real difference of
    these two networks, and can fail.

    Args:
        run: the new run, with a test split that has predictions.
        against: the reference, with the same classes.
        max_drop: drop of recall that is tolerated, a share in [0, 1).
        min_recall: class name -> smallest recall, a share in [0, 1].
        alpha: largest chance of any false alarm, between 0 and 0.5.
        calibration: whether calibration is checked; without it, all of `alpha` is for drops.
        seed: of the random exchange.
        names: of the run and of the reference, for text.

    Returns:
        Table: class, check, count (test instances of the run), before, after, change with its 95% interval (change_low,
        change_high; of this class alone, NaN for calibration), limit (tolerated drop or least recall), p_value
        (controlled over all classes), detectable (smallest drop that is reported in 80% of the cases; NaN where none is, or for
        other instances), result: passed, failed or skipped.

    Raises:
        InputError: no test split, no predictions, other tasks or classes, or an option out of range.
        MissingError: `min_recall` names an unknown class.

    References:
        McNemar 1947; Fisher 1935; Holm 1979; Tarone 1990; Westfall and Young 1993.

    Example:
        >>> import numpy as np
        >>> y = np.repeat([0, 1], [40, 12])
        >>> good, bad = np.eye(2)[y] * 4, np.eye(2)[np.where(np.arange(52) < 43, y, 0)] * 4
        >>> before = Run.from_arrays(train=(np.eye(2)[y], y), test=(np.eye(2)[y], y, good), classes=["cat", "rare"])
        >>> after = Run.from_arrays(train=(np.eye(2)[y], y), test=(np.eye(2)[y], y, bad), classes=["cat", "rare"])
        >>> found = gate(after, before, calibration=False)
        >>> found.failed, found.lines()[1]
        (True, 'rare: recall from 100% to 25%, a drop of 75.0 points (p = 0.002).')
    """
    run, against = as_run(run, "gate"), as_run(against, "gate")
    _check_options(max_drop, alpha)
    with random_state_kept():
        now, then = _tested(run, names[0]), _tested(against, names[1])
        order, notes = _classes(run, against, names)
        minimum = _minimum(min_recall or {}, run, now)
        pairs = same_instances(now, then, order)
        if pairs is None:
            notes.append(
                f"{names[0]} and {names[1]} have different test instances, so the tests compare two samples and find less."
            )
        if now.groups is not None:
            name = group_name(run)
            notes.append(
                f"Drops are tested by {name}: on the same test instances, each {name} with more losses than gains counts once; "
                "on others, counts are divided by the design effect. Calibration is compared by instance."
            )
        share = alpha / 2 if calibration else alpha
        two = _Two(run, now, then, order, pairs)
        frame, level = _drops(two, max_drop, share)
        frames = [frame]
        if calibration:
            frames.append(_calibration(two, share, seed, notes))
        if minimum:
            frames.append(_constraints(run, now, minimum))
    known = [one.dropna(axis=1, how="all") for one in frames]  # before pandas 3, empty columns come with a warning
    table = pd.concat(known, ignore_index=True).reindex(columns=frames[0].columns)
    untested = list(table.loc[table["result"] == "skipped", "class"].drop_duplicates())
    if untested:
        notes.append(f"Not checked, because a test split has no instance of them: {', '.join(untested)}.")
    return GateResult(table, tuple(notes), alpha, level, pairs is not None, names)


def _check_options(max_drop: float, alpha: float) -> None:
    if not 0 <= max_drop < 1:
        raise InputError(f"gate: a tolerated drop of {max_drop} is not between 0 and 1.", hint=share_hint(max_drop))
    if not 0 < alpha < 0.5:
        raise InputError(
            f"gate: a chance of {alpha:g} of a false alarm is not between 0 and 0.5.",
            hint="The usual value is 0.05: alpha=0.05, --false-alarms 0.05.",
        )


def _tested(run: Run, name: str) -> Split:
    if run.test is None or not len(run.test):
        raise InputError(
            f"{name} has no test split.", hint="Capture a test split, or add test_features and test_labels."
        )
    if not run.test.has_logits:
        raise InputError(f"{name} has no predictions on its test split.", hint="Add test_logits, or a head.")
    return run.test


def _classes(run: Run, against: Run, names: tuple[str, str]) -> tuple[NDArray[np.int64], list[str]]:
    """Place of each class of `run` in `against`, -1 for a new one."""
    if run.task != against.task:
        raise InputError(f"{names[0]} is {run.task}, {names[1]} is {against.task}.", hint="Compare runs of one kind.")
    gone = [name for name in against.classes if name not in run.classes]
    if gone:
        raise InputError(
            f"{names[0]} lacks {len(gone)} class(es) of {names[1]}: {listed(gone, 5)}.",
            hint="Both runs need the classes of the reference.",
        )
    new = [name for name in run.classes if name not in against.classes]
    notes = [f"New in {names[0]}, so without a change: {', '.join(new)}."] if new else []
    return np.array([against.classes.index(name) if name in against.classes else -1 for name in run.classes]), notes


def _minimum(wanted: Mapping[str, float], run: Run, test: Split) -> dict[int, float]:
    found = {}
    for name, share in wanted.items():
        if name not in run.classes:
            raise MissingError(f"min_recall names no class of the run: {name!r}.", hint=did_you_mean(name, run.classes))
        if not 0 <= share <= 1:
            raise InputError(f"min_recall of {name!r} is {share:g}, not between 0 and 1.", hint=share_hint(share))
        place = run.classes.index(name)
        if not test.class_counts[place]:
            raise InputError(
                f"min_recall of {name!r} cannot be checked: the test split has no instance of it.",
                hint="Capture a test split with this class, or drop the constraint.",
            )
        found[place] = float(share)
    return found


def _kinds(split: Split) -> tuple[str, ...]:
    """What is checked of each class."""
    return ("recall", "specificity") if split.multilabel else ("recall",)


def _counted(split: Split, kind: str, places: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(N, c) which instances count for some classes, and which of them are correct; none for a place of -1."""
    if not split.multilabel:
        members = split.labels[:, None] == places
        return members, members & split.correct[:, None]
    positive = split.labels[:, places] == 1
    members = (positive if kind == "recall" else ~positive) & split.known[:, places] & (places >= 0)
    return members, members & split.correct[:, places]


class _Two(NamedTuple):
    """A run and its reference.

    Attributes:
        run, now, then: the run, its test split, and that of the reference.
        order: (C,) place of each class in the reference, -1 for a new one.
        pairs: rows of the same instances in both splits; None where they have different ones.
    """

    run: Run
    now: Split
    then: Split
    order: NDArray[np.int64]
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]] | None


def _drops(two: _Two, max_drop: float, alpha: float) -> tuple[pd.DataFrame, float]:
    run, now, _, _, _ = two
    parts: list[Drops] = []
    ends: list[tuple[Floats, Floats]] = []
    steps = [np.arange(run.n_classes)[low : low + AT_ONCE] for low in range(0, run.n_classes, AT_ONCE)]
    for kind in _kinds(now):
        for places in steps:
            part, interval = _drops_of(two, kind, places)
            parts.append(part)
            ends.append(interval)
    drops = parts[0] if len(parts) == 1 else stacked(parts)
    share, share_then = divide(drops.correct, drops.count), divide(drops.correct_before, drops.count_before)
    low, high = (np.concatenate(side) for side in zip(*ends, strict=True))
    p_values, level = drops.adjusted(alpha), drops.level(alpha)
    gone = (drops.count == 0) & (drops.count_before > 0)
    if gone.any():
        named = ", ".join(dict.fromkeys(np.tile(np.array(run.classes, dtype=object), len(_kinds(now)))[gone]))
        raise InputError(
            f"the test split holds no instance of {named}, which the reference's does: the change cannot be judged.",
            hint="Capture a test split with these classes, or compare runs of the same test instances.",
        )
    undefined = np.isnan(share - share_then)
    failed = (p_values <= alpha) & (share_then - share > max_drop)
    kinds = _kinds(now)
    return pd.DataFrame(
        {
            "class": list(run.classes) * len(kinds),
            "check": np.repeat(kinds, run.n_classes),
            "count": drops.count,
            "before": share_then,
            "after": share,
            "change": share - share_then,
            "change_low": low,
            "change_high": high,
            "limit": max_drop,
            "p_value": np.where(undefined, np.nan, p_values),
            "detectable": _detectable(drops, level) if now.groups is None else np.nan,
            "result": np.where(undefined, "skipped", np.where(failed, "failed", "passed")),
        },
        columns=list(COLUMNS),
    ), level


def _drops_of(two: _Two, kind: str, places: NDArray[np.int64]) -> tuple[Drops, tuple[Floats, Floats]]:
    """Counts of some classes, and the 95% intervals of their changes."""
    _, now, then, order, pairs = two
    known = order[places] >= 0
    (members, right), (members_then, right_then) = _counted(now, kind, places), _counted(then, kind, order[places])
    count, correct, count_then, correct_then = (
        array.sum(axis=0) for array in (members, right, members_then, right_then)
    )
    if pairs is None:
        worth = group_effects(now, members, right)
        worth_then = np.where(known, group_effects(then, members_then, right_then), 1.0)
        interval = independent_change(
            correct / worth, count / worth, correct_then / worth_then, count_then / worth_then
        )
        return Drops(count, correct, count_then, correct_then, worth=worth, worth_before=worth_then), interval
    turned = np.zeros(members.shape, dtype=np.int64)
    turned[pairs[0]] = right[pairs[0]].astype(np.int64) - right_then[pairs[1]]
    gained, lost = (turned > 0).sum(axis=0), (turned < 0).sum(axis=0)
    worth = group_effects(now, members, turned, events=gained + lost)
    changed = (gained, lost) if now.groups is None else changed_groups(turned, now.groups)
    interval = paired_change(gained / worth, lost / worth, count / worth)
    return Drops(count, correct, count_then, correct_then, *changed), interval


def _detectable(drops: Drops, level: float) -> Floats:
    """Smallest drop that is reported in 80% of the cases, if as many instances change as the fewer of gains and losses."""
    found = np.full(len(drops.count), np.nan)
    if drops.gained is None or drops.lost is None:
        return found
    churn = (np.minimum(drops.gained, drops.lost) + 0.5) / (drops.count + 1)
    for place in np.flatnonzero((drops.count > 0) & (drops.count <= _MOST_POWER)):
        found[place] = detectable_drop(int(drops.count[place]), gained=float(churn[place]), level=level)
    return found


def _calibration(two: _Two, alpha: float, seed: int, notes: list[str]) -> pd.DataFrame:
    run, now, then, order, pairs = two
    rng = np.random.default_rng(seed)
    if pairs is not None:
        chosen = compared_rows(len(pairs[0]), run.n_classes, rng)
        rows, rows_then = pairs[0][chosen], pairs[1][chosen]
    else:
        rows, rows_then = (compared_rows(len(split), run.n_classes, rng) for split in (now, then))
    if len(rows) < len(now):
        notes.append(f"Calibration was compared on a random subset of {len(rows):,} test instances.")
    before, after = residuals(then, rows_then), residuals(now, rows)
    known = np.flatnonzero(order >= 0)
    bins = after.shape[1] // run.n_classes
    places = np.arange(bins)
    after = after[:, (known[:, None] * bins + places).ravel()]
    before = before[:, (order[known][:, None] * bins + places).ravel()]
    ece, ece_then, p_values = calibration_changes(after, before, paired=pairs is not None, seed=seed)
    untested = (now.class_counts[known] == 0) | (then.class_counts[order[known]] == 0)
    return pd.DataFrame(
        {
            "class": [run.classes[place] for place in known],
            "check": "calibration",
            "count": len(rows),
            "before": ece_then,
            "after": ece,
            "change": ece - ece_then,
            "change_low": np.nan,
            "change_high": np.nan,
            "limit": 0.0,
            "p_value": p_values,
            "detectable": np.nan,
            "result": np.select([untested, (p_values <= alpha) & (ece > ece_then)], ["skipped", "failed"], "passed"),
        },
        columns=list(COLUMNS),
    )


def _constraints(run: Run, now: Split, minimum: Mapping[int, float]) -> pd.DataFrame:
    rows = []
    for place, share in minimum.items():
        members, right = _counted(now, "recall", np.array([place]))
        count = int(members.sum())
        recall = float(right.sum()) / count
        result = "passed" if recall >= share - 1e-12 else "failed"
        known = {"class": run.classes[place], "check": "minimum", "count": count, "after": recall, "limit": share}
        rows.append({**dict.fromkeys(COLUMNS, np.nan), **known, "result": result})
    return pd.DataFrame(rows, columns=list(COLUMNS))
