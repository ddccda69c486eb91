"""Which instances of a class are typical, and which are border cases, rare or outliers?"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.archetypes import ARCHETYPES, archetype_codes
from imblens.base.arguments import checked, whole
from imblens.base.arrays import divide
from imblens.base.groups import design_effects
from imblens.base.intervals import wilson
from imblens.base.threads import at_once
from imblens.base.wording import percent
from imblens.errors import InputError, NotApplicable
from imblens.lenses._contract import Finding, Measure, lens
from imblens.lenses.archetypes.medoids import medoid, medoids
from imblens.run import Run

PER_FEATURE = 10  # with fewer instances per feature, distances carry little information


@lens(
    "Which instances are typical of their class, and which are not?",
    order=30,
    measures=(
        Measure(
            "archetypes", "share", "share of safe training instances", "higher", "safe_share", ("archetype", "safe")
        ),
    ),
    neighbours=5,
)
@checked(k=whole(1), prototypes=whole(1))
def archetypes(run: Run, *, k: int = 5, prototypes: int = 1) -> Finding:
    """Four kinds of training instances, by how many of the k nearest others share their class.

    With k = 5: safe 4 or 5, border 2 or 3, rare 1, outlier 0. For another k the same fractions: safe from 4/5, border from
    2/5, rare above 0.

    The prototype of a class and archetype is the medoid: least summed Euclidean distance to the others, of equal ones the
    first. Above 10,000 instances it is chosen among, and measured against, 10,000 drawn evenly with a fixed seed.

    Archetypes describe the feature space, not the inputs: an outlier of a large class is often mislabelled; in a class of
    few instances it shows little more than that they are few.

    In a multi-label run each label is treated separately: of its positives, how many of the k nearest others are positive
    too (fractions of those whose label is known). An instance counts once for each of its labels, and is classified
    correctly where the logit is above 0. A label of nearly all instances is nearly always safe.

    Args:
        run: accuracy needs predictions; without them it is NaN.
        k: neighbours, 1 or more.
        prototypes: instances that represent each class and archetype, 1 or more. Several are the K medoids that
            FasterPAM finds (Schubert and Rousseeuw 2021), above 2,000 instances among 2,000 drawn evenly.

    Returns:
        Table `archetypes` (class, archetype, count, share, accuracy, accuracy_low, accuracy_high, prototype), four rows a
        class. `share` is of the class's instances; `accuracy` the share classified correctly, NaN in an empty cell; intervals
        are 95%, Wilson's, by group where groups are known; `prototype` an instance id, None in an empty cell. With prototypes >
        1 also table `prototypes` (class, archetype, prototype, count, share): count and share of the instances of its class and
        archetype to which it is the nearest of them, most first. Summary: k, and the share of each archetype overall.

    Raises:
        InputError: k or prototypes is less than 1.

    References:
        IML, section III-C and Fig. 3-4; Napierala and Stefanowski 2016. The released code drops the first neighbour as if it
        were the instance itself, which duplicates break; we leave it out by position.
    """
    members = archetype_members(run, k)
    labels, codes = members.labels, members.codes
    cell = labels * 4 + codes.astype(np.int64)
    counts = np.bincount(cell, minlength=4 * run.n_classes)
    accuracy = low = high = np.full(len(counts), np.nan)
    if run.train.has_logits:
        right = run.train.correct[members.rows, members.labels] if run.train.multilabel else run.train.correct
        correct = np.bincount(cell[right], minlength=4 * run.n_classes).astype(np.float64)
        accuracy = divide(correct, counts)
        worth = np.ones(len(counts))
        if run.train.groups is not None:
            worth = design_effects(cell, run.train.groups[members.rows], right, len(counts))
        low, high = wilson(correct / worth, counts / worth)
    of_class = np.repeat(np.bincount(labels, minlength=run.n_classes), 4)
    table = pd.DataFrame(
        {
            "class": np.repeat(np.asarray(run.classes, dtype=object), 4),
            "archetype": np.tile(ARCHETYPES, run.n_classes),
            "count": counts,
            "share": divide(counts, of_class),
            "accuracy": accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            "prototype": pd.Series(_prototypes(run, members.rows, cell, len(counts), k), dtype=object),
        }
    )
    overall = np.bincount(codes, minlength=4) / max(len(codes), 1)
    notes: list[str] = []
    used = run.neighbours(k)
    if used.k < k:
        notes.append(f"Only {used.k} other instances exist, so {used.k} neighbours are used instead of {k}.")
    if not used.exact:
        notes.append(
            f"Neighbours are approximate; on a sample {percent(used.recall or 0)} of the true ones were found."
        )
    n, n_features = run.train.features.shape
    if n < PER_FEATURE * n_features:
        notes.append(
            f"{n_features:,} features for {n:,} training instances are many: in so many dimensions near and far neighbours "
            "differ little, so archetypes and other neighbour-based results are less reliable. Networks that end in fewer "
            "features (a CIFAR ResNet has 64, a DenseNet hundreds) suit better."
        )
    summary = {"k": used.k, **{name: float(share) for name, share in zip(ARCHETYPES, overall, strict=True)}}
    tables = {"archetypes": table}
    if prototypes > 1:
        tables["prototypes"] = _several(run, members.rows, cell, prototypes)
    return Finding(tables, summary, notes=tuple(notes))


def instance_archetypes(run: Run, k: int = 5) -> NDArray[np.int8]:
    """(N,) codes of the training instances: 0 safe, 1 border, 2 rare, 3 outlier; computed once per run and k.

    Raises:
        NotApplicable: a multi-label run, where an instance has a code for each label.
    """
    if run.train.multilabel:
        raise NotApplicable("in a multi-label run an instance has an archetype for each of its labels.")
    return archetype_members(run, k).codes


class Members(NamedTuple):
    """Instances as members of their classes, M in all: one each, or one per label in a multi-label run.

    Attributes:
        rows: (M,) positions.
        labels: (M,) classes.
        same: (M,) how many of the k nearest others share the class.
        codes: (M,) archetypes.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    same: NDArray[np.int64]
    codes: NDArray[np.int8]


def archetype_members(run: Run, k: int = 5) -> Members:
    """Training instances as members of their classes, with their archetypes; computed once per run and k."""
    if k < 1:
        raise InputError(f"archetypes: k={k} neighbours were asked for.", hint="The usual number is 5.")

    def compute() -> Members:
        rows, labels, same, seen = _label_members(run, k) if run.train.multilabel else _class_members(run, k)
        return Members(rows, labels, same, archetype_codes(same, seen))

    return run.train.remember(f"archetypes {k}", compute)


def _class_members(run: Run, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Any]:
    same = _same_class(run, k)
    return np.arange(len(same)), run.train.labels, same, run.neighbours(k).k


def _label_members(run: Run, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Any]:
    """Every instance with each of its labels; neighbours whose label is uncertain do not count."""
    positive, known = run.train.labels.astype(bool), run.train.known
    rows, labels = np.nonzero(positive)
    same, seen = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    for column in run.neighbours(k).indices.T:
        near = column[rows]
        same += positive[near, labels]
        seen += known[near, labels]
    some = seen > 0
    return rows[some], labels[some].astype(np.int64), same[some], seen[some]


def _same_class(run: Run, k: int) -> NDArray[np.int64]:
    """(N,) how many of the k neighbours share the class; a pass per neighbour, for rows of five are slow to add up."""
    labels = run.train.labels
    same = np.zeros(len(labels), np.int64)
    for column in run.neighbours(k).indices.T:
        same += labels[column] == labels
    return same


def _prototypes(run: Run, rows: NDArray[np.int64], cell: NDArray[np.int64], n_cells: int, k: int) -> list[str | None]:
    def compute() -> list[str | None]:
        order = np.argsort(cell, kind="stable")
        edges = np.searchsorted(cell[order], np.arange(n_cells + 1))
        features = run.train.features

        def prototype(ends: tuple[int, int]) -> int | None:
            low, high = ends
            return None if low == high else medoid(features, rows[order[low:high]])

        found = at_once(prototype, pairwise(edges.tolist()), copied=8 * run.dim * int(np.diff(edges).max(initial=0)))
        return [None if row is None else str(run.train.ids[row]) for row in found]

    return run.train.remember(f"prototypes {k}", compute)


def _several(run: Run, rows: NDArray[np.int64], cell: NDArray[np.int64], most: int) -> pd.DataFrame:
    """Return the K medoids of every cell, with what each stands for."""
    found = []
    for at in np.unique(cell):
        own = rows[cell == at]
        chosen, counts = medoids(run.train.features, own, most)
        found += [
            (run.classes[at // 4], ARCHETYPES[at % 4], str(run.train.ids[row]), int(count), count / len(own))
            for row, count in zip(chosen, counts, strict=True)
        ]
    return pd.DataFrame(found, columns=["class", "archetype", "prototype", "count", "share"])
