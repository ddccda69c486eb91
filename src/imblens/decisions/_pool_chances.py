"""Chances of classes in a pool: calibrated on the validation split, and for the class shares that EM finds in the pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import some_rows
from imblens.base.wording import listed
from imblens.decisions._calibration import Calibration, fit_calibration, mean_probability
from imblens.decisions._estimate_many import chances_of
from imblens.decisions._priors import adjusted_probabilities, em_prior
from imblens.decisions._stated import UNKNOWN, Stated, drawn_hits, pool_weights, stated
from imblens.run import Run, in_blocks

Floats = NDArray[np.float64]
LOST = 0.1  # EM that finds less than this part of the share of a class means that the network may not know the class
FOR_SHARES = 20_000  # instances of the pool that class shares are estimated from, and of val that are counted


@dataclass(frozen=True)
class PoolChances:
    """Probabilities of the network, for the class shares of a pool.

    Attributes:
        calibration: of the network's probabilities.
        before: (C,) class shares that these are for.
        found: (C,) class shares that EM finds in the pool, none of them 0; those before where there is no validation split.
        used: (C,) class shares by which the list is ordered.
        is_known: whether a validation split calibrated them, so that class shares of the pool are known.
        notes: what was assumed.
    """

    calibration: Calibration
    before: Floats
    found: Floats
    used: Floats
    is_known: bool
    notes: tuple[str, ...] = ()

    def __call__(self, logits: NDArray[Any], shares: Floats | None = None) -> Floats:
        """Return (n, C) chances of (n, C) logits, at the shares by which the list is ordered or others."""
        p, wanted = self.calibration(logits), self.used if shares is None else shares
        return adjusted_probabilities(p, self.before, wanted, multilabel=self.calibration.multilabel)

    def hits(self, run: Run, logits: NDArray[Any], aimed: NDArray[np.bool_], seed: int) -> Stated:
        """Return how many labels of the classes `aimed` the instances with these logits hold.

        Counted on instances of the validation split with like chances, so that neither over- nor under-confident
        probabilities change it. NaN where that split is missing or has no instance of these classes.
        """
        val = run.val
        if not self.is_known or val is None or not val.class_counts[aimed].any():
            return UNKNOWN
        rng = np.random.default_rng(seed)
        rows = some_rows(np.arange(len(val)), FOR_SHARES, rng)
        draws = []
        for shares in [self.found] if self.found is self.used else [self.found, self.used]:
            listed_p = self._of(logits, np.arange(len(logits)), aimed, shares)
            known_p = self._of(val.logit_rows, rows, aimed, shares)
            if self.calibration.multilabel:
                known, labels = val.known[rows], val.labels[rows].astype(bool)
                total = np.zeros(1)
                for place, label in enumerate(np.flatnonzero(aimed)):
                    use = known[:, label]
                    own = labels[use, label]
                    if own.any():
                        weights = pool_weights(own, shares[label])
                        total = total + drawn_hits(listed_p[:, place], known_p[use, place], own, weights, rng)
                draws.append(total)
                continue
            labels = val.labels[rows]
            weights = pool_weights(labels, shares)
            draws.append(drawn_hits(listed_p.sum(axis=1), known_p.sum(axis=1), aimed[labels], weights, rng))
        return stated(draws)

    def _of(self, logits: Any, rows: NDArray[np.int64], aimed: NDArray[np.bool_], shares: Floats) -> Floats:
        """(n, A) chances of the classes `aimed`, computed block by block."""
        blocks = in_blocks(len(rows), len(aimed))
        return np.concatenate([self(np.asarray(logits[rows[block]]), shares)[:, aimed] for block in blocks])


def pool_chances(run: Run, logits: Any, aimed: NDArray[np.bool_], rng: np.random.Generator) -> PoolChances:
    """Calibrate on the validation split and estimate the class shares of the pool by EM; without one, do neither.

    Args:
        run: the network.
        logits: (n, C) of the pool.
        aimed: (C,) classes that a list is for.
        rng: draws the instances that shares are estimated from.
    """
    multilabel, n = run.task == "multilabel", len(logits)
    if run.val is None or not len(run.val) or not run.val.has_logits:
        own = Calibration(1.0, np.zeros(run.n_classes), multilabel)
        shares = _no_zero(run.train.class_counts / len(run.train), multilabel)
        note = (
            "No validation split: the list is ordered by the network's own probabilities, and how many of its instances are "
            "of a class cannot be stated, nor class shares of the pool. Capture a validation split, or count them among the "
            "first labels."
        )
        return PoolChances(own, shares, shares, shares, False, (note,))
    calibration = fit_calibration(run.val.logit_rows, run.val.labels)
    before = _no_zero(mean_probability(calibration, run.val.logit_rows), multilabel)
    chance = chances_of(calibration, logits, some_rows(np.arange(n), FOR_SHARES, rng))

    def smoothed(shares: Floats) -> Floats:
        return np.asarray((n * shares + 0.5) / (n + (1.0 if multilabel else 0.5 * run.n_classes)))  # none is 0

    shares = em_prior(chance, before, multilabel=multilabel)
    found, lost = smoothed(shares), aimed & (shares < LOST * before)
    if not lost.any():
        return PoolChances(calibration, before, found, found, True)
    half = smoothed(em_prior(chance, before, multilabel=multilabel, strength=1.0))
    note = (
        f"Hardly any {listed(np.asarray(run.classes)[lost].tolist(), 5)} was found in the pool; the network may not "
        "know them, so the list is ordered as if class shares were half as found and half as in the labelled instances. "
        "The interval of the expected number holds for both."
    )
    return PoolChances(calibration, before, found, half, True, (note,))


def _no_zero(shares: Floats, multilabel: bool) -> Floats:
    return np.clip(shares, 1e-6, 1 - 1e-6 if multilabel else 1.0)
