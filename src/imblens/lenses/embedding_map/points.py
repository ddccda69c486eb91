"""The instances on a map: which of them, their classes, and their rows in the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.archetypes import ARCHETYPES, RARE
from imblens.base.arrays import place_in_group
from imblens.base.wording import FEW
from imblens.errors import NotApplicable
from imblens.lenses.archetypes.measure import instance_archetypes
from imblens.run import Run, Split

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Points:
    """Rows of the training (n,) and test (m,) split that are on a map."""

    train: Places
    test: Places

    def __len__(self) -> int:
        return len(self.train) + len(self.test)

    def features(self, run: Run) -> NDArray[np.float32]:
        """(n + m, D), training instances first."""
        blocks = [run.train.features[self.train]]
        if run.test is not None:
            blocks.append(run.test.features[self.test])
        return np.concatenate(blocks)


def rare_or_outlying(run: Run) -> NDArray[np.bool_]:
    """(N,) training instances that are rare or outlying; none in a multi-label run."""
    if run.train.multilabel:
        return np.zeros(len(run.train), dtype=bool)
    hard: NDArray[np.bool_] = instance_archetypes(run) >= RARE
    return hard


def chosen_points(run: Run, n_points: int, random_state: int, classes: Sequence[str] = ()) -> Points:
    """Instances on the map of a run, thinned to `n_points`; training instances of the named classes, where any are named."""
    if classes:
        return _points_of(run, n_points, random_state, classes)
    n_train = len(run.train)
    n_instances = n_train + (0 if run.test is None else len(run.test))
    if n_instances < FEW:
        raise NotApplicable(f"embedding_map: a map of {n_instances} instances is not informative.")
    kinds = len(ARCHETYPES)
    groups = shown_class(run.train) * kinds
    if not run.train.multilabel:
        groups = groups + instance_archetypes(run)
    if run.test is not None:
        beyond = (run.n_classes + 1) * kinds
        groups = np.concatenate([groups, beyond + shown_class(run.test)])
    keep = np.zeros(n_instances, dtype=bool)
    keep[:n_train] = rare_or_outlying(run)
    rows = thin(groups, n_points, random_state, keep)
    return Points(rows[rows < n_train], rows[rows >= n_train] - n_train)


def _points_of(run: Run, n_points: int, random_state: int, classes: Sequence[str]) -> Points:
    train = rows_of(run.train, classes)
    if len(train) < FEW:
        raise NotApplicable(f"embedding_map: a map of {len(train)} training instances is not informative.")
    rows = train[thin(shown_class(run.train)[train], n_points, random_state)]
    return Points(rows, np.empty(0, np.int64))


def rows_of(split: Split, classes: Sequence[str]) -> Places:
    """Rows of a split that are of one of these classes; in a multi-label split, whose rarest class is."""
    return np.flatnonzero(np.isin(shown_class(split), [split.classes.index(name) for name in classes]))


def thin(groups: NDArray[np.int64], n: int, random_state: int, keep: NDArray[np.bool_] | None = None) -> Places:
    """At most `n` rows in rising order: every group keeps all its rows or as many as any other group keeps.

    Rows marked in `keep` stay, where they are no more than half of `n`.

    Example:
        >>> thin(np.array([0, 0, 0, 0, 0, 0, 1, 2, 2]), 6, 0).size  # 3 of group 0, all of the others
        6
    """
    if len(groups) <= n:
        return np.arange(len(groups))
    if keep is not None and 0 < keep.sum() <= n // 2:
        kept, rest = np.flatnonzero(keep), np.flatnonzero(~keep)
        return np.sort(np.concatenate([kept, rest[thin(groups[rest], n - len(kept), random_state)]]))
    rng = np.random.default_rng(random_state)
    shuffled = rng.permutation(len(groups))
    _, names = np.unique(groups, return_inverse=True)
    order = shuffled[np.argsort(names[shuffled], kind="stable")]  # groups in turn, shuffled within
    within = place_in_group(np.bincount(names))
    # the first row of every group, then the second, ...: small groups stay whole before large ones are cut
    chosen = order[np.argsort(within, kind="stable")[:n]]
    return np.sort(chosen)


def shown_class(split: Split) -> NDArray[np.int64]:
    """(N,) the label; in a multi-label split the rarest of an instance's classes, C without one."""
    if not split.multilabel:
        return np.asarray(split.labels)
    rarest_first = np.argsort(split.class_counts, kind="stable")
    positive = split.labels[:, rarest_first].astype(bool)
    found = rarest_first[positive.argmax(axis=1)]
    return np.where(positive.any(axis=1), found, split.n_classes)


def map_table(run: Run, points: Points, placed: Floats) -> pd.DataFrame:
    """Table of a map: the instances of a run with their places (n + m, 2)."""
    train = split_rows(
        run.train, points.train, None if run.train.multilabel else instance_archetypes(run)[points.train]
    )
    tables = [train] if run.test is None else [train, split_rows(run.test, points.test, None)]
    return pd.concat(tables, ignore_index=True).assign(x=placed[:, 0].round(3), y=placed[:, 1].round(3))


def split_rows(split: Split, rows: Places, archetypes: NDArray[Any] | None) -> pd.DataFrame:
    """Table rows of instances of one split, without places."""
    names = np.array([*split.classes, "none"], dtype=object)
    unknown = np.full(len(rows), None, dtype=object)
    correct = unknown
    if split.has_logits:
        known = split.correct[rows]
        correct = (known.all(axis=1) if split.multilabel else known).astype(object)
    return pd.DataFrame(
        {
            "id": split.ids[rows],
            "split": split.name,
            "class": names[shown_class(split)[rows]],
            "archetype": unknown if archetypes is None else np.array(ARCHETYPES, dtype=object)[archetypes],
            "correct": correct,
        }
    )
