"""Wrong labels: training instances that look like another class more often than held-out instances of the class do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imblens.lenses.diagnosis.scores import per_class, scored
from imblens.run import Run

Floats = NDArray[np.float64]

EDGES = (
    -3.0,
    -6.0,
    -12.0,
)  # log probability of the own label: below the first an instance counts, the others part strata
FEWEST_TRAINED, FEWEST_HELD_OUT = 50, 30
SOURCES = 12  # other classes, those most often suggested, that are tried as the only source
STEPS = 150
HALVINGS = 14  # of a range, to find the end of an interval or the best factor
# log-likelihood that the ends of an interval lack: below, half the square of 2.6, as the best of several sources is taken
# (with 1.92, half of the classes without wrong labels had an interval above 0); above, half the 95% quantile of chi squared
LESS_LIKELY = (3.38, 1.92)
MOST_FACTOR = 1.0  # training instances are no more often contradicted than held-out ones, but for wrong labels


@dataclass(frozen=True)
class Noise:
    """Evidence on the labels of a class.

    Attributes:
        z: square root of the likelihood ratio between wrong labels and none.
        share: estimated share of wrong labels among the training instances of the class.
        low, high: its 95% interval.
        source: the class that they come from; None for all classes alike.
    """

    z: float
    share: float
    source: int | None
    low: float = 0.0
    high: float = 1.0


def label_noise(run: Run) -> dict[int, Noise]:
    """Return the evidence on wrong labels for each class with enough instances.

    Instances whose own label has a log probability below -3 are counted by predicted class and by stratum of that log
    probability. Held-out instances of the class give the counts without wrong labels, up to a factor of at most 1 (a network
    knows its training instances better); held-out instances of other classes show what their instances would add. The model is
    training counts ~ Poisson(n (factor held-out share + share of wrong labels x share of the source)), and sources are
    every class alike (in proportion to size) and single classes. Both shares have sampling errors: counts are multiplied
    by m / (n + m), n training and m held-out instances. The interval of the share holds the values with which the model is
    little less likely, with any factor and any source: by a logarithm of 1.92 above the estimate and 3.38 below, where the best
    of several sources would else exclude 0 too often. Computed once per run.

    Raises:
        NotApplicable: no held-out split.
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
    found: dict[int, Noise] = {}
    for label in np.flatnonzero((counts >= FEWEST_TRAINED) & (held >= FEWEST_HELD_OUT)).tolist():
        trained, tested = (_cells(one.log_p, of, label) for one, of in zip((train, test), predicted, strict=True))
        own, honest = (
            np.bincount(cell[(one.labels == label) & (cell >= 0)], minlength=n_classes * strata)
            for one, cell in ((train, trained), (test, tested))
        )
        base = (honest + 1 / (2 * strata)) / held[label]
        base[label * strata : (label + 1) * strata] = 0.0
        suggested = own.reshape(n_classes, strata).sum(axis=1)
        sources = [
            other for other in np.argsort(-suggested, kind="stable")[:SOURCES] if suggested[other] and held[other]
        ]
        if not sources:
            found[label] = Noise(0.0, 0.0, None, 0.0, 1 - 0.05 ** (1 / counts[label]))
            continue
        weight = np.where((np.arange(n_classes) != label) & (held > 0), size, 0.0)
        shapes = [
            _shape(tested, test.labels, weight / max(weight.sum(), 1e-12) / np.maximum(held, 1), n_classes * strata)
        ]
        for other in sources:
            single = np.zeros(n_classes)
            single[other] = 1 / held[other]
            shapes.append(_shape(tested, test.labels, single, n_classes * strata))
        scale = held[label] / (counts[label] + held[label])
        cells = (own * scale, base, np.array(shapes), counts[label] * scale)
        ratios, shares = _mixtures(*cells)
        best = int(ratios.argmax())
        source = None if best == 0 else int(sources[best - 1])
        found[label] = Noise(float(np.sqrt(ratios[best])), float(shares[best]), source, *_interval(*cells, shares))
    return found


def _cells(log_p: NDArray[np.float32], predicted: NDArray[np.int64], label: int) -> NDArray[np.int64]:
    """(n,) predicted class and stratum as one number; -1 where the label is not contradicted."""
    own = log_p[:, label]
    stratum = sum((own < edge).astype(np.int64) for edge in EDGES) - 1
    return np.where(stratum >= 0, predicted * len(EDGES) + stratum, -1)


def _shape(cells: NDArray[np.int64], labels: NDArray[np.int64], weight: Floats, n_cells: int) -> Floats:
    """Share of each cell among held-out instances of other classes, each class with its weight."""
    chosen = (cells >= 0) & (weight[labels] > 0)
    return np.asarray(np.bincount(cells[chosen], weights=weight[labels[chosen]], minlength=n_cells), dtype=np.float64)


def _mixtures(counts: Floats, base: Floats, shapes: Floats, n: float) -> tuple[Floats, Floats]:
    """Fit counts ~ Poisson(n (factor base + share shape)) for each shape by expectation maximisation, factor at most 1.

    Returns:
        Twice the gain in log-likelihood over share 0, and the shares.
    """
    used = (counts > 0) | (base > 0)
    counts, base, shapes = counts[used], base[used] + 1e-12, shapes[:, used]
    total, whole, mass = counts.sum(), base.sum(), np.maximum(shapes.sum(axis=1), 1e-12)
    alone = min(MOST_FACTOR, total / (n * whole))
    factor, share = np.full(len(shapes), 0.7 * alone), 0.3 * total / (n * mass)
    for _ in range(STEPS):
        expected = factor[:, None] * base + share[:, None] * shapes
        part = counts / expected
        factor = np.minimum(MOST_FACTOR, factor * (part @ base) / (n * whole))
        share = share * (part * shapes).sum(axis=1) / (n * mass)
    expected = n * (factor[:, None] * base + share[:, None] * shapes)
    without = n * alone * base
    gain = (counts * np.log(expected / without)).sum(axis=1) - expected.sum(axis=1) + without.sum()
    return np.maximum(2 * gain, 0.0), share


def _interval(counts: Floats, base: Floats, shapes: Floats, n: float, shares: Floats) -> tuple[float, float]:
    """Ends of the interval of the share: where the likelihood, at the best factor and source, lacks `LESS_LIKELY`."""
    used = (counts > 0) | (base > 0)
    counts, base, shapes = counts[used], base[used] + 1e-12, shapes[:, used]
    shares = np.minimum(shares, 1.0)
    likelihood = _profile(counts, base, shapes, n, shares)
    near = likelihood > likelihood.max() - max(LESS_LIKELY)
    shapes, shares = shapes[near], shares[near]
    target = likelihood.max() - np.repeat(LESS_LIKELY, len(shares))
    inside, shapes = np.tile(shares, 2), np.tile(shapes, (2, 1))
    outer = np.repeat([0.0, 1.0], len(shares))
    ends = _profile(counts, base, shapes, n, outer) >= target
    outside = outer.copy()
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        likely = _profile(counts, base, shapes, n, middle) >= target
        inside, outside = np.where(likely, middle, inside), np.where(likely, outside, middle)
    found = np.where(ends, outer, outside)
    return float(found[: len(shares)].min()), float(found[len(shares) :].max())


def _profile(counts: Floats, base: Floats, shapes: Floats, n: float, shares: Floats) -> Floats:
    """Log-likelihood of each shape with its share and the best factor, up to a constant."""
    lowest, highest = np.zeros(len(shares)), np.full(len(shares), MOST_FACTOR)
    added = shares[:, None] * shapes
    for _ in range(HALVINGS):  # the slope falls with the factor
        factor = (lowest + highest) / 2
        rises = (counts * base / (factor[:, None] * base + added)).sum(axis=1) > n * base.sum()
        lowest, highest = np.where(rises, factor, lowest), np.where(rises, highest, factor)
    expected = n * (highest[:, None] * base + added)
    return np.asarray((counts * np.log(expected)).sum(axis=1) - expected.sum(axis=1))
