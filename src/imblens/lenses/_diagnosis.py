"""Why does each class fail, and what should be tried? The other lenses, read together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import imbalance
from imblens.base.wording import FEW, counted, percent, ratio
from imblens.errors import NotApplicable
from imblens.lenses._class_accuracy import class_accuracy
from imblens.lenses._class_features import class_features
from imblens.lenses._colours import colours, standing_out
from imblens.lenses._contract import Finding, lens
from imblens.lenses._label_suspects import label_suspects
from imblens.lenses._matrix import NUMBERED
from imblens.run import Confusion, Part, Run, Split, nearest

if TYPE_CHECKING:
    import pandas as pd

NOTABLE = 0.25  # strength below which a cause is not named
SEED = 0
MOST_INSTANCES = 500  # of a class, for distances, clusters and overlap
FEWEST_FOR_COVERAGE, FEWEST_FOR_CLUSTERS = 8, 20  # training instances of a class, below which they are not judged
EXPLAINS = 0.7  # share of a cause that is put down to another that brings it about, where that one is clear
BROUGHT_ABOUT = {"overlap": ("few_examples", "uncovered_range"), "sub_concepts": ("few_examples",)}
RIVALS = 3  # other classes that a class is most often mistaken with, which are looked at for overlap


@dataclass(frozen=True)
class Cause:
    """One possible reason, and what helps against it.

    Attributes:
        name: as in the table.
        title: as in a sentence.
        nothing: raw measure at which strength is 0.
        clear: raw measure at which strength is 1; set on drawn shapes with other seeds than those of any study.
        harms: whether it counts only as far as the class has errors to explain.
        treatment: what to try; a name for `imblens treat` where a treatment answers it, else what to do with the data.
    """

    name: str
    title: str
    nothing: float
    clear: float
    harms: bool
    treatment: str


CAUSES = (
    Cause("few_examples", "few examples", np.log10(2.0), np.log10(40.0), True, "eos"),
    Cause("overlap", "overlap", 0.1, 0.25, True, "logit_adjustment"),
    Cause("sub_concepts", "a rare sub-concept", 3.7, 4.5, True, "collect or augment images of its rare kind"),
    Cause("label_noise", "wrong labels", 0.012, 0.045, False, "check its label suspects, then train without them"),
    Cause(
        "uncovered_range",
        "test instances that training does not cover",
        0.15,
        0.6,
        True,
        "collect images like its wrong test ones",
    ),
    Cause("few_features", "few features", 0.45, 0.85, True, "crt"),
    Cause("shortcut_colours", "a colour shortcut", 0.15, 0.45, False, "vary the background, then train again"),
)
ERRORS_FOR_FULL_WEIGHT = 0.15  # share of wrong answers from which a harmful cause counts in full


class Diagnosis(Finding):
    """Causes of failure per class, strongest first; see `diagnosis`."""

    def lines(self) -> dict[str, str]:
        """One line for each class with a named cause: the cause, its evidence, what to try; least accurate first."""
        table = self.tables["diagnosis"]
        named = table[table["strength"] > 0].groupby("class", sort=False).head(1)
        found: dict[str, str] = {}
        for row in named.sort_values(["accuracy", "strength"], ascending=[True, False], kind="stable").itertuples():
            found[str(row[1])] = f"{row[1]}: {row.evidence} Try: {row.treatment}."
        return found

    def charts(self) -> dict[str, Any]:
        """Strength of each cause in each class."""
        return {"diagnosis": _chart(self)} if (self.tables["diagnosis"]["strength"] > 0).any() else {}


@lens("Why does each class fail, and what should be tried?", order=170, needs=("logits", "multiclass"))
def diagnosis(run: Run) -> Diagnosis:
    """Seven possible causes for each class, each with a strength in [0, 1], its evidence and what to try.

    strength = clip((measure - nothing) / (clear - nothing), 0, 1), times min(1, errors / 0.15) for causes that count only
    as far as the class has errors to explain. The measures:

    few_examples: log10 of the class's imbalance.
    overlap: equal error rate against another class on the differences of their logits, which no shift of a logit (and so no
        class size) changes: the share of either class on the wrong side of the line that mistakes as many of one as of the
        other. The largest over the three classes that it is most often mistaken with.
    sub_concepts: distance between the means of two clusters of the class's features, in standard deviations within them,
        along the line that joins them. One bell gives 2.7, an even spread 3.5. A cluster must hold 5 % and three instances.
    label_noise: share of the class that `label_suspects` finds, less the share of its test instances that are mistaken: what
        other classes merely overlap is mistaken in the test too. Large classes only.
    uncovered_range: how much farther test instances lie from the class's nearest training instance than training instances
        from theirs, 75th percentile against 75th percentile, in natural logarithms, above the median class.
    few_features: one minus the class's effective number of features over the median class's.
    shortcut_colours: by how much the share of one colour band among salient pixels exceeds the mean of the other classes.

    A network that has hardly seen a class mistakes it for others and spreads its few instances: overlap and sub_concepts
    count for 0.7 of the strength of few_examples less. What training does not cover is mistaken for others as well: overlap
    counts for 0.7 of the strength of uncovered_range less.

    `nothing` and `clear` were set on drawn shapes of other seeds than the study's, so that classes without a cause stay
    below. Read strengths as an order of suspicion, not as probabilities: `imblens study diagnosis` measures how often the
    first cause is the planted one.

    Args:
        run: single-label, with answers. What cannot be measured (no test split, no colours) is left out, and told.

    Returns:
        Table `diagnosis` (class, accuracy, cause, strength, evidence, treatment): the notable causes of each class, strongest
        first; a class without one has a row "none found", one with fewer than ten test instances (or, without a test split,
        training instances) "too few to tell". Accuracy is the test split's, NaN without. Summary: classes per first cause.

    Raises:
        NotApplicable: no answers, or a multi-label run.

    References:
        Ours. The measures rest on IML (archetypes, overlap, colours) and FRAGILITY (diversity). What training does not
        cover is measured by nearest distances here, not by the ranges of `generalization_gap`.
    """
    import pandas as pd

    accuracy = _accuracy(run)
    notes: list[str] = []
    measured: dict[str, dict[int, tuple[float, str]]] = {}
    for cause in CAUSES:
        try:
            measured[cause.name] = MEASURES[cause.name](run)
        except NotApplicable as reason:
            notes.append(f"Not judged: {cause.title} ({reason.message.split(': ', 1)[-1].rstrip('.')}).")
    rows = []
    judged = (run.test if run.test is not None and run.test.has_logits else run.train).class_counts
    for label, name in enumerate(run.classes):
        if not run.train.class_counts[label]:
            continue
        if judged[label] < FEW:
            are = "is" if judged[label] == 1 else "are"
            text = f"{counted(judged[label], 'instance')} to judge it by {are} too few to tell."
            rows.append((name, accuracy[label], "too few to tell", 0.0, text, "more instances to judge it by"))
            continue
        seen = {cause: of_class[label] for cause, of_class in measured.items() if label in of_class}
        found = [
            (name, accuracy[label], cause.name, round(strength, 3), seen[cause.name][1], cause.treatment)
            for cause, strength in _strengths({key: value for key, (value, _) in seen.items()}, accuracy[label])
            if strength >= NOTABLE
        ]
        found.sort(key=lambda row: -row[3])
        rows += found or [(name, accuracy[label], "none found", 0.0, "No lens stands out for it.", "")]
    notes += _untrained(run)
    table = pd.DataFrame(rows, columns=["class", "accuracy", "cause", "strength", "evidence", "treatment"])
    first = table.groupby("class", sort=False).head(1)
    summary = {"first_causes": first["cause"].value_counts().sort_index().to_dict(), "judged": sorted(measured)}
    return Diagnosis({"diagnosis": table}, summary, notes=tuple(notes))


def _untrained(run: Run) -> list[str]:
    """Say which classes have no training instance, and so no row, and how their test instances are answered."""
    without = run.train.class_counts == 0
    if not without.any():
        return []
    names = ", ".join(name for name, absent in zip(run.classes, without, strict=True) if absent)
    text = f"No training instance of {names}: no lens can say more of why they fail."
    if run.test is None or not run.test.has_logits:
        return [text]
    tested = without[run.test.labels]
    if tested.any():
        wrong = int(np.count_nonzero(~run.test.correct[tested]))
        text += (
            f" Of their {counted(int(tested.sum()), 'test instance')}, {wrong:,} {'is' if wrong == 1 else 'are'} wrong."
        )
    return [text]


def _strengths(values: dict[str, float], accuracy: float) -> list[tuple[Cause, float]]:
    """Return the strength of each cause in one class, less what another cause brought about."""
    raw = {cause.name: _strength(cause, values.get(cause.name, np.nan), accuracy) for cause in CAUSES}
    own = {name: np.prod([1 - EXPLAINS * raw[other] for other in BROUGHT_ABOUT.get(name, ())]) for name in raw}
    return [(cause, float(raw[cause.name] * own[cause.name])) for cause in CAUSES]


def _strength(cause: Cause, value: float, accuracy: float) -> float:
    if not np.isfinite(value):
        return 0.0
    raw = float(np.clip((value - cause.nothing) / (cause.clear - cause.nothing), 0.0, 1.0))
    if cause.harms and np.isfinite(accuracy):
        raw *= min(1.0, (1.0 - accuracy) / ERRORS_FOR_FULL_WEIGHT)
    return raw


def _accuracy(run: Run) -> NDArray[np.float64]:
    if run.test is None or not run.test.has_logits:
        return np.full(run.n_classes, np.nan)
    return class_accuracy(run).tables["class_accuracy"]["accuracy"].to_numpy()


# -------------------------------------------------------------------------------------------------- measures, per class


def _few_examples(run: Run) -> dict[int, tuple[float, str]]:
    counts = run.train.class_counts
    largest = run.classes[int(counts.argmax())]
    return {
        label: (
            float(np.log10(times)),
            f"it has {counted(counts[label], 'training instance')}, {ratio(times)}x fewer than {largest}.",
        )
        for label, times in enumerate(imbalance(counts))
        if np.isfinite(times)
    }


def _overlap(run: Run) -> dict[int, tuple[float, str]]:
    split = run.test if run.test is not None and run.test.has_logits else run.train
    prior = np.log(np.maximum(run.train.class_counts, 0.5)).astype(np.float32)
    parts = tuple(
        Part(batch.features, batch.labels, np.asarray(batch.logits) - prior) for batch in split.batches(logits=True)
    )
    even = Split(parts, run.classes, split.name)
    counts = even.reduce(lambda: Confusion(run.n_classes)).astype(np.float64)
    sizes = counts.sum(axis=1, keepdims=True)
    rates = np.divide(counts, sizes, out=np.zeros_like(counts), where=sizes > 0)
    either = np.where(np.minimum.outer(sizes[:, 0], sizes[:, 0]) >= FEW, rates + rates.T, -1.0)
    np.fill_diagonal(either, -1.0)
    found = {}
    for label in range(run.n_classes):
        rivals = [
            int(other) for other in np.argsort(-either[label], kind="stable")[:RIVALS] if either[label, other] >= 0
        ]
        if not rivals:
            continue
        own = split.logits[_some(split, label)]
        shares = []
        for other in rivals:
            others = split.logits[_some(split, other)]
            shares.append(equal_error_rate(own[:, label] - own[:, other], others[:, label] - others[:, other]))
        worst = int(np.argmax(shares))
        found[label] = (
            shares[worst],
            f"it overlaps with {run.classes[rivals[worst]]}: wherever the line between the two is drawn, about "
            f"{percent(shares[worst])} of both stay on the wrong side.",
        )
    return found


def equal_error_rate(own: NDArray[np.floating[Any]], others: NDArray[np.floating[Any]]) -> float:
    """Share of either class on the wrong side of the line that mistakes as large a share of one as of the other.

    Args:
        own: (n,) scores of the instances that should lie above the line, n > 0.
        others: (m,) scores of those that should lie below, m > 0.

    Returns:
        In [0, 1]: 0 where a line parts the two, 0.5 where scores tell nothing. Between two scores the nearer line counts.

    Example:
        >>> equal_error_rate(np.array([1.0, 2.0, 3.0, 4.0]), np.array([-1.0, 0.0, 0.5, 1.5]))
        0.25
    """
    lines = np.sort(np.concatenate([own, others]))
    missed = np.searchsorted(np.sort(own), lines, side="right") / len(own)
    taken = 1 - np.searchsorted(np.sort(others), lines, side="right") / len(others)
    nearest_line = int(np.argmin(np.abs(missed - taken)))
    return float(missed[nearest_line] + taken[nearest_line]) / 2


def _sub_concepts(run: Run) -> dict[int, tuple[float, str]]:
    found = {}
    for label in range(run.n_classes):
        points = _points(run.train, label)
        if len(points) < FEWEST_FOR_CLUSTERS:
            continue
        distance, share = two_clusters(points)
        found[label] = (
            distance,
            f"its features fall into two groups {distance:.1f} standard deviations apart; the smaller holds {percent(share)}.",
        )
    return found


def two_clusters(points: NDArray[np.float64]) -> tuple[float, float]:
    """Distance between the means of two clusters in standard deviations within them, and the smaller one's share.

    Clusters are sought along the leading principal axes (at most four), one axis at a time, by the split of least squared
    error; the axis of largest distance counts. Shares below 5 % or three points are not clusters.

    Args:
        points: (n, D), n > 2.

    Example:
        >>> two_clusters(np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]]))[0] > 10
        True
    """
    centred = points - points.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:4]
    best = (0.0, 0.0)
    n = len(points)
    least = max(3, int(np.ceil(0.05 * n)))
    for axis in axes:
        values = np.sort(centred @ axis)
        cuts = np.arange(least, n - least + 1)
        if not len(cuts) or values[-1] - values[0] <= 1e-12:
            continue
        sums, squares = np.cumsum(values), np.cumsum(values**2)
        left, right = sums[cuts - 1], sums[-1] - sums[cuts - 1]
        within = squares[-1] - left**2 / cuts - right**2 / (n - cuts)
        at = int(np.argmin(within))
        cut = int(cuts[at])
        gap = right[at] / (n - cut) - left[at] / cut
        spread = np.sqrt(max(float(within[at]), 0.0) / n)
        distance = float(gap / spread) if spread > 0 else np.inf
        if distance > best[0]:
            best = (distance, min(cut, n - cut) / n)
    return best


def _label_noise(run: Run) -> dict[int, tuple[float, str]]:
    table = label_suspects(run).tables["label_suspect_counts"].set_index("class")
    mistaken = np.nan_to_num(1 - _accuracy(run))
    found = {}
    for label, name in enumerate(run.classes):
        if name in table.index:
            count = int(table.loc[name, "suspects"])
            share = count / run.train.class_counts[label]
            found[label] = (
                share - mistaken[label],
                f"{count} of its {counted(run.train.class_counts[label], 'training instance')} ({percent(share)}) lie wholly "
                f"among other classes, while {percent(mistaken[label])} of its test instances are mistaken.",
            )
    return found


def _uncovered(run: Run) -> dict[int, tuple[float, str]]:
    if run.test is None:
        raise NotApplicable("the run has no test split.")
    distances = {}
    for label in range(run.n_classes):
        trained, met = _points(run.train, label), _points(run.test, label)
        if len(trained) < FEWEST_FOR_COVERAGE or len(met) < FEWEST_FOR_COVERAGE:
            continue
        inside = np.quantile(nearest(trained, trained, 2)[1][:, 1], 0.75)
        outside = np.quantile(nearest(trained, met, 1)[1][:, 0], 0.75)
        if inside > 0:
            distances[label] = float(np.log(max(outside, 1e-12) / inside))
    middle = float(np.median(list(distances.values()))) if distances else 0.0
    return {
        label: (
            distance - middle,
            f"its test instances lie {ratio(np.exp(distance - middle))}x as far from their nearest training instance as in the "
            "median class, in distances among training instances.",
        )
        for label, distance in distances.items()
    }


def _few_features(run: Run) -> dict[int, tuple[float, str]]:
    numbers = class_features(run).tables["class_diversity"]["effective_number"].to_numpy()
    middle = float(np.nanmedian(numbers)) if np.isfinite(numbers).any() else 0.0
    return {
        label: (
            1 - value / middle,
            f"it rests on {value:.1f} features in effect, where the median class has {middle:.1f}.",
        )
        for label, value in enumerate(numbers)
        if np.isfinite(value) and middle > 0
    }


def _shortcut_colours(run: Run) -> dict[int, tuple[float, str]]:
    table = standing_out(colours(run).tables["colours"])
    found: dict[int, tuple[float, str]] = {}
    for row in table.itertuples():
        label = run.classes.index(row[1])
        excess = float(row.share - row.others)
        if label not in found or excess > found[label][0]:
            found[label] = (
                excess,
                f"{percent(row.share)} of the pixels that its answers hang on are {row.band}, {percent(row.others)} elsewhere.",
            )
    return found


MEASURES: dict[str, Callable[[Run], dict[int, tuple[float, str]]]] = {
    "few_examples": _few_examples,
    "overlap": _overlap,
    "sub_concepts": _sub_concepts,
    "label_noise": _label_noise,
    "uncovered_range": _uncovered,
    "few_features": _few_features,
    "shortcut_colours": _shortcut_colours,
}


def _points(split: Split, label: int) -> NDArray[np.float64]:
    return np.asarray(split.features[_some(split, label)], dtype=np.float64)


def _some(split: Split, label: int) -> NDArray[np.int64]:
    """Return the rows of a class; a fixed sample of them where they are many."""
    rows = np.flatnonzero(split.labels == label)
    if len(rows) > MOST_INSTANCES:
        rows = np.sort(np.random.default_rng(SEED).choice(rows, MOST_INSTANCES, replace=False))
    return rows


def _chart(finding: Diagnosis) -> Any:
    import altair as alt

    from imblens.lenses._charts import ERROR_RANGE, LABEL_LIMIT, base, class_axis, present, tip

    table: pd.DataFrame = finding.tables["diagnosis"]
    named = table[table["strength"] > 0]
    named = named.assign(cause=named["cause"].map(_in_words))
    order = present(table["class"].unique().tolist(), named["class"])
    causes = present([_in_words(cause.name) for cause in CAUSES], named["cause"])
    x = alt.X(
        "cause:N",
        scale=alt.Scale(domain=causes),
        title=None,
        axis=alt.Axis(labelLimit=LABEL_LIMIT, orient="top", labelAngle=-40),
    )
    y = class_axis(order)
    rows = base(named, len(order))
    cells = rows.mark_rect().encode(
        x=x,
        y=y,
        color=alt.Color(
            "strength:Q", scale=alt.Scale(range=ERROR_RANGE, domain=[0, 1]), legend=alt.Legend(title="strength")
        ),
        tooltip=[tip("class:N"), tip("cause:N"), tip("strength:Q", ".2f"), tip("evidence:N"), tip("treatment:N")],
    )
    if len(order) > NUMBERED:
        return cells
    numbers = rows.mark_text(fontSize=11).encode(
        x=x,
        y=y,
        text=alt.Text("strength:Q", format=".2f"),
        color=alt.condition("datum.strength > 0.85", alt.value("white"), alt.value("black")),
    )
    return alt.layer(cells, numbers)


def _in_words(cause: str) -> str:
    return cause.replace("_", " ")
