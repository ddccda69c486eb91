"""Shared parts of lenses on boxes: the split that has them, means over images, notes and charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.intervals import mean_with_interval
from imblens.base.wording import FEW, number
from imblens.charts import interval_dots, tip
from imblens.errors import NotApplicable
from imblens.run import Run, Split, group_effects

Floats = NDArray[np.float64]


def boxed_split(run: Run, lens: str, column: str) -> Split:
    """The split whose images were compared with boxes: test, or train where test has none.

    Raises:
        NotApplicable: neither; with the reason that capture recorded.
    """
    for split in (run.test, run.train):
        if split is not None and column in split.columns:
            return split
    recorded = run.meta.get(lens)
    reason = recorded.get("skipped") if isinstance(recorded, Mapping) else None
    raise NotApplicable(f"{lens}: {reason or 'the run was not captured from images with boxes.'}")


def captured(run: Run, lens: str, key: str) -> Any:
    """What capture recorded for a lens under `key`; None where unknown."""
    recorded = run.meta.get(lens)
    return recorded.get(key) if isinstance(recorded, Mapping) else None


def means(values: Mapping[str, Floats]) -> dict[str, Any]:
    """For each measure (N, C): `mean_...` over all images and classes, `macro_...` over the classes' means."""
    found: dict[str, Any] = {}
    for name, matrix in values.items():
        known = np.isfinite(matrix)
        found[f"mean_{name}"] = number(float(matrix[known].mean())) if known.any() else None
        per_class = mean_with_interval(matrix)[1]
        found[f"macro_{name}"] = number(float(np.nanmean(per_class))) if known.any() else None
    return found


def by_group(split: Split, values: Floats) -> Floats:
    """(C,) factor of the interval of the mean of each column of (N, C), NaN left out, where instances share groups."""
    if split.groups is None:
        return np.ones(values.shape[1])
    return np.sqrt(group_effects(split, np.isfinite(values), values))


def gaps(classes: tuple[str, ...], count: NDArray[np.int64], few: int) -> tuple[str, ...]:
    """Notes on classes without boxes, and on those with few."""
    notes = []
    without = [name for name, n in zip(classes, count, strict=True) if not n]
    if without:
        notes.append(f"No image has a box of {', '.join(without)}: not assessed.")
    scarce = [name for name, n in zip(classes, count, strict=True) if 0 < n < few]
    if scarce:
        notes.append(f"Fewer than {few} images with boxes of {', '.join(scarce)}: too few to tell.")
    return tuple(notes)


def interval_chart(table: Any, measure: str, title: str, *, mark: str | None = None, share: bool = False) -> Any:
    """A measure of each class with its interval, in the table's order; `mark` draws a tick at another column."""
    import altair as alt

    shown = [f"{name}:Q" for name in (measure, f"{measure}_low", f"{measure}_high", mark) if name]
    return interval_dots(
        table,
        measure,
        axis=alt.Axis(format="%", title=title) if share else alt.Axis(title=title),
        scale=alt.Scale(domain=[0, 1]) if share else None,
        few=table["image_count"] < FEW,
        mark=mark,
        tips=[tip("class:N"), tip("image_count:Q", ",", "images"), *(tip(name, ".3g") for name in shown)],
    )
