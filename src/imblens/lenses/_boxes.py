"""What lenses on boxes share: which split has them, and means over images with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.intervals import mean_with_interval
from imblens.base.wording import number
from imblens.errors import NotApplicable
from imblens.run import Run, Split

Floats = NDArray[np.float64]


def boxed_split(run: Run, lens: str, column: str) -> Split:
    """The split whose images were held against boxes: test, or train where test has none.

    Raises:
        NotApplicable: neither; with the reason that capture left.
    """
    for split in (run.test, run.train):
        if split is not None and column in split.columns:
            return split
    told = run.meta.get(lens)
    reason = told.get("skipped") if isinstance(told, Mapping) else None
    raise NotApplicable(f"{lens}: {reason or 'the run was not captured from images with boxes.'}")


def captured(run: Run, lens: str, key: str) -> Any:
    """What capture noted under `key` of what it gathered for a lens; None where it is not known."""
    told = run.meta.get(lens)
    return told.get(key) if isinstance(told, Mapping) else None


def means(values: Mapping[str, Floats]) -> dict[str, Any]:
    """For each measure (N, C): `mean_...` over all images and classes, `macro_...` over the classes' means."""
    found: dict[str, Any] = {}
    for name, matrix in values.items():
        known = np.isfinite(matrix)
        found[f"mean_{name}"] = number(float(matrix[known].mean())) if known.any() else None
        per_class = mean_with_interval(matrix)[1]
        found[f"macro_{name}"] = number(float(np.nanmean(per_class))) if known.any() else None
    return found


def gaps(classes: tuple[str, ...], count: NDArray[np.int64], few: int) -> tuple[str, ...]:
    """Notes on classes without boxes, and on those with few."""
    notes = []
    without = [name for name, n in zip(classes, count, strict=True) if not n]
    if without:
        notes.append(f"No image has a box of {', '.join(without)}: nothing is known there.")
    scarce = [name for name, n in zip(classes, count, strict=True) if 0 < n < few]
    if scarce:
        notes.append(f"Fewer than {few} images with boxes of {', '.join(scarce)}: too few to tell.")
    return tuple(notes)


def interval_chart(table: Any, measure: str, title: str, *, mark: str | None = None, limit: float | None = None) -> Any:
    """A measure of each class with its interval, in the table's order; `mark` draws a tick at another column."""
    import altair as alt

    from imblens.lenses._charts import BLACK, BLUE, base, class_axis, tip

    table = table[table[measure].notna()]
    y = class_axis(table["class"].tolist())
    rows = base(table, len(table))
    scale = alt.Scale(domain=[0, limit]) if limit is not None else alt.Scale(zero=True)
    axis = alt.Axis(format="%", title=title) if limit is not None else alt.Axis(title=title)
    x = alt.X(f"{measure}:Q", scale=scale, axis=axis)
    shown = [tip("class:N"), tip("image_count:Q", ",", "images")]
    shown += [tip(f"{name}:Q", ".3g") for name in (measure, f"{measure}_low", f"{measure}_high", mark) if name]
    layers = [
        rows.mark_rule(strokeWidth=2, color=BLUE).encode(
            x=alt.X(f"{measure}_low:Q"), x2=alt.X2(f"{measure}_high:Q"), y=y
        ),
        rows.mark_point(size=70, strokeWidth=2, color=BLUE, opacity=1).encode(
            x=x,
            y=y,
            fill=alt.condition("datum.image_count < 10", alt.value("white"), alt.value(BLUE)),
            tooltip=shown,
        ),
    ]
    if mark is not None:
        layers.append(
            rows.mark_tick(thickness=2, color=BLACK, height={"band": 0.7}).encode(
                x=alt.X(f"{mark}:Q"), y=y, tooltip=shown
            )
        )
    return alt.layer(*layers)
