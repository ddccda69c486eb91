"""Choosing options without a test split: on held-out instances where there are any, else on training features."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imblens.base.groups import group_folds
from imblens.base.progress import tracked
from imblens.base.wording import listed
from imblens.errors import ImblensWarning, InputError, NotApplicable
from imblens.run import Head, Run, Split, class_groups, in_blocks, logits_of_head, predicted_classes
from imblens.treatments._base import Criterion, Treatment
from imblens.treatments._folds import Fold, Pieces, class_means, rows_by_class
from imblens.treatments._train_head import Recipe, train_head

FOLDS = 3
WIDEST = 3.0
MEMORISED = 0.9  # balanced accuracy on held-out training features, from which they show hardly any errors
NOISE = 2.0  # standard errors by which a candidate must beat what is kept
NAMED = 10  # classes that a note names
SAME = 0.9  # share of equal predictions, mean over classes, from which two heads count as equal
PLAIN = Recipe(learning_rate=5.0, weight_decay=1e-4)  # of a head as a network would have trained it
Widen = float | Literal["auto"]


@dataclass(frozen=True)
class Candidate:
    """A treatment with every option set; `treatment` None stands for the head as it is."""

    treatment: Treatment | None
    options: Mapping[str, Any]
    shown: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Name, and the options that differ between candidates."""
        if self.treatment is None:
            return "unchanged"
        extra = ", ".join(f"{key}={value}" for key, value in self.shown.items())
        return f"{self.treatment.name} ({extra})" if extra else self.treatment.name


@dataclass(frozen=True)
class Score:
    """How a candidate did on held-out instances.

    Attributes:
        balanced_accuracy: mean recall over classes.
        balanced_nll: mean over classes of the mean negative log-likelihood, in nats.
        correct: (n,) per held-out instance.
        nll: (n,) per held-out instance.
        failed: why the candidate could not be tried, or "".
    """

    balanced_accuracy: float
    balanced_nll: float
    correct: NDArray[np.float64]
    nll: NDArray[np.float64]
    failed: str = ""

    def values(self, criterion: Criterion) -> NDArray[np.float64]:
        """(n,) what the criterion averages, larger is better."""
        return self.correct if criterion == "balanced_accuracy" else -self.nll


@dataclass(frozen=True)
class Trial:
    """Candidates on the same held-out instances.

    Attributes:
        candidates: what was tried.
        scores: one for each.
        labels: (n,) classes of the held-out instances.
        where: on what, in words.
        notes: classes that could not be held out.
        has_seen: whether the head as it is was trained on the held-out instances, where others are not.
        memorised: whether held-out training features show hardly any errors.
    """

    candidates: tuple[Candidate, ...]
    scores: tuple[Score, ...]
    labels: NDArray[np.int64]
    where: str
    notes: tuple[str, ...] = ()
    has_seen: bool = False
    memorised: bool = False

    def best(self, criterion: Criterion, keep: int | None = None) -> int:
        """Return the position of the best candidate; `keep` wins unless the best beats it by more than the noise."""
        totals = [
            -np.inf if score.failed else class_mean(score.values(criterion), self.labels) for score in self.scores
        ]
        first = int(np.argmax(totals))
        if keep is not None and not self.scores[keep].failed:
            gain, error = self.difference(first, keep, criterion)
            if gain <= NOISE * error:
                return keep
        return first

    def difference(self, one: int, other: int, criterion: Criterion) -> tuple[float, float]:
        """Return by how much `one` beats `other`, and the standard error of that, from paired instances."""
        step = self.scores[one].values(criterion) - self.scores[other].values(criterion)
        return class_mean(step, self.labels), class_mean_error(step, self.labels)

    def table(self) -> list[dict[str, Any]]:
        """Plain JSON rows: what was tried and how it did."""
        return [
            {
                "treatment": candidate.label,
                "balanced_accuracy": None if score.failed else score.balanced_accuracy,
                "balanced_nll": None if score.failed else score.balanced_nll,
                **({"failed": score.failed} if score.failed else {}),
            }
            for candidate, score in zip(self.candidates, self.scores, strict=True)
        ]


def try_candidates(
    run: Run,
    candidates: Iterable[Candidate],
    *,
    validation: Split | None = None,
    folds: int = FOLDS,
    widen: Widen = "auto",
    seed: int = 0,
) -> Trial:
    """Score candidates on the same held-out instances; see `cross_validated`."""
    tried = tuple(candidates)
    notes: tuple[str, ...] = ()
    has_seen = memorised = False
    if validation is not None:
        pieces: Any = [(run, np.asarray(validation.features), validation.labels)]
        where = f"{len(validation):,} held-out instances"
    else:
        refit = _like_plain(run)
        has_seen = not refit
        pieces, widen, memorised, notes = _folds(run, folds, widen, seed, refit)
        moved = f", {widen:g} times as far from their class mean" if widen != 1 else ""
        where = f"held-out training features ({folds} folds{moved})"
    truths = []
    outcomes: list[list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = [[] for _ in tried]
    failed = [""] * len(tried)
    for part, features, truth in tracked(pieces, f"scoring {len(tried)} candidates"):
        truths.append(truth)
        for treatment in {c.treatment.name: c.treatment for c in tried if c.treatment is not None}.values():
            if treatment.prepare is not None:
                treatment.prepare(part, [c.options for c in tried if c.treatment is treatment])
        for i, candidate in tracked(enumerate(tried), "", len(tried)):
            if failed[i]:
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ImblensWarning)
                    head = _head_of(part, candidate if validation is not None else _from_zeros(candidate))
            except (InputError, NotApplicable) as error:
                failed[i] = error.args[0]
                continue
            outcomes[i].append(_judge(head, features, truth))
    labels = np.concatenate(truths)
    scores = []
    for i, outcome in enumerate(outcomes):
        if failed[i] or not outcome:
            nothing = np.full(len(labels), np.nan)
            scores.append(Score(np.nan, np.nan, nothing, nothing, failed[i] or "nothing could be held out"))
            continue
        correct, nll = (np.concatenate(column) for column in zip(*outcome, strict=True))
        scores.append(Score(class_mean(correct, labels), class_mean(nll, labels), correct, nll))
    return Trial(tried, tuple(scores), labels, where, notes, has_seen, memorised)


def class_mean(values: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean over classes of the class's mean."""
    counts = np.bincount(labels)
    sums = np.bincount(labels, weights=values)
    return float((sums[counts > 0] / counts[counts > 0]).mean())


def class_mean_error(values: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Standard error of `class_mean`, from the spread of instances within classes."""
    counts = np.bincount(labels)
    seen = counts > 0
    mean = np.bincount(labels, weights=values)[seen] / counts[seen]
    variance = np.maximum(np.bincount(labels, weights=values**2)[seen] / counts[seen] - mean**2, 0)
    return float(np.sqrt((variance / counts[seen]).sum()) / np.count_nonzero(seen))


def plain_head(run: Run) -> Head:
    """Return the run's own head, or one trained on its features as they are."""
    if run.head is not None:
        return run.head
    return train_head(np.asarray(run.train.features), run.train.labels, run.n_classes, recipe=PLAIN)


def _like_plain(run: Run) -> bool:
    """Whether a head trained on the unchanged features predicts as the head of the run does.

    Then the head is one that its training instances have fitted, and a fold must be judged by a head that has not seen
    it. Else training the network has made the head; no head refitted on a fold could stand for it.
    """
    if run.head is None:
        return True
    features, labels = np.asarray(run.train.features), run.train.labels
    refitted = train_head(features, labels, run.n_classes, recipe=PLAIN)
    same = np.equal(*(predicted_classes(logits_of_head(head, features)) for head in (run.head, refitted)))
    return class_mean(same.astype(np.float64), labels) >= SAME


def _folds(run: Run, folds: int, widen: Widen, seed: int, refit: bool) -> tuple[Pieces, float, bool, tuple[str, ...]]:
    """Return (run of the other folds, moved features, labels) of every fold, how far moved, if memorised, and notes."""
    labels = run.train.labels
    rng = np.random.default_rng(seed)
    fold = np.full(len(labels), -1)  # -1: always in training
    lonely = []
    enough = class_groups(run.train) > 1
    if run.train.groups is not None:  # no group in two folds; those of a rare class in turn
        order = rng.permutation(len(labels))
        order = order[np.argsort(run.train.class_counts[labels[order]], kind="stable")]
        fold[order] = group_folds(run.train.groups[order], folds)
        fold[~enough[labels]] = -1
    for label, rows in rows_by_class(labels):
        members = rng.permutation(rows)
        if not enough[label]:
            lonely.append(run.classes[label])
        elif run.train.groups is None:
            fold[members] = (np.arange(len(members)) + rng.integers(folds)) % folds
    notes: tuple[str, ...] = ()
    if lonely:
        one = "one training instance" if run.train.groups is None else "instances of one training group"
        notes = (f"{listed(lonely, NAMED)}: {one}, so nothing could be held out to choose on.",)
    held = []
    for number in range(folds):
        out = np.flatnonzero((fold == number) & np.isin(labels, labels[fold != number]))
        if out.size:
            held.append(_fold(run, np.flatnonzero(fold != number), out, refit))
    if not held:
        two = "two training instances" if run.train.groups is None else "training instances of two groups"
        raise NotApplicable(f"no class has {two}, so there is nothing to choose options on.")
    truths = np.concatenate([one.labels for one in held])

    def accuracy(by: float) -> float:
        right = [_judge(one.head, one.moved(by), one.labels)[0] for one in held]
        return class_mean(np.concatenate(right), truths)

    by = 1.0 if widen == "auto" else widen
    memorised = accuracy(1.0) >= MEMORISED
    while widen == "auto" and memorised and by < WIDEST:
        if accuracy(by) <= (1 + 1 / len(np.unique(truths))) / 2:
            break
        by = round(by + 0.05, 2)
    return Pieces(held, by), by, memorised, notes


def _fold(run: Run, rows: NDArray[np.int64], out: NDArray[np.int64], refit: bool) -> Fold:
    """A fold with the run's own head, or one refitted on the other folds, where the run has one."""
    features, labels = run.train.features, run.train.labels[rows]
    means = class_means(features, rows, labels, run.n_classes)
    head = run.head
    if refit or head is None:
        head = train_head(np.ascontiguousarray(features[rows]), labels, run.n_classes, recipe=PLAIN)
    # without a head of the run, what needs the network's own head has none here either
    return Fold(run, rows, out, means, None if run.head is None else head, head)


def _from_zeros(candidate: Candidate) -> Candidate:
    """Return the candidate with a fresh start: the network's own head has seen what is held out."""
    if candidate.options.get("start") != "head":
        return candidate
    return replace(candidate, options={**candidate.options, "start": "zeros"})


def _head_of(run: Run, candidate: Candidate) -> Head:
    if candidate.treatment is None:
        return plain_head(run)
    return candidate.treatment.apply(run, candidate.options).head


def _judge(head: Head, features: NDArray[Any], labels: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    correct, nll = np.empty(len(labels)), np.empty(len(labels))
    for rows in in_blocks(len(labels), len(head.bias)):
        logits, truth = head(features[rows]).astype(np.float64), labels[rows]
        correct[rows] = logits.argmax(axis=1) == truth
        logits -= logits.max(axis=1, keepdims=True)
        own = logits[np.arange(len(truth)), truth]
        nll[rows] = np.log(np.exp(logits, out=logits).sum(axis=1)) - own
    return correct, nll
