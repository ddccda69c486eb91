"""What an estimate is made of: predictions and calibrated probabilities of labelled and of new instances."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imblens.decisions._calibration import Calibration, calibration_draws, mean_probability, predicted
from imblens.decisions._estimate_many import (
    SHOWN,
    Pairs,
    chances,
    measures_of_many,
)
from imblens.decisions._expected import Measures, black_box_shares, expected_measures
from imblens.decisions._labelled import Instances
from imblens.decisions._many_draws import many_calibration_draws
from imblens.decisions._priors import adjusted_probabilities, em_prior
from imblens.decisions._shift import label_shift_p, shares_p
from imblens.run import predicted_classes

Floats = NDArray[np.float64]


class Source(NamedTuple):
    """Labelled instances, the calibration on them, and how both are described."""

    instances: Instances
    labels: NDArray[Any]
    calibration: Calibration
    notes: list[str]


class FewClasses:
    """Predictions and calibrated probabilities of the labelled and of the new instances, (n, C) arrays."""

    def __init__(self, source: Source, new: Instances, multilabel: bool) -> None:
        self._source, self._logits, self._multilabel = source, np.asarray(new.logits), multilabel
        self._theirs = predicted(np.asarray(source.instances.logits), multilabel)
        self._mine = predicted(self._logits, multilabel)
        self.predicted_counts = self._mine.sum(axis=0)
        self.label_p = label_shift_p(self._theirs, self._mine)
        self._p, self.before = source.calibration(self._logits), self._prior(source.calibration)
        self._pairs: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    def _prior(self, calibration: Calibration) -> Floats:
        return mean_probability(calibration, self._source.instances.logits)

    def shares(self) -> Floats:
        """(C,) class shares of the new instances (EM)."""
        return em_prior(self._p, self.before, multilabel=self._multilabel)

    def measured(self, share: Floats | None) -> tuple[Measures, Any]:
        """Measures for class shares, None: those of the labelled instances; and the pairs that their confusion is of."""
        p = self._p
        if share is not None:
            p = adjusted_probabilities(p, self.before, share, multilabel=self._multilabel)
        found = expected_measures(p, self._mine, np.ones(len(p)), self._multilabel)
        of, to = np.nonzero((found.confusion >= SHOWN) | np.eye(len(found.confusion), dtype=bool))
        self._pairs = of, to
        return found._replace(confusion=found.confusion[self._pairs]), self._pairs

    def calibrations(self, draws: int, rng: np.random.Generator) -> list[Calibration]:
        """Calibrations that the labels leave possible."""
        return calibration_draws(self._source.calibration, np.asarray(self._source.instances.logits), draws, rng)

    def draw(self, calibration: Calibration, rows: Any, weights: Floats, use_em: bool) -> tuple[Measures, Floats]:
        """Measures and class shares of some rows."""
        q, of = calibration(self._logits[rows]), self._prior(calibration)
        share = em_prior(q, of, multilabel=self._multilabel, weights=weights, steps=60, tolerance=1e-4)
        if use_em:
            q = adjusted_probabilities(q, of, share, multilabel=self._multilabel)
        found = expected_measures(q, self._mine[rows], weights, self._multilabel)
        return found._replace(confusion=found.confusion[self._pairs]), share

    def black_box(self, rows: Any, weights: Floats | None, rng: np.random.Generator | None) -> Floats:
        """(C,) class shares by black-box shift estimation."""
        return black_box_shares(self._source.labels, self._theirs, self._mine[rows], weights, self._multilabel, rng)


class ManyClasses:
    """The same of many classes: probabilities are computed in blocks, those of all new instances lie in a mapped file."""

    def __init__(self, source: Source, new: Instances) -> None:
        self._source, self._logits = source, new.logits
        n_classes = source.instances.logits.shape[1]
        self._mine, theirs = (predicted_classes(one) for one in (new.logits, source.instances.logits))
        self.predicted_counts = np.bincount(self._mine, minlength=n_classes)
        shares = np.bincount(theirs, minlength=n_classes) / len(theirs), self.predicted_counts / len(self._mine)
        self.label_p = shares_p(*shares, len(theirs), len(self._mine))
        self.before = mean_probability(source.calibration, source.instances.logits)
        self._p = chances(source.calibration, new.logits)
        self._share, self._pairs = self.before, Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64))

    def shares(self) -> Floats:
        """(C,) class shares of the new instances (EM)."""
        self._share = em_prior(self._p, self.before)
        return self._share

    def measured(self, share: Floats | None) -> tuple[Measures, Any]:
        """As of `FewClasses`."""
        ratio = None if share is None else share / self.before
        found, self._pairs = measures_of_many(self._p, self._mine, np.ones(len(self._mine)), ratio)
        return found, (self._pairs.of, self._pairs.to)

    def calibrations(self, draws: int, rng: np.random.Generator) -> list[Calibration]:
        """As of `FewClasses`."""
        return many_calibration_draws(self._source.calibration, self._source.instances.logits, draws, rng)

    def draw(self, calibration: Calibration, rows: Any, weights: Floats, use_em: bool) -> tuple[Measures, Floats]:
        """As of `FewClasses`; class shares start from those of the point estimate, to which they are near."""
        q = chances(calibration, self._logits, rows)
        of = mean_probability(calibration, self._source.instances.logits)
        share = em_prior(q, of, weights=weights, steps=60, tolerance=1e-4, start=self._share)
        ratio = share / of if use_em else None
        return measures_of_many(q, self._mine[rows], weights, ratio, self._pairs)[0], share

    def black_box(self, rows: Any, weights: Floats | None, rng: np.random.Generator | None) -> Floats:
        """Unknown: it solves a system of C x C."""
        del rows, weights, rng
        return np.full(len(self.before), np.nan)
