"""Measures of each cause, compared with what is usual for the same network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import imbalance
from imblens.base.wording import FEW, counted, percent, ratio
from imblens.errors import NotApplicable
from imblens.lenses.class_accuracy.measure import class_accuracy
from imblens.lenses.class_features.measure import class_features
from imblens.lenses.colours import colours, standing_out
from imblens.lenses.diagnosis import noise, regions
from imblens.lenses.diagnosis.failing import failing
from imblens.lenses.diagnosis.scores import in_canonical_order, per_class, pooled_scores
from imblens.lenses.shortcuts import evidence, judged_by, relied_on, shortcuts
from imblens.run import Run, Split, class_groups

Seen = dict[int, tuple[float, str]]  # class -> strength in [0, 1], evidence
MOST_INSTANCES = 500  # of a class, for overlap
RIVALS = 3  # other classes, those it is most often confused with, that are examined for overlap
ERRORS_FOR_FULL_WEIGHT = 0.15  # error rate from which a cause that harms counts in full
HARM = 0.25  # accuracy that instances in a region lack, from which the region counts in full
HARMLESS = 0.5  # weight of a region that costs no accuracy
THIN_EXPLAINS = (
    0.9  # share of the evidence on wrong labels that a part of the class which training covers less explains
)
OTHERS = 3  # other classes that a reference needs; with fewer, the usual value of trained networks is taken
USUAL = "median of classes of similar size"
USUAL_Z, USUAL_CUT = 1.4, 0.2  # medians over classes without a planted cause
LEAST_Z, ABOVE_Z = 2.6, 1.2  # evidence on wrong labels counts from there, and from so far above the other classes'


def class_recall(run: Run) -> NDArray[np.float64]:
    """(C,) accuracy on the test split; NaN without one, or without predictions on it."""
    if run.test is None or not run.test.has_logits:
        return np.full(run.n_classes, np.nan)
    return class_accuracy(run).tables["class_accuracy"]["accuracy"].to_numpy()


def _error_weight(run: Run) -> NDArray[np.float64]:
    """(C,) in [0, 1]: how far a class has errors to explain; 1 where accuracy is unknown."""
    return np.nan_to_num(np.minimum(1.0, (1.0 - class_recall(run)) / ERRORS_FOR_FULL_WEIGHT), nan=1.0)


def between(value: float, nothing: float, clear: float) -> float:
    """0 at `nothing`, 1 at `clear`, linear between."""
    return float(np.clip((value - nothing) / (clear - nothing), 0.0, 1.0))


class Others:
    """Medians over the other classes; of many classes too, without a pass over them for each.

    Example:
        >>> others = Others({0: 1.0, 1: 2.0, 2: 4.0, 3: 8.0, 4: np.nan}, usual=0.5)
        >>> others.median(3), others.median(4), others.median(0, 1)
        (2.0, 3.0, 0.5)
    """

    def __init__(self, values: Mapping[int, float], usual: float) -> None:
        """Take the values by class; `usual` is returned where fewer than three others are known."""
        self._values, self._usual = values, usual
        self._sorted = np.sort([value for value in values.values() if np.isfinite(value)])

    def median(self, *left_out: int) -> float:
        """Return the median over the classes but those."""
        without = [self._values[label] for label in set(left_out) if np.isfinite(self._values.get(label, np.nan))]
        n = len(self._sorted) - len(without)
        if n < OTHERS:
            return self._usual
        gone = sorted(int(np.searchsorted(self._sorted, value)) for value in without)
        gone = [place + (place in gone[:at]) for at, place in enumerate(gone)]  # two equal values are two places
        middle = []
        for rank in ((n - 1) // 2, n // 2):
            for place in gone:
                rank += place <= rank
            middle.append(float(self._sorted[rank]))
        return (middle[0] + middle[1]) / 2


class Alike:
    """Medians over other classes of similar size: the two next larger and the two next smaller ones.

    At either end, four of the other side; all classes of one size count alike.

    Example:
        >>> shares = Alike({0: 0.0, 1: 0.0, 2: 0.1, 3: 0.3, 4: 0.4, 5: 0.5}, np.array([900, 400, 200, 100, 90, 80]))
        >>> shares.median(5), shares.median(3), shares.median(0)
        (0.2, 0.25, 0.2)
    """

    def __init__(self, values: Mapping[int, float], sizes: NDArray[np.int64]) -> None:
        """Take the values by class, and (C,) training instances of every class."""
        labels = sorted(values, key=lambda label: sizes[label])
        self._values, self._sizes = np.array([values[label] for label in labels]), sizes[np.array(labels, dtype=int)]
        self._place = {label: place for place, label in enumerate(labels)}

    def median(self, label: int) -> float:
        """Return the median for the reference of a class; 0 with fewer than three others."""
        n, place = len(self._values), self._place[label]
        if n <= OTHERS:
            return 0.0
        first = max(0, min(place - 2, n - 5))
        ends = self._sizes[[first, min(first + 4, n - 1)]]
        low, high = np.searchsorted(self._sizes, ends[0]), np.searchsorted(self._sizes, ends[1], side="right")
        return float(np.median(np.delete(self._values[low:high], place - low)))


def _few_examples(run: Run) -> Seen:
    counts = run.train.class_counts
    largest = run.classes[int(counts.argmax())]
    errors = _error_weight(run)
    return {
        label: (
            between(float(np.log10(times)), float(np.log10(2.0)), float(np.log10(40.0))) * errors[label],
            f"it has {counted(counts[label], 'training instance')}, {ratio(times)}x fewer than {largest}.",
        )
        for label, times in enumerate(imbalance(counts))
        if np.isfinite(times)
    }


def _overlap(run: Run) -> Seen:
    split = run.test if run.test is not None and run.test.has_logits else run.train
    rates = _rates_at_even_sizes(run, split)
    either = (rates.tocsr() + rates.T.tocsr()).tocsr()
    judged = class_groups(split) >= FEW
    worst: dict[int, tuple[float, int]] = {}
    known: dict[tuple[int, int], float] = {}
    for label in np.flatnonzero(judged).tolist():
        confused = np.where(judged, either[[label]].toarray()[0], -1.0)
        confused[label] = -1.0
        for other in np.argsort(-confused, kind="stable")[:RIVALS].tolist():
            if confused[other] < 0:
                continue
            pair = (min(label, other), max(label, other))
            if pair not in known:
                known[pair] = _pair_overlap(run, split, *pair)
            if label not in worst or known[pair] > worst[label][0]:
                worst[label] = (known[pair], other)
    found = {}
    weights = _error_weight(run)
    others = Others({label: values[0] for label, values in worst.items()}, 0.0)
    for label, (share, other) in worst.items():
        usual = others.median(label, other)
        nothing = max(0.1, usual)
        strength = 0.8 * between(share, nothing, nothing + 0.15) + 0.2 * between(share, 0.3, 0.45)
        found[label] = (
            strength * weights[label],
            f"it overlaps with {run.classes[other]}: wherever the boundary between the two is drawn, about "
            f"{percent(share)} of both lie on the wrong side (chance: 50%; median of other classes with their rivals: "
            f"{percent(usual)}).",
        )
    return found


def _rates_at_even_sizes(run: Run, split: Split) -> Any:
    """(C, C) sparse share of each class (row) that is predicted as each other once the log of class sizes is taken out."""
    from scipy.sparse import csr_array

    prior = np.log(np.maximum(run.train.class_counts, 0.5)).astype(np.float32)
    batches = split.batches(logits=True)
    predicted = np.concatenate([(np.asarray(batch.logits) - prior).argmax(axis=1) for batch in batches])
    one = np.ones(len(split))
    counts = csr_array((one, (split.labels, predicted)), shape=(run.n_classes, run.n_classes)).tocoo()
    counts.data /= split.class_counts[counts.row]
    return counts


def _pair_overlap(run: Run, split: Split, one: int, other: int) -> float:
    """Equal error rate of two classes: by the head's logits, or by a discriminant on held-out features where it is lower."""
    rows = [in_canonical_order(split, MOST_INSTANCES, label) for label in (one, other)]
    logits = [split.logits_of(of) for of in rows]
    by_head = equal_error_rate(*(values[:, one] - values[:, other] for values in logits))
    if split is run.train or per_class(run) < FEW:
        return by_head
    sample = pooled_scores(run)
    scores = [sample.log_p[sample.labels == label] for label in (one, other)]
    if min(map(len, scores)) < FEW:
        return by_head
    return min(by_head, equal_error_rate(*(values[:, one] - values[:, other] for values in scores)))


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


def _uncovered(run: Run) -> Seen:
    found = regions.uncovered(run)
    shares = _usual_shares(run, found)
    alone = {
        label: (
            _region_strength(region, shares.median(label)) if region.absent else 0.0,
            f"{percent(region.share)} of its test instances lie where it has hardly any training instance "
            f"({USUAL}: {percent(shares.median(label))}){accuracy_text(region)}.",
        )
        for label, region in found.items()
    }
    return _stronger(alone, _failing(run, some=False))


def _stronger(one: Seen, other: Seen) -> Seen:
    """The stronger evidence for each class; the first where both are equal."""
    return one | {label: seen for label, seen in other.items() if label not in one or seen[0] > one[label][0]}


def _failing(run: Run, *, some: bool) -> Seen:
    """Evidence that training has some, but few, or no instances where a class is misclassified.

    It has none, too, where most of these held-out instances lie where training has practically none.
    """
    found, alone = failing(run), regions.uncovered(run)
    usual = Alike({label: region.excess for label, region in found.items()}, run.train.class_counts)
    errors = _error_weight(run)
    seen: Seen = {}
    for label, region in found.items():
        none = region.trained == 0 or (alone[label].absent and alone[label].share >= region.share / 2)
        if not region.rare or none == some:
            continue
        excess = max(0.0, usual.median(label))
        seen[label] = (
            between(region.least, 0.02 + 2 * excess, 0.05 + 2 * excess) * errors[label],
            f"{percent(region.share)} of its test instances lie where it is misclassified, and "
            f"{percent(region.trained)} of its training instances (usual difference, {USUAL}: {percent(excess)}).",
        )
    return seen


def _usual_shares(run: Run, found: Mapping[int, regions.Region]) -> Alike:
    """Shares of the classes' test instances that lie alone: the reference of such a share.

    A network that has memorised its training instances draws those of a class together, the fewer the closer, and test
    instances of small classes lie outside.
    """
    return Alike({label: region.share for label, region in found.items()}, run.train.class_counts)


def _region_strength(region: regions.Region, usual: float) -> float:
    """Strength of a region that training covers less: share beyond that of similar classes and chance, and accuracy lost."""
    return _thin(region, usual) * harm_weight(region, 1.0)


def _thin(region: regions.Region, usual: float) -> float:
    """Strength of the evidence that training covers a part of a class less: share beyond similar classes and chance."""
    return between(region.share, 0.02 + 2 * usual, 0.05 + 2 * usual)


def harm_weight(region: regions.Region, errors: float) -> float:
    """Weight of a region, 1 where it costs much accuracy; where it costs none, half that of the class's errors."""
    return HARMLESS * errors + (1 - HARMLESS * errors) * between(region.harm, 0.0, HARM)


def accuracy_text(region: regions.Region, what: str = "accuracy") -> str:
    """Accuracy, or another measure, in a region and elsewhere, as the end of a sentence; "" where unknown."""
    if not np.isfinite(region.accuracy):
        return ""
    return f"; {what} there is {percent(region.accuracy)}, elsewhere {percent(region.elsewhere)}"


def _sub_concepts(run: Run) -> Seen:
    """The stronger of two kinds of evidence: a region with few training instances, or a separate cluster."""
    of_class = regions.clusters(run)
    cuts = Others({label: region.cut for label, region in of_class.items()}, USUAL_CUT)
    errors = _error_weight(run)
    found: Seen = {}
    for label, region in of_class.items():
        usual = cuts.median(label)
        found[label] = (
            between(-region.cut, -0.7 * usual, -0.35 * usual) * harm_weight(region, errors[label]),
            f"{percent(region.trained)} of its training instances form a separate cluster (links to the rest: "
            f"{percent(region.cut)} of what chance gives; median of the other classes: {percent(usual)})"
            f"{accuracy_text(region)}.",
        )
    try:
        thin = regions.uncovered(run)
    except NotApplicable:
        return found
    shares = _usual_shares(run, thin)
    few = {
        label: (
            _region_strength(region, shares.median(label)),
            f"{percent(region.share)} of its test instances lie where training has few of it "
            f"({USUAL}: {percent(shares.median(label))}){accuracy_text(region)}.",
        )
        for label, region in thin.items()
        if region.thin
    }
    return _stronger(_stronger(found, few), _failing(run, some=True))


def _label_noise(run: Run) -> Seen:
    found = noise.label_noise(run)
    ratios = Others({label: one.z for label, one in found.items()}, USUAL_Z)
    thin = regions.uncovered(run)
    shares = _usual_shares(run, thin)
    seen: Seen = {}
    for label, one in found.items():
        usual = ratios.median(label)
        nothing = max(LEAST_Z, usual + ABOVE_Z)
        covered = _thin(thin[label], shares.median(label)) if label in thin else 0.0
        source = "other classes" if one.source is None else run.classes[one.source]
        seen[label] = (
            between(one.z, nothing, nothing + 1.0) * (1 - THIN_EXPLAINS * covered),
            f"about {percent(one.share)} of its {counted(run.train.class_counts[label], 'training instance')} look like "
            f"{source} and not like its test instances (z {one.z:.1f}, median of the other classes {usual:.1f}).",
        )
    return seen


def _few_features(run: Run) -> Seen:
    numbers = class_features(run).tables["class_diversity"]["effective_number"].to_numpy()
    middle = float(np.nanmedian(numbers)) if np.isfinite(numbers).any() else 0.0
    errors = _error_weight(run)
    return {
        label: (
            between(1 - value / middle, 0.45, 0.85) * errors[label],
            f"it relies on {value:.1f} effective features, the median class on {middle:.1f}.",
        )
        for label, value in enumerate(numbers)
        if np.isfinite(value) and middle > 0
    }


def _shortcut(run: Run) -> Seen:
    """The cue that holds most of a class's evidence, where removing it costs accuracy."""
    found: Seen = {}
    for row in relied_on(shortcuts(run).tables["shortcuts"]).to_dict("records"):
        strength = between(row["drop_low"], 0.0, 0.3)
        found.setdefault(run.classes.index(row["class"]), (strength, f"{evidence(row)}"))
    return found


def _harmless_colours(run: Run) -> set[int]:
    """Classes that were tried without the colour they have above the others, and do not rely on it."""
    try:
        table = shortcuts(run).tables["shortcuts"]
    except NotApplicable:
        return set()
    tried = set(table.loc[(table["cue"] == "colour") & (judged_by(table) >= FEW), "class"])
    return {run.classes.index(name) for name in tried - set(relied_on(table)["class"])}


def _shortcut_colours(run: Run) -> Seen:
    table = standing_out(colours(run).tables["colours"])
    found: Seen = {}
    highest: dict[int, float] = dict.fromkeys(_harmless_colours(run), np.inf)
    for row in table.itertuples():
        label = run.classes.index(row[1])
        excess = float(row.share - row.others)
        if excess > highest.get(label, 0.0):
            highest[label] = excess
            found[label] = (
                between(excess, 0.15, 0.45),
                f"{percent(row.share)} of its most salient pixels are {row.band}, in the other classes {percent(row.others)}.",
            )
    return found


MEASURES: dict[str, Callable[[Run], Seen]] = {
    "few_examples": _few_examples,
    "overlap": _overlap,
    "sub_concepts": _sub_concepts,
    "label_noise": _label_noise,
    "uncovered_range": _uncovered,
    "few_features": _few_features,
    "shortcut": _shortcut,
    "shortcut_colours": _shortcut_colours,
}
