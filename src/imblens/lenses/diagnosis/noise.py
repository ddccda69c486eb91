"""Wrong labels: training instances that look like another class more often than held-out instances of the class do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.base.groups import design_effects
from imblens.lenses.diagnosis.noise_share import share_with_interval
from imblens.lenses.diagnosis.scores import Sample, held_out, per_class, scored, split_groups
from imblens.run import Run, Split

Floats = NDArray[np.float64]

EDGES = (
    -3.0,
    -6.0,
    -12.0,
)  # log probability of the own label: below the first an instance counts, the others part strata
FEWEST_TRAINED, FEWEST_HELD_OUT = 50, 30
SOURCES = 12  # other classes, those most often suggested, that are tried as the only source
STEPS = 150
TINY = 1e-9  # weight of an instance for the design effect where no instance of its class varies
MOST_FACTOR = 1.0  # training instances are no more often contradicted than held-out ones, but for wrong labels


@dataclass(frozen=True)
class Noise:
    """Evidence on the labels of a class.

    Attributes:
        z: square root of the likelihood ratio between wrong labels and none.
        source: the class that they come from; None for all classes alike.
        share: estimated share of wrong labels among the training instances of the class.
        low, high: its 95% interval.
    """

    z: float
    source: int | None
    share: float
    low: float
    high: float


def label_noise(run: Run) -> dict[int, Noise]:
    """Return the evidence on wrong labels for each class with enough instances.

    Instances predicted as another class whose own label has a log probability below -3 are counted by predicted class and by
    stratum of that log probability. Held-out instances of the class give the counts without wrong labels, up to a factor of at
    most 1 (a network knows its training instances better); held-out instances of other classes show what their instances
    would add. The model is training counts ~ Poisson(n (factor held-out share + share of wrong labels x share of the
    source)), and sources are every class alike (in proportion to size) and single classes. For z, both shares have
    sampling errors: counts are multiplied by m / (n + m), n training and m held-out instances. The share of wrong labels and
    its interval are those of `share_with_interval`. Where groups are known, the likelihood ratio of a class, and the counts for
    its interval, are divided by the design effect of the class's share of contradicted instances. Computed once per run.

    Raises:
        NotApplicable: no held-out split.

    References:
        Rao and Scott 1981, The analysis of categorical data from complex sample surveys, for the division of a test
        statistic by a design effect.
    """
    return run.remember("wrong labels of classes", lambda: _label_noise(run))


def _label_noise(run: Run) -> dict[int, Noise]:
    if per_class(run) < FEWEST_HELD_OUT:  # so many classes that too few instances of each are scored
        return {}
    train, test = scored(run)
    n_classes, strata = run.n_classes, len(EDGES)
    counts, held = (np.bincount(one.labels, minlength=n_classes) for one in (train, test))
    size = run.train.class_counts / max(1, run.train.class_counts.sum())
    predicted = [one.log_p.argmax(axis=1) for one in (train, test)]
    effect = _effects((run.train, held_out(run)), (train, test), predicted)
    found: dict[int, Noise] = {}
    for label in np.flatnonzero((counts >= FEWEST_TRAINED) & (held >= FEWEST_HELD_OUT)).tolist():
        trained, tested = (_cells(one.log_p, of, label) for one, of in zip((train, test), predicted, strict=True))
        own, honest = (
            np.bincount(cell[(one.labels == label) & (cell >= 0)], minlength=n_classes * strata).astype(np.float64)
            for one, cell in ((train, trained), (test, tested))
        )
        n, m, worth = float(counts[label]), float(held[label]), float(effect[label])
        base = (honest + 1 / (2 * strata)) / m
        base[label * strata : (label + 1) * strata] = 0.0
        suggested = own.reshape(n_classes, strata).sum(axis=1)
        sources = [
            other for other in np.argsort(-suggested, kind="stable")[:SOURCES] if suggested[other] and held[other]
        ]
        if not sources:
            found[label] = Noise(0.0, None, 0.0, 0.0, 1 - 0.05 ** (worth / n))
            continue
        weight = np.where((np.arange(n_classes) != label) & (held > 0), size, 0.0)
        shapes = [
            _shape(tested, test.labels, weight / max(weight.sum(), 1e-12) / np.maximum(held, 1), n_classes * strata)
        ]
        for other in sources:
            single = np.zeros(n_classes)
            single[other] = 1 / held[other]
            shapes.append(_shape(tested, test.labels, single, n_classes * strata))
        scale = m / (n + m)
        ratios = _ratios(own * scale, base, np.array(shapes), n * scale)
        best = int(ratios.argmax())
        source = None if best == 0 else int(sources[best - 1])
        estimated = share_with_interval(own / worth, honest / worth, np.array(shapes), n / worth, m / worth)
        found[label] = Noise(float(np.sqrt(ratios[best] / worth)), source, *estimated)
    return found


def _effects(splits: tuple[Split, Split], scores: tuple[Sample, Sample], predicted: list[NDArray[np.int64]]) -> Floats:
    """(C,) design effect of the share of contradicted instances of each class; 1 where no groups are known.

    It is the mean of those of both splits by the variation of contradicted instances in each, so wrong labels, which make
    the splits differ, do not count. It is not averaged with that of instances which are all alike within their group: this
    took most of the power where they are independent.
    """
    n_classes = scores[0].log_p.shape[1]
    if all(split.groups is None for split in splits):
        return np.ones(n_classes)
    above, below = np.zeros((2, n_classes))
    for split, one, of in zip(splits, scores, predicted, strict=True):
        own = one.log_p[np.arange(len(one.labels)), one.labels]
        contradicted = (own < EDGES[0]) & (of != one.labels)
        count = np.bincount(one.labels, minlength=n_classes)
        share = divide(np.bincount(one.labels, weights=contradicted, minlength=n_classes), count, otherwise=0.0)
        weight = count * (share * (1 - share) + TINY)
        above += weight * design_effects(one.labels, split_groups(split, one.rows), contradicted, n_classes, prior=0.0)
        below += weight
    return divide(above, below, otherwise=1.0)


def _cells(log_p: NDArray[np.float32], predicted: NDArray[np.int64], label: int) -> NDArray[np.int64]:
    """(n,) predicted class and stratum as one number; -1 where the label is not contradicted.

    Of more than 20 classes that overlap, the most probable may have a log probability below -3: it is not contradicted.
    """
    own = log_p[:, label]
    stratum = sum((own < edge).astype(np.int64) for edge in EDGES) - 1
    return np.where((stratum >= 0) & (predicted != label), predicted * len(EDGES) + stratum, -1)


def _shape(cells: NDArray[np.int64], labels: NDArray[np.int64], weight: Floats, n_cells: int) -> Floats:
    """Share of each cell among held-out instances of other classes, each class with its weight."""
    chosen = (cells >= 0) & (weight[labels] > 0)
    return np.asarray(np.bincount(cells[chosen], weights=weight[labels[chosen]], minlength=n_cells), dtype=np.float64)


def _ratios(counts: Floats, base: Floats, shapes: Floats, n: float) -> Floats:
    """Fit counts ~ Poisson(n (factor base + share shape)) for each shape by expectation maximisation, factor at most 1.

    Returns:
        Twice the gain in log-likelihood over share 0.
    """
    from scipy.special import xlogy

    used = (counts > 0) | (base > 0)
    counts, base, shapes = counts[used], base[used] + 1e-12, shapes[:, used]
    total, whole, mass = counts.sum(), base.sum(), np.maximum(shapes.sum(axis=1), 1e-12)
    alone = min(MOST_FACTOR, total / (n * whole))
    factor, share = np.full(len(shapes), 0.7 * alone), 0.3 * total / (n * mass)
    for _ in range(STEPS):
        expected = factor[:, None] * base + share[:, None] * shapes
        part = np.divide(
            counts, expected, out=np.zeros_like(expected), where=expected > 0
        )  # both are 0 where neither fits
        factor = np.minimum(MOST_FACTOR, factor * (part @ base) / (n * whole))
        share = share * (part * shapes).sum(axis=1) / (n * mass)
    expected = n * (factor[:, None] * base + share[:, None] * shapes)
    without = n * alone * base
    gain = xlogy(counts, expected / without).sum(axis=1) - expected.sum(axis=1) + without.sum()
    return np.maximum(2 * gain, 0.0)
