"""Causes of a class's errors in single-label runs: what is measured, and from where on it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import divide, imbalance
from imblens.base.wording import FEW, counted, percent, ratio
from imblens.errors import NotApplicable
from imblens.lenses.archetypes import ARCHETYPES, instance_archetypes
from imblens.lenses.class_accuracy.measure import class_accuracy
from imblens.lenses.class_features.measure import class_features
from imblens.lenses.colours import colours, standing_out
from imblens.run import Confusion, Part, Run, Split, nearest

SEED = 0
MOST_INSTANCES = 500  # of a class, for distances, clusters and overlap
FEWEST_FOR_COVERAGE, FEWEST_FOR_CLUSTERS = 8, 20  # training instances of a class, below which they are not judged
EXPLAINS = 0.7  # share of a cause that is attributed to another cause which leads to it, where that one is clear
LEADS_TO = {"overlap": ("few_examples", "uncovered_range"), "sub_concepts": ("few_examples",)}
RIVALS = 3  # other classes, those it is most often confused with, that are examined for overlap
ERRORS_FOR_FULL_WEIGHT = 0.15  # error rate from which a harmful cause counts in full


@dataclass(frozen=True)
class Cause:
    """A possible cause and what helps against it.

    Attributes:
        name: as in the table.
        title: as in a sentence.
        nothing: raw measure at which strength is 0.
        clear: raw measure at which strength is 1; set on drawn shapes with other seeds than those of any study.
        harms: whether it counts only as far as the class has errors to explain.
        treatment: what to try: a name for `imblens treat`, or what to do with the data.
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
    Cause("sub_concepts", "a rare sub-concept", 3.7, 4.5, True, "collect or augment images of its rare sub-concept"),
    Cause("label_noise", "wrong labels", 0.012, 0.045, False, "check its label suspects, then train without them"),
    Cause(
        "uncovered_range",
        "test instances that training does not cover",
        0.15,
        0.6,
        True,
        "collect images like its misclassified test images",
    ),
    Cause("few_features", "few features", 0.45, 0.85, True, "crt"),
    Cause("shortcut_colours", "a colour shortcut", 0.15, 0.45, False, "vary the background, then train again"),
)


def strengths(values: dict[str, float], accuracy: float) -> list[tuple[Cause, float]]:
    """Strength of each cause in one class, less what another cause leads to.

    Args:
        values: the measures of the class by cause; what is missing or NaN has strength 0.
        accuracy: of the class; NaN where unknown.
    """
    raw = {cause.name: _strength(cause, values.get(cause.name, np.nan), accuracy) for cause in CAUSES}
    own = {name: np.prod([1 - EXPLAINS * raw[other] for other in LEADS_TO.get(name, ())]) for name in raw}
    return [(cause, float(raw[cause.name] * own[cause.name])) for cause in CAUSES]


def _strength(cause: Cause, value: float, accuracy: float) -> float:
    if not np.isfinite(value):
        return 0.0
    raw = float(np.clip((value - cause.nothing) / (cause.clear - cause.nothing), 0.0, 1.0))
    if cause.harms and np.isfinite(accuracy):
        raw *= min(1.0, (1.0 - accuracy) / ERRORS_FOR_FULL_WEIGHT)
    return raw


def class_recall(run: Run) -> NDArray[np.float64]:
    """(C,) accuracy on the test split; NaN without one, or without predictions on it."""
    if run.test is None or not run.test.has_logits:
        return np.full(run.n_classes, np.nan)
    return class_accuracy(run).tables["class_accuracy"]["accuracy"].to_numpy()


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
    rates = divide(counts, sizes, otherwise=0.0)
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
            f"it overlaps with {run.classes[rivals[worst]]}: wherever the boundary between the two is drawn, about "
            f"{percent(shares[worst])} of both lie on the wrong side.",
        )
    return found


def equal_error_rate(own: NDArray[np.floating[Any]], others: NDArray[np.floating[Any]]) -> float:
    """Share of either class on the wrong side of the threshold at which both shares are equal.

    Args:
        own: (n,) scores of the instances that should lie above the threshold, n > 0.
        others: (m,) scores of those that should lie below, m > 0.

    Returns:
        In [0, 1]: 0 where a threshold separates the two, 0.5 where scores are uninformative. Only the scores are tried as
        thresholds, and the one with the smallest difference counts.

    Example:
        >>> equal_error_rate(np.array([1.0, 2.0, 3.0, 4.0]), np.array([-1.0, 0.0, 0.5, 1.5]))
        0.25
    """
    thresholds = np.sort(np.concatenate([own, others]))
    below = np.searchsorted(np.sort(own), thresholds, side="right") / len(own)
    above = 1 - np.searchsorted(np.sort(others), thresholds, side="right") / len(others)
    equal = int(np.argmin(np.abs(below - above)))
    return float(below[equal] + above[equal]) / 2


def _sub_concepts(run: Run) -> dict[int, tuple[float, str]]:
    found = {}
    for label in range(run.n_classes):
        points = _points(run.train, label)
        if len(points) < FEWEST_FOR_CLUSTERS:
            continue
        distance, share = two_clusters(points)
        found[label] = (
            distance,
            f"its features form two groups {distance:.1f} standard deviations apart; the smaller holds {percent(share)}.",
        )
    return found


def two_clusters(points: NDArray[np.float64]) -> tuple[float, float]:
    """Distance between the means of two clusters in standard deviations within them, and the smaller one's share.

    Each of the (at most four) leading principal axes is split where the squared error is least; the axis with the largest
    distance counts. Fewer than 5% of the points, or fewer than three, are not a cluster.

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
    """Outliers among the training instances of classes of at least the median size, less the class's test errors."""
    counts = run.train.class_counts
    is_outlier = instance_archetypes(run) == ARCHETYPES.index("outlier")
    n_outliers = np.bincount(run.train.labels[is_outlier], minlength=run.n_classes)
    mistaken = np.nan_to_num(1 - class_recall(run))
    found = {}
    for label in np.flatnonzero(counts >= max(1, np.median(counts[counts > 0]))).tolist():
        share = n_outliers[label] / counts[label]
        found[label] = (
            share - mistaken[label],
            f"{n_outliers[label]} of its {counted(counts[label], 'training instance')} ({percent(share)}) have only neighbours "
            f"of other classes, and {percent(mistaken[label])} of its test instances are misclassified.",
        )
    return found


def _uncovered(run: Run) -> dict[int, tuple[float, str]]:
    if run.test is None:
        raise NotApplicable("the run has no test split.")
    distances = {}
    for label in range(run.n_classes):
        trained, tested = _points(run.train, label), _points(run.test, label)
        if len(trained) < FEWEST_FOR_COVERAGE or len(tested) < FEWEST_FOR_COVERAGE:
            continue
        inside = np.quantile(nearest(trained, trained, 2)[1][:, 1], 0.75)
        outside = np.quantile(nearest(trained, tested, 1)[1][:, 0], 0.75)
        if inside > 0:
            distances[label] = float(np.log(max(outside, 1e-12) / inside))
    middle = float(np.median(list(distances.values()))) if distances else 0.0
    return {
        label: (
            distance - middle,
            f"its test instances are {ratio(np.exp(distance - middle))}x as far from their nearest training instance as "
            "those of the median class, relative to distances between training instances.",
        )
        for label, distance in distances.items()
    }


def _few_features(run: Run) -> dict[int, tuple[float, str]]:
    numbers = class_features(run).tables["class_diversity"]["effective_number"].to_numpy()
    middle = float(np.nanmedian(numbers)) if np.isfinite(numbers).any() else 0.0
    return {
        label: (
            1 - value / middle,
            f"it relies on {value:.1f} effective features, the median class on {middle:.1f}.",
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
                f"{percent(row.share)} of its most salient pixels are {row.band}, in the other classes {percent(row.others)}.",
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
    """Rows of a class; a fixed sample of them where they are many."""
    rows = np.flatnonzero(split.labels == label)
    if len(rows) > MOST_INSTANCES:
        rows = np.sort(np.random.default_rng(SEED).choice(rows, MOST_INSTANCES, replace=False))
    return rows
