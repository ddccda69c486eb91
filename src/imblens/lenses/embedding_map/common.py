"""Maps of several runs in one frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imblens.base.arguments import a_seed, checked, number, some_texts, whole
from imblens.base.wording import FEW
from imblens.errors import InputError, MissingError, did_you_mean
from imblens.lenses._contract import Finding, LensInfo
from imblens.lenses.embedding_map.chart import classes_chart, map_chart
from imblens.lenses.embedding_map.placing import embed
from imblens.lenses.embedding_map.points import (
    Points,
    chosen_points,
    map_table,
    rows_of,
    shown_class,
    split_rows,
    thin,
)
from imblens.run import Run, Split, as_runs, common_rows, same_features

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


def _lines(finding: Finding) -> dict[str, str]:
    return {"": finding.notes[0]}


def _charts(finding: Finding) -> dict[str, Any]:
    """One map per run, all with one frame."""
    table = finding.tables["common_map"]
    frame = _frame(table)
    classes = finding.summary["classes"]
    return {
        f"common_map_{place}": (
            classes_chart(part, classes, frame) if classes else map_chart(part.drop(columns="run"), frame=frame)
        ).properties(title=str(name))
        for place, (name, part) in enumerate(table.groupby("run", sort=False))
    }


def map_panels(finding: Finding, *, size: int = 138, columns: int = 2) -> Any:
    """Draw the maps of named classes as panels of one chart, a run each, with one frame (EOS, Fig. 6).

    Args:
        finding: of `common_map`, with classes.
        size: width and height of a panel, in pixels.
        columns: panels side by side.

    Raises:
        InputError: the finding is of all classes.
    """
    import altair as alt

    table, classes = finding.tables["common_map"], finding.summary["classes"]
    if not classes:
        raise InputError("map_panels: the maps are of all classes.", hint="Call common_map(runs, classes=[...]).")
    frame = _frame(table)
    panels = [
        classes_chart(part, classes, frame, size=10).properties(width=size, height=size, title=str(name))
        for name, part in table.groupby("run", sort=False)
    ]
    return alt.concat(*panels, columns=columns, spacing=8)


def _frame(table: pd.DataFrame) -> list[tuple[float, float]]:
    return [(float(table[axis].min()), float(table[axis].max())) for axis in ("x", "y")]


INFO = LensInfo("common_map", lines=_lines, charts=_charts)


@checked(names=some_texts(optional=True), n_points=whole(FEW), perplexity=number(1), random_state=a_seed())
def common_map(
    runs: Sequence[Run],
    *,
    names: Sequence[str] | None = None,
    classes: Sequence[str] = (),
    n_points: int = 20_000,
    perplexity: float = 30.0,
    random_state: int = 0,
) -> Finding:
    """Maps of several runs that can be compared side by side.

    Runs with the features of the first (a run and its treated heads) share one map: their instances, and the instances
    that treatments made, are placed together. A run of another network over the same instances gets its own map,
    initialised from the places of the first and rotated onto it afterwards; an instance is then near its old place unless
    its neighbourhood changed.

    Args:
        runs: two or more; the first sets the frame.
        names: one per run, for the column `run`; by default "run 1", "run 2", ...
        classes: only training and synthetic instances of these, which are then placed by themselves (EOS, Fig. 6); all
            instances without.
        n_points: most real instances, and most synthetic ones, on a map.
        perplexity, random_state: as for `embedding_map`.

    Returns:
        Table `common_map`: run, id, split, class, archetype, correct, x, y. Summary: `frame`, "same" or "started" for
        each run after the first; `classes`, the named ones.

    Raises:
        InputError: fewer than two runs, or a run shares neither features nor instances (by id and label) with the first.
        NotApplicable: fewer than ten instances.
        MissingError: a run has no such class.
    """
    runs = as_runs(runs, "lenses.common_map")
    if len(runs) < 2:
        raise InputError(f"common_map: {len(runs)} run given.", hint="Give two or more; embedding_map shows one.")
    titles = [f"run {place + 1}" for place in range(len(runs))] if names is None else [str(name) for name in names]
    if len(titles) != len(runs) or len(set(titles)) != len(titles):
        raise InputError(
            f"common_map: {len(titles)} names for {len(runs)} runs.", hint="Give one name per run, all different."
        )
    first = runs[0]
    for name in classes:
        for run in runs:
            if name not in run.classes:
                raise MissingError(f"common_map: no class {name!r}.", hint=did_you_mean(name, list(run.classes)))
    points = chosen_points(first, n_points, random_state, classes)
    shares = [_same_features(first, run) for run in runs]
    synthetic = [
        _synthetic_points(run, n_points, random_state, classes) if same else None
        for run, same in zip(runs, shares, strict=True)
    ]
    blocks = [points.features(first)]
    blocks += [
        run.synthetic.features[rows]
        for run, rows in zip(runs, synthetic, strict=True)
        if run.synthetic is not None and rows is not None
    ]
    placed = embed(np.concatenate(blocks), perplexity=perplexity, random_state=random_state)
    real, rest = placed[: len(points)], placed[len(points) :]
    tables, frames = [], []
    for run, same, rows, title in zip(runs, shares, synthetic, titles, strict=True):
        if same:
            table = map_table(run, points, real)
            if rows is not None:
                table = pd.concat([table, _synthetic_table(run, rows, rest[: len(rows)])], ignore_index=True)
                rest = rest[len(rows) :]
        else:
            table = _follow(first, run, points, real, title, perplexity, random_state)
        frames.append("same" if same else "started")
        tables.append(table.assign(run=title)[["run", *table.columns]])
    notes = (_frame_note(titles, frames),)
    table = pd.concat(tables, ignore_index=True)
    summary = {"frame": frames[1:], "points": len(points), "classes": list(classes)}
    return Finding({"common_map": table}, summary, notes=notes, info=INFO)


def _same_features(first: Run, run: Run) -> bool:
    if (first.test is None) != (run.test is None) or not same_features(first.train, run.train):
        return False
    return first.test is None or run.test is None or same_features(first.test, run.test)


def _synthetic_points(run: Run, n_points: int, random_state: int, classes: Sequence[str]) -> Places | None:
    if run.synthetic is None:
        return None
    rows = rows_of(run.synthetic, classes) if classes else np.arange(len(run.synthetic))
    return rows[thin(shown_class(run.synthetic)[rows], n_points, random_state)]


def _synthetic_table(run: Run, rows: Places, placed: Floats) -> pd.DataFrame:
    assert run.synthetic is not None
    return split_rows(run.synthetic, rows, None).assign(x=placed[:, 0].round(3), y=placed[:, 1].round(3))


def _follow(
    first: Run, run: Run, points: Points, placed: Floats, title: str, perplexity: float, random_state: int
) -> pd.DataFrame:
    """The map of another network, for the instances of `points` that it shares, in the frame of `placed`."""
    from scipy.linalg import orthogonal_procrustes

    train, start = _shared(first.train, run.train, points.train, placed[: len(points.train)])
    test, rest = np.empty(0, np.int64), np.empty((0, 2))
    if len(train) and first.test is not None and run.test is not None:
        test, rest = _shared(first.test, run.test, points.test, placed[len(points.train) :])
    known = Points(train, test)
    start = np.concatenate([start, rest])
    if len(known) < FEW:
        raise InputError(
            f"common_map: {title} shares {len(known)} instances (same id and label) with the first run.",
            hint="Capture both runs from the same images, or draw each with embedding_map.",
        )
    own = embed(known.features(run), perplexity=perplexity, random_state=random_state, start=start)
    centre, middle = start.mean(axis=0), own.mean(axis=0)
    turn, _ = orthogonal_procrustes(own - middle, start - centre)
    return map_table(run, known, (own - middle) @ turn + centre)


def _shared(first: Split, other: Split, rows: Places, placed: Floats) -> tuple[Places, Floats]:
    """Rows of `other` that hold the instances `rows` of `first`, in rising order, and their places."""
    pairs = common_rows(first, other)
    if pairs is None:
        return np.empty(0, np.int64), np.empty((0, 2))
    partner = np.full(len(first), -1)
    partner[pairs[0]] = pairs[1]
    mates = partner[rows]
    order = np.argsort(mates, kind="stable")
    order = order[mates[order] >= 0]
    return mates[order], placed[order]


def _frame_note(titles: list[str], frames: list[str]) -> str:
    same = [title for title, frame in zip(titles, frames, strict=True) if frame == "same"]
    other = [title for title, frame in zip(titles, frames, strict=True) if frame == "started"]
    parts = []
    if len(same) > 1:
        parts.append(f"{', '.join(same)} have the same features and share one map.")
    if other:
        parts.append(
            f"{', '.join(other)}: another network's features, on a map initialised from that of {titles[0]}; groups can be "
            "compared, exact places cannot."
        )
    return " ".join(parts)
