"""Groups of instances (patients, source images, sites): what a run knows of them, and design effects by class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.groups import design_effects, group_counts
from imblens.run._split import Split

if TYPE_CHECKING:
    from imblens.run._run import Run

Floats = NDArray[np.float64]


def group_name(run: Run) -> str:
    """What the groups of a run are, in one word: "patient", "source image", the name of a column; else "group"."""
    data = run.meta.get("data")
    stated = run.meta.get("group") or (data.get("group") if isinstance(data, Mapping) else None)
    return str(stated) if isinstance(stated, str) and stated else "group"


def class_groups(split: Split) -> NDArray[np.int64]:
    """(C,) groups with an instance of each class (a positive, in a multi-label split); instances where none are known.

    This number decides what is "too few to tell".
    """
    if split.groups is None:
        return split.class_counts
    return split.remember(
        "class_groups",
        lambda: member_groups(split, split.membership & split.known if split.multilabel else split.labels),
    )


def member_groups(split: Split, members: NDArray[Any], rows: NDArray[Any] | None = None) -> NDArray[np.int64]:
    """(C,) groups among the members of each class; members where no groups are known.

    Args:
        split: whose groups count.
        members: (n,) class of every instance, or (n, C) whether an instance counts for a class.
        rows: (n,) which instances these are; all by default.
    """
    n_kinds = members.shape[1] if members.ndim == 2 else split.n_classes
    kind, of = _entries(members)
    if split.groups is None:
        return np.bincount(kind, minlength=n_kinds).astype(np.int64)
    group = split.groups if rows is None else split.groups[rows]
    return group_counts(kind, group[of], n_kinds)


def group_effects(split: Split, members: NDArray[Any], value: NDArray[Any], *, events: Any = None) -> Floats:
    """Design effect of the mean of `value` over the members of each class, (C,); 1 where no groups are known.

    Args:
        split: whose groups count.
        members: (N,) class of every instance, or (N, C) whether an instance counts for a class.
        value: (N,) or (N, C).
        events: (C,) see `imblens.base.groups.design_effects`.
    """
    n_kinds = members.shape[1] if members.ndim == 2 else split.n_classes
    if split.groups is None:
        return np.ones(n_kinds)
    kind, rows = _entries(members)
    values = value[rows] if value.ndim == 1 else value[rows, kind]
    return design_effects(kind, split.groups[rows], values, n_kinds, events=events)


def _entries(members: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Kind and row of every entry."""
    if members.ndim == 1:
        return members.astype(np.int64), np.arange(len(members))
    rows, kind = np.nonzero(members)
    return kind, rows
