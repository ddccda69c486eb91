"""Where do the instances lie, which classes run into each other, and where are the errors?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.wording import FEW
from imblens.errors import InputError, NotApplicable
from imblens.lenses._archetypes import ARCHETYPES, RARE, instance_archetypes
from imblens.lenses._contract import Finding, lens
from imblens.lenses._same_instances import common_rows, same_features
from imblens.run import Run, Split, neighbour_graph

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
# Okabe and Ito 2008, then Tol's muted set; a run of more classes is coloured by archetype
CLASS_COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#000000"),
    *("#882255", "#117733", "#332288", "#999933", "#661100", "#6699CC", "#888888", "#44AA99"),
    *("#DDCC77", "#AA4499", "#88CCEE", "#CC6677"),
)
SHAPES = ("circle", "square", "triangle-up", "cross", "diamond", "triangle-down", "triangle-right", "triangle-left")
EXAGGERATED, PLAIN = 125, 250  # iterations of t-SNE with and without early exaggeration
INTERPOLATED_ABOVE = 4_000  # points; below it the tree is faster, and threads cost more than they bring


class EmbeddingMap(Finding):
    """A map of instances; see `embedding_map`."""

    def lines(self) -> dict[str, str]:
        """What the map shows, in one line."""
        shown, total = self.summary["points"], self.summary["instances"]
        part = "all" if shown == total else f"{shown:,} of"
        return {"": f"The map shows {part} {total:,} instances; close points have similar features."}

    def charts(self) -> dict[str, Any]:
        """The map, coloured by class (by archetype beyond 20 classes), archetype or answer as the reader chooses."""
        return {"embedding_map": map_chart(self.tables["embedding_map"])}


@lens("Where do the instances lie, and where are the errors?", order=160)
def embedding_map(run: Run, *, n_points: int = 20_000, perplexity: float = 30.0, random_state: int = 0) -> EmbeddingMap:
    """A t-SNE map of training and test features together.

    Neighbours on the map are neighbours in feature space as far as two dimensions allow. Distances between far groups,
    sizes of groups and empty space mean nothing; nothing else in an audit is computed from the map.

    Where there are more than `n_points` instances, all rare and outlying training instances stay, unless they alone would
    fill half the map. Every other group of one split, class and archetype is cut to the same largest size, so that small
    classes stay whole.

    Args:
        run: any run of ten instances or more.
        n_points: most points on the map, 10 or more.
        perplexity: about how many neighbours a point is held close to; at most a third of the points are.
        random_state: seed of the choice of points and of t-SNE; the same seed gives the same map.

    Returns:
        Table `embedding_map`: id, split, class, archetype, correct, x, y. archetype is None for test instances; correct
        is None where the network's answers are unknown. In a multi-label run, class is the rarest of an instance's
        classes ("none" without one), archetype None, and correct means right for every class. Summary: points,
        instances, perplexity, random_state.

    Raises:
        NotApplicable: fewer than ten instances.
        InputError: an option out of range.

    References:
        van der Maaten and Hinton 2008, Visualizing data using t-SNE; Linderman et al. 2019, Fast interpolation-based
        t-SNE; Policar, Strazar and Zupan 2024, openTSNE. We start from principal components, as Kobak and Berens 2019,
        The art of using t-SNE, advise, and give openTSNE our own exact neighbour graph.
    """
    _check(n_points, perplexity)
    points = _points(run, n_points, random_state)
    features = points.features(run)
    graph_of = run if run.test is None and len(features) == len(run.train) else None
    placed = _embed(features, perplexity=perplexity, random_state=random_state, run=graph_of)
    n_instances = len(run.train) + (0 if run.test is None else len(run.test))
    summary = {
        "points": len(placed),
        "instances": n_instances,
        "perplexity": perplexity,
        "random_state": random_state,
    }
    notes = []
    if run.train.multilabel:
        notes.append("An instance has an archetype for each of its labels, so the map has none: see archetypes.")
    if len(placed) < n_instances:
        notes.append(_thinning_note(len(placed), n_instances, rare=_hard(run), shown=points.train))
    return EmbeddingMap({"embedding_map": _table(run, points, placed)}, summary, notes=tuple(notes))


class CommonMap(Finding):
    """Maps of several runs in one frame; see `common_map`."""

    def lines(self) -> dict[str, str]:
        """What is comparable, in one line."""
        return {"": self.notes[0]}

    def charts(self) -> dict[str, Any]:
        """One map per run, all with one frame."""
        table = self.tables["common_map"]
        frame = [(float(table[axis].min()), float(table[axis].max())) for axis in ("x", "y")]
        return {
            f"common_map_{place}": map_chart(part.drop(columns="run"), frame=frame).properties(title=str(name))
            for place, (name, part) in enumerate(table.groupby("run", sort=False))
        }


def common_map(
    runs: Sequence[Run],
    *,
    names: Sequence[str] | None = None,
    n_points: int = 20_000,
    perplexity: float = 30.0,
    random_state: int = 0,
) -> CommonMap:
    """Maps of several runs that can be laid side by side.

    Runs with the features of the first (a run and its treated heads) share one map: their instances, and the instances
    that treatments made, are placed together. A run of another network over the same instances gets a map of its own,
    started from the places of the first and turned onto it afterwards; an instance is then near its old place unless
    its neighbourhood changed.

    Args:
        runs: two or more; the first sets the frame.
        names: one per run, for the column `run`; by default "run 1", "run 2", ...
        n_points: most real instances, and most synthetic ones, on a map.
        perplexity, random_state: as for `embedding_map`.

    Returns:
        Table `common_map`: run, id, split, class, archetype, correct, x, y. Summary: `frame`, "same" or "started" for
        each run after the first.

    Raises:
        InputError: fewer than two runs, or a run shares neither features nor instances (by id and label) with the first.
        NotApplicable: fewer than ten instances.
    """
    import pandas as pd

    _check(n_points, perplexity)
    if len(runs) < 2:
        raise InputError(f"common_map: {len(runs)} run given.", hint="Give two or more; embedding_map shows one.")
    titles = [f"run {place + 1}" for place in range(len(runs))] if names is None else [str(name) for name in names]
    if len(titles) != len(runs) or len(set(titles)) != len(titles):
        raise InputError(
            f"common_map: {len(titles)} names for {len(runs)} runs.", hint="Give one name per run, all different."
        )
    first = runs[0]
    points = _points(first, n_points, random_state)
    shares = [_same_features(first, run) for run in runs]
    made = [
        _synthetic_points(run, n_points, random_state) if same else None for run, same in zip(runs, shares, strict=True)
    ]
    blocks = [points.features(first)]
    blocks += [
        run.synthetic.features[rows]
        for run, rows in zip(runs, made, strict=True)
        if run.synthetic is not None and rows is not None
    ]
    placed = _embed(np.concatenate(blocks), perplexity=perplexity, random_state=random_state)
    real, rest = placed[: len(points)], placed[len(points) :]
    tables, frames = [], []
    for run, same, rows, title in zip(runs, shares, made, titles, strict=True):
        if same:
            table = _table(run, points, real)
            if rows is not None:
                table = pd.concat([table, _synthetic_table(run, rows, rest[: len(rows)])], ignore_index=True)
                rest = rest[len(rows) :]
        else:
            table = _follow(first, run, points, real, title, perplexity, random_state)
        frames.append("same" if same else "started")
        tables.append(table.assign(run=title)[["run", *table.columns]])
    notes = (_frame_note(titles, frames),)
    return CommonMap(
        {"common_map": pd.concat(tables, ignore_index=True)}, {"frame": frames[1:], "points": len(points)}, notes=notes
    )


@dataclass(frozen=True)
class _Points:
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


def _thinning_note(n_shown: int, n_instances: int, *, rare: NDArray[np.bool_], shown: Places) -> str:
    text = f"{n_shown:,} of {n_instances:,} instances are shown: large groups were thinned"
    left_out = int(rare.sum() - rare[shown].sum())
    if left_out:
        return f"{text}, and as there are {rare.sum():,} rare and outlying ones, {left_out:,} of them too."
    return f"{text}, every rare and outlying one is kept." if rare.any() else f"{text}, small classes are whole."


def _hard(run: Run) -> NDArray[np.bool_]:
    """(N,) training instances that are rare or outlying; none in a run with several labels per instance."""
    if run.train.multilabel:
        return np.zeros(len(run.train), dtype=bool)
    hard: NDArray[np.bool_] = instance_archetypes(run) >= RARE
    return hard


def _check(n_points: int, perplexity: float) -> None:
    if n_points < FEW:
        raise InputError(
            f"embedding_map: n_points={n_points} must be at least {FEW}.", hint="The usual number is 20000."
        )
    if not perplexity >= 1:
        raise InputError(f"embedding_map: perplexity={perplexity} must be at least 1.", hint="The usual number is 30.")


def _points(run: Run, n_points: int, random_state: int) -> _Points:
    n_train = len(run.train)
    n_instances = n_train + (0 if run.test is None else len(run.test))
    if n_instances < FEW:
        raise NotApplicable(f"embedding_map: a map of {n_instances} instances says nothing.")
    kinds = len(ARCHETYPES)
    groups = shown_class(run.train) * kinds
    if not run.train.multilabel:
        groups = groups + instance_archetypes(run)
    if run.test is not None:
        beyond = (run.n_classes + 1) * kinds
        groups = np.concatenate([groups, beyond + shown_class(run.test)])
    keep = np.zeros(n_instances, dtype=bool)
    keep[:n_train] = _hard(run)
    rows = thin(groups, n_points, random_state, keep)
    return _Points(rows[rows < n_train], rows[rows >= n_train] - n_train)


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
    sizes = np.bincount(names)
    within = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # taking everybody's first row, then everybody's second, ... fills small groups before large ones are cut
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


def _embed(
    features: NDArray[np.float32],
    *,
    perplexity: float,
    random_state: int,
    run: Run | None = None,
    start: Floats | None = None,
) -> Floats:
    """(n, 2) t-SNE of (n, D) features, from principal components or from `start`; a run lends its own graph."""
    from joblib import cpu_count
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.initialization import rescale
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    n = len(features)
    threads = cpu_count() if n > INTERPOLATED_ABOVE else 1
    perplexity = min(perplexity, (n - 1) / 3)
    k = min(n - 1, int(3 * perplexity))
    graph = neighbour_graph(features, k) if run is None else run.neighbours(k)
    known = PrecomputedNeighbors(graph.indices, np.asarray(graph.distances, dtype=np.float64))
    affinities = PerplexityBasedNN(perplexity=perplexity, knn_index=known, n_jobs=threads, random_state=random_state)
    first = _principal(features, random_state) if start is None else rescale(start, target_std=1e-4)
    embedding = TSNEEmbedding(
        first,
        affinities,
        negative_gradient_method="fft" if n > INTERPOLATED_ABOVE else "bh",
        ints_in_interval=2,
        n_jobs=threads,
        random_state=random_state,
    )
    embedding.optimize(n_iter=EXAGGERATED, exaggeration=12, momentum=0.8, inplace=True)
    embedding.optimize(n_iter=PLAIN, momentum=0.8, inplace=True)
    return np.array(embedding, dtype=np.float64)


def _principal(features: NDArray[np.float32], random_state: int) -> Floats:
    """(n, 2) first two principal components, spread 1e-4 wide; noise of that width where features do not vary."""
    from openTSNE.initialization import pca, random

    wide = np.asarray(features, dtype=np.float64)
    if not np.ptp(wide, axis=0).any():
        return np.asarray(random(len(wide), 2, random_state=random_state), dtype=np.float64)
    if wide.shape[1] == 1:
        wide = np.column_stack([wide, np.zeros(len(wide))])
    return np.asarray(pca(wide, n_components=2, random_state=random_state), dtype=np.float64)


def _table(run: Run, points: _Points, placed: Floats) -> pd.DataFrame:
    import pandas as pd

    train = _rows(run.train, points.train, None if run.train.multilabel else instance_archetypes(run)[points.train])
    tables = [train] if run.test is None else [train, _rows(run.test, points.test, None)]
    return pd.concat(tables, ignore_index=True).assign(x=placed[:, 0].round(3), y=placed[:, 1].round(3))


def _rows(split: Split, rows: Places, archetypes: NDArray[Any] | None) -> pd.DataFrame:
    import pandas as pd

    names = np.array([*split.classes, "none"], dtype=object)
    nothing = np.full(len(rows), None, dtype=object)
    correct = nothing
    if split.has_logits:
        right = split.correct[rows]
        correct = (right.all(axis=1) if split.multilabel else right).astype(object)
    return pd.DataFrame(
        {
            "id": split.ids[rows],
            "split": split.name,
            "class": names[shown_class(split)[rows]],
            "archetype": nothing if archetypes is None else np.array(ARCHETYPES, dtype=object)[archetypes],
            "correct": correct,
        }
    )


def _same_features(first: Run, run: Run) -> bool:
    if (first.test is None) != (run.test is None) or not same_features(first.train, run.train):
        return False
    return first.test is None or run.test is None or same_features(first.test, run.test)


def _synthetic_points(run: Run, n_points: int, random_state: int) -> Places | None:
    return None if run.synthetic is None else thin(shown_class(run.synthetic), n_points, random_state)


def _synthetic_table(run: Run, rows: Places, placed: Floats) -> pd.DataFrame:
    assert run.synthetic is not None
    return _rows(run.synthetic, rows, None).assign(x=placed[:, 0].round(3), y=placed[:, 1].round(3))


def _follow(
    first: Run, run: Run, points: _Points, placed: Floats, title: str, perplexity: float, random_state: int
) -> pd.DataFrame:
    """The map of another network, for the instances of `points` that it shares, in the frame of `placed`."""
    from scipy.linalg import orthogonal_procrustes

    train, start = _shared(first.train, run.train, points.train, placed[: len(points.train)])
    test, rest = np.empty(0, np.int64), np.empty((0, 2))
    if len(train) and first.test is not None and run.test is not None:
        test, rest = _shared(first.test, run.test, points.test, placed[len(points.train) :])
    known = _Points(train, test)
    start = np.concatenate([start, rest])
    if len(known) < FEW:
        raise InputError(
            f"common_map: {title} shares {len(known)} instances (same id and label) with the first run.",
            hint="Capture both runs from the same images, or draw each with embedding_map.",
        )
    own = _embed(known.features(run), perplexity=perplexity, random_state=random_state, start=start)
    centre, middle = start.mean(axis=0), own.mean(axis=0)
    turn, _ = orthogonal_procrustes(own - middle, start - centre)
    return _table(run, known, (own - middle) @ turn + centre)


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
            f"{', '.join(other)}: another network's features, on a map started from that of {titles[0]}; groups can be "
            "compared, exact places cannot."
        )
    return " ".join(parts)


def map_chart(table: pd.DataFrame, frame: Sequence[tuple[float, float]] | None = None) -> Any:
    """Draw a map, the rarest class on top, coloured by class, archetype or answer as one chooses.

    Up to eight classes differ in shape too, and so do the values of every other choice.

    Args:
        table: rows of an `embedding_map`.
        frame: (lowest, highest) x and y to draw; by default what the points need.
    """
    import altair as alt

    from imblens.lenses._charts import tip

    counts = table["class"].value_counts()
    rarest_last = np.argsort(-counts[table["class"]].to_numpy(), kind="stable")
    answers = table["correct"].map({True: "right", False: "wrong"}).fillna("unknown")
    archetypes = table["archetype"].fillna("not in training")
    drawn = table.assign(archetype=archetypes, answer=answers).iloc[rarest_last]
    drawn = drawn[["id", "split", "class", "archetype", "answer", "x", "y"]].round({"x": 2, "y": 2})
    choices = _colour_choices(table, counts.index.tolist())
    # keys carry their kind, so that a class named "safe" or "wrong" has a colour of its own; they are trimmed, for a report
    # sets some names apart by a space
    keys = {
        f"{kind}: {value}".strip(): colour for kind, colours in choices.items() for value, colour in colours.items()
    }
    shapes = [shape for values in choices.values() for shape in _shapes(len(values))]
    of_kind = {kind: [f"{kind}: {value}".strip() for value in colours] for kind, colours in choices.items()}
    colour_by = alt.param(
        name="colour_by", value=next(iter(choices)), bind=alt.binding_select(options=list(choices), name="colour by ")
    )
    legend = alt.Legend(
        title=None,
        orient="top",
        columns=4,
        symbolOpacity=1,
        symbolSize=60,
        labelExpr="slice(datum.label, length(colour_by) + 2)",
        values=alt.ExprRef(f"({json.dumps(of_kind)})[colour_by]"),
    )
    scales = [alt.Scale(zero=False)] * 2 if frame is None else [alt.Scale(domain=list(ends)) for ends in frame]
    return (
        alt.Chart(alt.InlineData(values=drawn.to_dict("records")))  # inline: no limit on rows applies
        .transform_calculate(shown="trim(colour_by + ': ' + datum[colour_by])")
        .mark_point(size=14, opacity=0.7, filled=True)
        .encode(
            x=alt.X("x:Q", axis=None, scale=scales[0]),
            y=alt.Y("y:Q", axis=None, scale=scales[1]),
            color=alt.Color("shown:N", scale=alt.Scale(domain=list(keys), range=list(keys.values())), legend=legend),
            shape=alt.Shape("shown:N", scale=alt.Scale(domain=list(keys), range=shapes), legend=legend),
            tooltip=[tip(f"{name}:N") for name in ("id", "split", "class", "archetype", "answer")],
        )
        .add_params(colour_by)
        .properties(width="container", height=520)
    )


def _shapes(n: int) -> tuple[str, ...]:
    return SHAPES[:n] if n <= len(SHAPES) else SHAPES[:1] * n


def _colour_choices(table: pd.DataFrame, classes: list[str]) -> dict[str, dict[str, str]]:
    """What the map can be coloured by, and the colour of each value that occurs; the first is shown at the start."""
    from imblens.lenses._charts import ARCHETYPE_COLOURS, GREY, RED

    pale = "#BBBBBB"
    choices: dict[str, dict[str, str]] = {}
    if len(classes) <= len(CLASS_COLOURS):
        choices["class"] = dict(zip(classes, CLASS_COLOURS, strict=False))
    if table["archetype"].notna().any():
        choices["archetype"] = {**ARCHETYPE_COLOURS, "not in training": pale}
        if table["archetype"].notna().all():
            del choices["archetype"]["not in training"]
    if table["correct"].notna().any():
        choices["answer"] = {"right": pale, "wrong": RED, "unknown": GREY}
        if table["correct"].notna().all():
            del choices["answer"]["unknown"]
    splits = {"train": GREY, "test": RED, "synthetic": pale}
    choices["split"] = {name: colour for name, colour in splits.items() if (table["split"] == name).any()}
    return choices
