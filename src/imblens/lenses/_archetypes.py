"""Which instances of a class are typical, and which are border cases, rare or outliers?"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.base.intervals import wilson
from imblens.base.wording import FEW, counted, percent
from imblens.errors import InputError, NotApplicable
from imblens.lenses._contract import Finding, Measure, lens
from imblens.run import Run

if TYPE_CHECKING:
    import pandas as pd

ARCHETYPES = ("safe", "border", "rare", "outlier")
SAFE, BORDER, RARE, OUTLIER = range(4)
PER_FEATURE = 10  # with fewer instances for each feature, nearness tells little
MEDOID_SAMPLE = 10_000  # a larger cell is represented by an instance among this many drawn ones
MEDOIDS_SAMPLE = 2_000  # the same where several are sought, which takes all distances at once


@dataclass(frozen=True)
class Archetypes(Finding):
    """Safe, border, rare and outlying instances; see `archetypes`.

    Attributes:
        instances: id, class, archetype, same_class (neighbours of its own class), correct (None without answers): one row
            per training instance. Not written as a table; other lenses and exports read it.
    """

    lens: ClassVar[str] = "archetypes"
    instances: pd.DataFrame = field(kw_only=True)

    def lines(self) -> dict[str, str]:
        """One line for each class of which less than half is safe, fewest safe first."""
        table = self.tables["archetypes"]
        safe = table[(table["archetype"] == "safe") & (table["share"] < 0.5)].sort_values("share", kind="stable")
        found: dict[str, str] = {}
        for name in safe["class"]:
            rows = table[table["class"] == name]
            share = dict(zip(rows["archetype"], rows["share"], strict=True))
            count = int(rows["count"].sum())
            few = f" ({counted(count, 'instance')}, too few to tell)" if count < FEW else ""
            found[str(name)] = (
                f"{percent(share['safe'])} of {name} lies safely among its own{few}: {percent(share['border'])} is "
                f"border, {percent(share['rare'])} rare, {percent(share['outlier'])} outlier."
            )
        return found

    def charts(self) -> dict[str, Any]:
        """Shares of the four archetypes; the share that is right in each."""
        charts = {"archetypes": _share_chart(self)}
        if self.tables["archetypes"]["accuracy"].notna().any():
            charts["archetype_accuracy"] = _accuracy_chart(self)
        return charts


@lens(
    "Which instances are typical of their class, and which are not?",
    order=30,
    measures=(
        Measure(
            "archetypes", "share", "share of safe training instances", "higher", "safe_share", ("archetype", "safe")
        ),
    ),
)
def archetypes(run: Run, *, k: int = 5, prototypes: int = 1) -> Archetypes:
    """Four kinds of training instances, by how many of the k nearest others share their class.

    With k = 5: safe 4 or 5, border 2 or 3, rare 1, outlier 0. For another k the same fractions: safe from 4/5, border from
    2/5, rare above 0.

    A medoid (least summed Euclidean distance to the others of its class and archetype; of equal ones the first) stands for
    each cell; above 10,000 instances it is sought among, and measured against, 10,000 drawn evenly with a fixed seed.

    Read it as an image of the feature space, not of the images: an outlier of a large class is often a wrong label; in a
    class of few instances it says little more than that they are few.

    With several labels per instance every label is looked at by itself: of the instances that have it, how many of the k
    nearest others have it too (fractions of those of which that is known). An instance then counts once for each of its
    labels, and is right where its logit is above 0. A label that nearly all instances have is nearly always safe.

    Args:
        run: accuracy needs answers; without them it is NaN.
        k: neighbours, 1 or more.
        prototypes: how many instances are to stand for each class and archetype, 1 or more. Several are the K medoids that
            FasterPAM finds (Schubert and Rousseeuw 2021), above 2,000 instances among 2,000 drawn evenly.

    Returns:
        Table `archetypes` (class, archetype, count, share, accuracy, accuracy_low, accuracy_high, prototype), four rows a
        class. `share` is of the class's instances; `accuracy` the share that the network gets right, NaN in an empty cell;
        `prototype` an instance id, None in an empty cell. With prototypes > 1 also table `prototypes` (class, archetype,
        prototype, count, share): count and share of the instances of its class and archetype to which it is the nearest of
        them, most first. Summary: k, and the share of each archetype overall.

    Raises:
        InputError: k or prototypes is less than 1.

    References:
        IML, section III-C and Fig. 3-4; Napierala and Stefanowski 2016. The released code drops the first neighbour as if it
        were the instance itself, which duplicates break; we leave it out by position.
    """
    import pandas as pd

    if prototypes < 1:
        raise InputError(f"archetypes: {prototypes} prototypes were asked for.", hint="The usual number is 1.")
    members = _members(run, k)
    labels, codes = members.labels, members.codes
    cell = labels * 4 + codes.astype(np.int64)
    counts = np.bincount(cell, minlength=4 * run.n_classes)
    right = np.full(len(counts), np.nan)
    correct: NDArray[Any] | None = None
    low, high = np.full(len(counts), np.nan), np.full(len(counts), np.nan)
    accuracy = np.full(len(counts), np.nan)
    if run.train.has_logits:
        correct = run.train.correct[members.rows, labels] if run.train.multilabel else run.train.correct
        right = np.bincount(cell[correct], minlength=4 * run.n_classes).astype(np.float64)
        accuracy = np.divide(right, counts, out=accuracy, where=counts > 0)
        low, high = wilson(right, counts)
    of_class = np.repeat(np.bincount(labels, minlength=run.n_classes), 4)
    table = pd.DataFrame(
        {
            "class": np.repeat(np.asarray(run.classes, dtype=object), 4),
            "archetype": np.tile(ARCHETYPES, run.n_classes),
            "count": counts,
            "share": np.divide(counts, of_class, out=np.full(len(counts), np.nan), where=of_class > 0),
            "accuracy": accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            "prototype": pd.Series(_prototypes(run, members.rows, cell, len(counts), k), dtype=object),
        }
    )
    instances = pd.DataFrame(
        {
            "id": run.train.ids[members.rows],
            "class": np.asarray(run.classes, dtype=object)[labels],
            "archetype": np.asarray(ARCHETYPES, dtype=object)[codes],
            "same_class": members.same,
            "correct": np.full(len(labels), None) if correct is None else correct,
        }
    )
    overall = np.bincount(codes, minlength=4) / max(len(codes), 1)
    notes: list[str] = []
    used = run.neighbours(k)
    if used.k < k:
        notes.append(f"Only {used.k} other instances exist, so {used.k} neighbours stand for {k}.")
    if not used.exact:
        notes.append(
            f"Neighbours are approximate; on a sample {percent(used.recall or 0)} of the true ones were found."
        )
    n, n_features = run.train.features.shape
    if n < PER_FEATURE * n_features:
        notes.append(
            f"{n_features:,} features for {n:,} training instances are many: in so many dimensions near and far neighbours "
            "differ little, so archetypes, and all that goes by neighbours, tell less. Networks that end in fewer features "
            "(a CIFAR ResNet has 64, a DenseNet hundreds) suit better."
        )
    summary = {"k": used.k, **{name: float(share) for name, share in zip(ARCHETYPES, overall, strict=True)}}
    tables = {"archetypes": table}
    if prototypes > 1:
        tables["prototypes"] = _several(run, members.rows, cell, prototypes)
    return Archetypes(tables, summary, notes=tuple(notes), instances=instances)


def instance_archetypes(run: Run, k: int = 5) -> NDArray[np.int8]:
    """(N,) codes of the training instances: 0 safe, 1 border, 2 rare, 3 outlier; computed once per run and k.

    Raises:
        NotApplicable: with several labels an instance has a code for each.
    """
    if run.train.multilabel:
        raise NotApplicable("an instance with several labels has an archetype for each of them.")
    return _members(run, k).codes


def archetype_members(run: Run, k: int = 5) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
    """(M,) positions, classes and archetypes of the training instances: one each, or one for each of several labels."""
    members = _members(run, k)
    return members.rows, members.labels, members.codes


class _Members(NamedTuple):
    """Instances as members of their classes, M in all: one each, or with several labels one for each label.

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


def _members(run: Run, k: int) -> _Members:
    if k < 1:
        raise InputError(f"archetypes: k={k} neighbours were asked for.", hint="The usual number is 5.")

    def compute() -> _Members:
        rows, labels, same, seen = _label_members(run, k) if run.train.multilabel else _class_members(run, k)
        codes = np.full(len(same), RARE, dtype=np.int8)
        codes[same * 5 >= 2 * seen] = BORDER
        codes[same * 5 >= 4 * seen] = SAFE
        codes[same == 0] = OUTLIER
        return _Members(rows, labels, same, codes)

    return run.train.remember(f"archetypes {k}", compute)


def _class_members(run: Run, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Any]:
    same = _same_class(run, k)
    return np.arange(len(same)), run.train.labels, same, run.neighbours(k).k


def _label_members(run: Run, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Any]:
    """Every instance with every label it has; neighbours of which it is not known whether they have it do not count."""
    has, known = run.train.labels.astype(bool), run.train.known
    rows, labels = np.nonzero(has)
    same, seen = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    for column in run.neighbours(k).indices.T:
        near = column[rows]
        same += has[near, labels]
        seen += known[near, labels]
    told = seen > 0
    return rows[told], labels[told].astype(np.int64), same[told], seen[told]


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
        found: list[str | None] = []
        for low, high in pairwise(edges.tolist()):
            if low == high:
                found.append(None)
            else:
                found.append(str(run.train.ids[medoid(run.train.features, rows[order[low:high]])]))
        return found

    return run.train.remember(f"prototypes {k}", compute)


def _several(run: Run, rows: NDArray[np.int64], cell: NDArray[np.int64], most: int) -> pd.DataFrame:
    """Return the K medoids of every cell, with what each stands for."""
    import pandas as pd

    found = []
    for at in np.unique(cell):
        own = rows[cell == at]
        chosen, counts = medoids(run.train.features, own, most)
        found += [
            (run.classes[at // 4], ARCHETYPES[at % 4], str(run.train.ids[row]), int(count), count / len(own))
            for row, count in zip(chosen, counts, strict=True)
        ]
    return pd.DataFrame(found, columns=["class", "archetype", "prototype", "count", "share"])


def medoids(features: NDArray[Any], rows: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At most `most` rows to which the others lie near (least summed Euclidean distance), and how many rows each stands for.

    Found by FasterPAM from the greedy start of PAM. Copies of an instance are represented once; of fewer distinct instances
    than asked for, all are returned.

    Args:
        features: (N, D).
        rows: positions to choose from, ascending; above 2,000 a fixed draw of 2,000 of them is chosen from.
        most: 1 or more.

    Returns:
        Rows, and for each the number of `rows` nearest to it; most first, of equal ones the first row first.

    Example:
        >>> medoids(np.array([[0.0], [0.2], [0.1], [5.0], [5.1]]), np.arange(5), 2)
        (array([2, 3]), array([3, 2]))
    """
    import kmedoids
    from scipy.spatial.distance import cdist

    points = np.asarray(features[rows], dtype=np.float64)
    drawn = np.arange(len(rows))
    if len(rows) > MEDOIDS_SAMPLE:
        drawn = np.sort(np.random.default_rng(0).choice(len(rows), MEDOIDS_SAMPLE, replace=False))
    _, first = np.unique(points[drawn], axis=0, return_index=True)
    if len(first) <= most:
        chosen = drawn[np.sort(first)]
    else:
        distances = cdist(points[drawn], points[drawn])
        found = kmedoids.fasterpam(distances, most, init="build", random_state=0, n_cpu=1)
        chosen = drawn[np.unique(found.medoids.astype(np.int64))]
    counts = np.bincount(cdist(points, points[chosen]).argmin(axis=1), minlength=len(chosen))
    order = np.argsort(-counts, kind="stable")
    return rows[chosen[order]], counts[order]


def medoid(features: NDArray[Any], rows: NDArray[np.int64]) -> int:
    """The row of least summed Euclidean distance to the other rows; of sums equal to 12 digits the first.

    All sums come from a matrix product, whose error is bounded; those that could be least are summed again directly.

    Args:
        features: (N, D).
        rows: positions to choose from, ascending; above 10,000 a fixed draw of 10,000 of them stands for all.

    Example:
        >>> medoid(np.array([[0.0], [1.0], [5.0]]), np.arange(3))
        1
    """
    from scipy.spatial.distance import cdist

    if len(rows) > MEDOID_SAMPLE:
        rows = np.sort(np.random.default_rng(0).choice(rows, MEDOID_SAMPLE, replace=False))
    points = np.asarray(features[rows], dtype=np.float64)
    points -= points.mean(axis=0)
    squares = np.einsum("nd,nd->n", points, points)
    rough = np.empty(len(points))
    for part in row_blocks(len(points), len(points)):
        squared = points[part] @ (-2 * points.T)
        squared += squares
        squared += squares[part, None]
        rough[part] = np.sqrt(np.maximum(squared, 0, out=squared), out=squared).sum(axis=1)
    lengths = np.sqrt(squares)
    error = np.sqrt(4 * (points.shape[1] + 8) * 2.0**-53) * (len(points) * lengths + lengths.sum())
    possible = np.flatnonzero(rough - error <= (rough + error).min())
    _, first = np.unique(points[possible], axis=0, return_index=True)  # copies have equal sums
    possible = possible[np.sort(first)]
    sums = np.concatenate(
        [cdist(points[possible[part]], points).sum(axis=1) for part in row_blocks(len(possible), len(rows))]
    )
    return int(rows[possible[np.argmax(sums <= sums.min() * (1 + 1e-12))]])


def _share_chart(finding: Archetypes) -> Any:
    import altair as alt

    from imblens.lenses._charts import ARCHETYPE_COLOURS, base, class_axis, tip

    table = finding.tables["archetypes"]
    # ends of the bars are set here: a stack in Vega is kept by class in an object that knows names such as "constructor"
    end = table.groupby("class", sort=False)["share"].cumsum()
    table = table.assign(start=end - table["share"], end=end)
    names = list(ARCHETYPE_COLOURS)
    return (
        base(table, table["class"].nunique())
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("start:Q", axis=alt.Axis(format="%", title="share of the class's training instances")),
            x2=alt.X2("end:Q"),
            y=class_axis(_by_count(table)),
            color=alt.Color("archetype:N", scale=alt.Scale(domain=names, range=list(ARCHETYPE_COLOURS.values()))),
            tooltip=[tip("class:N"), tip("archetype:N"), tip("count:Q", ","), tip("share:Q", ".1%")],
        )
    )


def _accuracy_chart(finding: Archetypes) -> Any:
    import altair as alt

    from imblens.lenses._charts import ARCHETYPE_COLOURS, ROW_HEIGHT, base, class_axis, present, tip

    table = finding.tables["archetypes"].dropna(subset=["accuracy"])
    table = table.assign(few=table["count"] < FEW)
    order = present(_by_count(finding.tables["archetypes"]), table["class"])
    names = list(ARCHETYPE_COLOURS)
    colours = alt.Scale(domain=names, range=list(ARCHETYPE_COLOURS.values()))
    shapes = alt.Scale(domain=names, range=["circle", "square", "triangle-up", "cross"])
    rows = base(table, len(order))
    if len(order) <= 60:  # a lane for each kind, so that none hides another
        rows = rows.properties(height=alt.Step(2 * ROW_HEIGHT if len(order) <= 20 else 28, **{"for": "position"}))
    y, lane = class_axis(order), alt.YOffset("archetype:N", scale=alt.Scale(domain=names, paddingOuter=0.4))
    axis = alt.Axis(format="%", title="right in training, by kind, with 95 % interval (hollow: too few to tell)")
    interval = rows.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("accuracy_low:Q", scale=alt.Scale(domain=[0, 1]), axis=axis),
        x2=alt.X2("accuracy_high:Q"),
        y=y,
        yOffset=lane,
        color=alt.Color("archetype:N", scale=colours),
    )
    points = rows.mark_point(size=45, strokeWidth=1.5, opacity=1).encode(
        x=alt.X("accuracy:Q"),
        y=y,
        yOffset=lane,
        color=alt.Color("archetype:N", scale=colours),
        shape=alt.Shape("archetype:N", scale=shapes),
        fill=alt.condition("datum.few", alt.value("white"), alt.Fill("archetype:N", scale=colours)),
        tooltip=[tip("class:N"), tip("archetype:N"), tip("count:Q", ","), tip("accuracy:Q", ".1%")],
    )
    return alt.layer(interval, points)


def _by_count(table: pd.DataFrame) -> list[str]:
    counts = table.groupby("class", sort=False)["count"].sum()
    return counts.sort_values(ascending=False, kind="stable").index.tolist()
