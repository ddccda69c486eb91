"""Treatments of multi-label runs: every label is a separate binary problem."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.progress import tracked
from imblens.base.wording import percent
from imblens.errors import ImblensWarning, InputError, NotApplicable
from imblens.run import Head, Part, Run, Split
from imblens.treatments._base import Treatment

FITTED = ("refit", "best")  # refit itself, and what tries it
ONE_SIDED = 0.01  # share of a kind's training instances classified correctly, below which a row separates nothing


def treat_labels(
    run: Run, treat_one: Callable[[Run, Any], Run], treatment: Treatment, *, validation: Any
) -> tuple[Head, dict[str, Any], tuple[str, ...]]:
    """Treat every label separately and return the combined head.

    The known positives and negatives of a label are two classes. The head has the label's row and a row of zeros, so
    that the softmax of the two is the label's sigmoid. The difference of the two treated rows is the label's new row: a
    logit above 0 predicts positive, as before.

    A label that cannot be treated keeps its row; a note gives the reason. So does one whose new row would misclassify nearly
    all of its positives, or of its negatives: it separates nothing, and only trades recall for specificity.

    Returns:
        The head, the treatment's record of each label, and notes.

    Raises:
        NotApplicable: no label can be treated, or the treatment compares rows of several classes.
    """
    name = treatment.name
    if isinstance(treatment.per_label, str):
        raise NotApplicable(treatment.per_label, hint=treatment.per_label_hint)
    _of_label(validation, 0)  # refuse what does not fit before anything is treated
    rows = [] if run.head is None else [run.head.weight.copy(), run.head.bias.copy()]
    weight, bias = rows or [np.zeros((run.n_classes, run.dim), np.float32), np.zeros(run.n_classes, np.float32)]
    records: dict[str, Any] = {}
    labels_of: dict[str, list[str]] = {}  # warning -> labels that it concerns
    left: dict[str, str] = {}
    for c, label in tracked(enumerate(run.classes), "label by label", run.n_classes):
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ImblensWarning)
                better = treat_one(one_label(run, c), _of_label(validation, c))
        except (NotApplicable, InputError) as reason:
            if run.head is None and isinstance(reason, InputError):
                raise
            left[label] = reason.message
            continue
        assert better.head is not None
        reason_against = _one_sided(one_label(run, c), better, name)
        if reason_against:
            left[label] = reason_against
            continue
        weight[c] = better.head.weight[1] - better.head.weight[0]
        bias[c] = better.head.bias[1] - better.head.bias[0]
        records[label] = dict(better.meta["treatment"])
        for warning in caught:
            if issubclass(warning.category, ImblensWarning):
                labels_of.setdefault(str(warning.message), []).append(label)
    if not records:
        first = next(iter(left.values()))
        raise NotApplicable(f"{name}: none of the {run.n_classes} labels can be treated. {first}")
    if left and run.head is None:
        raise NotApplicable(
            f"{name}: {next(iter(left))!r} has no head, and cannot get one. {next(iter(left.values()))}"
        )
    notes = [
        message if len(labels) == len(records) else f"{', '.join(labels)}: {message}"
        for message, labels in labels_of.items()
    ]
    notes += [f"{label} keeps its head: {reason}" for label, reason in left.items()]
    return Head(weight, bias), records, tuple(notes)


def _one_sided(before: Run, after: Run, name: str) -> str:
    """Why a label's new row is not used: it misclassifies nearly all of one kind, more than the old row; "" if it may.

    Judged on training instances, and on the validation split where there is one: a network that has memorised its training
    instances classifies them correctly with rows that flip every prediction of others.
    """
    if before.head is None:
        return ""
    for split in ("train", "val"):
        old, new = (run.splits.get(split) for run in (before, after))
        if old is None or new is None or len(np.unique(old.labels)) < 2:
            continue
        was, now = ([float(part.correct[part.labels == kind].mean()) for kind in (0, 1)] for part in (old, new))
        if min(now) > ONE_SIDED or np.array_equal(old.predictions, new.predictions):
            continue
        where = "training" if split == "train" else "the validation split"
        wrong = "negatives above" if now[0] < now[1] else "positives below"
        other = "" if name in FITTED else ", or try refit"
        return (
            f"{name} would put nearly all {wrong} the threshold (on {where}, recall {percent(was[1])} to "
            f"{percent(now[1])}, specificity {percent(was[0])} to {percent(now[0])}). Take the threshold of the lens "
            f"ranking{other}."
        )
    return ""


def one_label(run: Run, c: int) -> Run:
    """Return label c as a binary run, whose classes are the negatives and the positives.

    Instances whose label is unknown are left out.

    Raises:
        NotApplicable: all training instances are positive, or none is.
    """
    name = run.classes[c]
    counts = np.bincount(run.train.labels[run.train.known[:, c], c], minlength=2)
    if not counts.all():
        what = "positive" if counts[0] else "negative"
        raise NotApplicable(f"no training instance is {what}, so no classifier can be trained.")
    head = None
    if run.head is not None:
        weight = np.stack([np.zeros_like(run.head.weight[c]), run.head.weight[c]])
        head = Head(weight, np.array([0, run.head.bias[c]], np.float32))
    classes = (f"not {name}", name)
    return Run(
        train=_of_two(run.train, c, classes, head),
        test=None if run.test is None else _of_two(run.test, c, classes, head),
        val=None if run.val is None else _of_two(run.val, c, classes, head),
        head=head,
        classes=classes,
        meta=_of_label_only(run.meta, name),
    )


def _of_label_only(meta: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What is known of the run, with the treatment before only where it gave the label a new row."""
    before = meta.get("treatment")
    treated = before.get("facts", {}).get("labels", {}) if isinstance(before, Mapping) else {}
    return {key: value for key, value in meta.items() if key != "treatment" or name in treated}


def _of_two(split: Split, c: int, classes: tuple[str, str], head: Head | None) -> Split:
    known = split.known[:, c]
    labels = split.labels[:, c].astype(np.int64)
    parts, start = [], 0
    for part in split.parts:
        rows = slice(start, start + len(part))
        start += len(part)
        if known[rows].all():
            parts.append(replace(part, labels=labels[rows], logits=None))
        elif known[rows].any():
            chosen = np.flatnonzero(known[rows])
            parts.append(Part(np.asarray(part.features)[chosen], labels[rows][chosen]))
    if not parts:
        raise NotApplicable(f"no instance of {split.name} has a known label.")
    one = Split(tuple(parts), classes, split.name, head)
    if known.all() and split.searched is not None:
        one.use_neighbours(split.searched)
    return one


def _of_label(validation: Any, c: int) -> Any:
    if validation is None:
        return None
    features, labels = (validation.features, validation.labels) if isinstance(validation, Split) else validation[:2]
    if np.ndim(labels) != 2:
        raise InputError("validation must hold (n, C) labels, as the run does.", hint="Pass (features, labels).")
    return np.asarray(features), np.asarray(labels)[:, c].astype(np.int64)


def label_measures(split: Split, defined: NDArray[np.bool_]) -> dict[str, float]:
    """Means over labels: balanced_accuracy, macro_f1, auroc, ece (of all predictions, 15 bins).

    Args:
        split: of a multi-label run.
        defined: (C,) labels with positives and negatives; the others are left out.
    """
    from scipy.special import expit
    from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

    logits = np.asarray(split.logits, dtype=np.float64)
    known = split.known & defined
    measures: Mapping[str, Callable[..., float]] = {
        "balanced_accuracy": lambda y, x: balanced_accuracy_score(y, x > 0),
        "macro_f1": lambda y, x: f1_score(y, x > 0, zero_division=0),
        "auroc": roc_auc_score,
    }
    pairs = [(split.labels[known[:, c], c], logits[known[:, c], c]) for c in np.flatnonzero(defined)]
    found = {
        name: float(np.mean([f(y, x) for y, x in pairs])) if pairs else float("nan") for name, f in measures.items()
    }
    probability, labels = expit(logits[known]), split.labels[known]
    if len(labels):
        bins = np.minimum((probability * 15).astype(np.int64), 14)
        gap = np.bincount(bins, weights=labels - probability, minlength=15)
        found["ece"] = float(np.abs(gap).sum() / len(labels))
    return found
