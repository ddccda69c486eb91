"""Calibrations that the labels leave possible where classes are so many that no matrix of them fits into memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.decisions._calibration import Calibration, label_precision, moved
from imblens.run import LogitRows, in_blocks

Floats = NDArray[np.float64]
STEPS, CLOSE = 60, 1e-3  # of the conjugate gradients


def many_calibration_draws(
    fitted: Calibration, logits: NDArray[Any] | LogitRows, draws: int, rng: np.random.Generator
) -> list[Calibration]:
    """Draws as `calibration_draws` gives, by one Newton step of a parametric bootstrap.

    With H the information of the labels and the prior, x = H^-1 (s + e) has the covariance H^-1, where s is the slope of
    the likelihood for labels drawn from the fitted probabilities, and e ~ N(0, prior precision). H, of size (2C + 1)^2, is
    never made: conjugate gradients multiply by it in blocks of instances.

    Args:
        fitted: result of `fit_calibration` with `own`, single-label.
        logits: (n, C), what it was fitted on.
        draws: number.
        rng: for the draws.

    References:
        Papandreou and Yuille 2010, Gaussian sampling by local perturbations.
    """
    information = _Information(fitted, logits, draws, rng)
    precision = label_precision(information.n_classes)
    right = information.slopes + np.sqrt(precision)[:, None] * rng.normal(size=information.slopes.shape)
    steps = _solved(information, precision, right).T  # (draws, 2C + 1)
    n = len(logits)
    of_labels = len(precision) - float((steps**2).mean(axis=0) @ precision)  # effective parameters
    steps *= np.sqrt(n / max(n - max(of_labels, 0.0), 1.0))
    return moved(fitted, steps)


class _Information:
    """Products with the information that (n,) labels have on log temperature, biases, and biases of the prediction."""

    def __init__(
        self, fitted: Calibration, logits: NDArray[Any] | LogitRows, draws: int, rng: np.random.Generator
    ) -> None:
        n, c = logits.shape
        self.n_classes, self._fitted, self._logits = c, fitted, logits
        self._mine, self._own = np.empty(n, np.int64), np.empty(n)
        self._of_class, self._of_own = np.zeros(c), np.zeros(c)  # sums of p, and of p where it is the prediction's
        self._heat, self._heat_class, self._heat_own = 0.0, np.zeros(c), np.zeros(c)  # rows of the temperature
        self.diagonal = np.zeros(2 * c + 1)
        self.slopes = np.zeros((2 * c + 1, draws))
        for rows in in_blocks(n, c):
            given = np.asarray(logits[rows], dtype=np.float64)
            p, mine, at = fitted(given), given.argmax(axis=1), np.arange(len(given))
            own = p[at, mine]
            self._mine[rows], self._own[rows] = mine, own
            scaled = given / fitted.temperature
            mean = (p * scaled).sum(axis=1)
            centred = p * (scaled - mean[:, None])
            self._of_class += p.sum(axis=0)
            self._of_own += np.bincount(mine, own, c)
            self._heat += float((centred * (scaled - mean[:, None])).sum())
            self._heat_class -= centred.sum(axis=0)
            self._heat_own -= np.bincount(mine, centred[at, mine], c)
            self.diagonal[1 : 1 + c] -= (p**2).sum(axis=0)
            self.diagonal[1 + c :] -= np.bincount(mine, own**2, c)
            self._draw_labels(p, mine, scaled, mean, rng)
        self.slopes[1 : 1 + c] -= self._of_class[:, None]
        self.slopes[1 + c :] -= self._of_own[:, None]
        self.diagonal[0] = self._heat
        self.diagonal[1 : 1 + c] += self._of_class
        self.diagonal[1 + c :] += self._of_own

    def _draw_labels(
        self, p: Floats, mine: NDArray[np.int64], scaled: Floats, mean: Floats, rng: np.random.Generator
    ) -> None:
        draws = self.slopes.shape[1]
        number = np.arange(draws)
        for row, cumulative in enumerate(p.cumsum(axis=1)):
            drawn = np.searchsorted(cumulative, rng.random(draws) * cumulative[-1], side="right")
            drawn = np.minimum(drawn, self.n_classes - 1)
            self.slopes[0] -= scaled[row, drawn] - mean[row]
            self.slopes[1 + drawn, number] += 1
            self.slopes[1 + self.n_classes + mine[row]] += drawn == mine[row]

    def __matmul__(self, vectors: Floats) -> Floats:
        """(2C + 1, d) product with vectors of that shape."""
        c = self.n_classes
        heat, bias, own = vectors[:1], vectors[1 : 1 + c], vectors[1 + c :]
        found = np.empty_like(vectors)
        found[:1] = self._heat * heat + self._heat_class @ bias + self._heat_own @ own
        found[1 : 1 + c] = (
            self._of_class[:, None] * bias + self._of_own[:, None] * own + self._heat_class[:, None] * heat
        )
        found[1 + c :] = self._of_own[:, None] * (bias + own) + self._heat_own[:, None] * heat
        single = bias.astype(np.float32)
        for rows in in_blocks(len(self._mine), c):
            p = self._fitted(np.asarray(self._logits[rows])).astype(np.float32)
            mine, of_mine = self._mine[rows], self._own[rows][:, None]
            both = p @ single + of_mine * own[mine]
            found[1 : 1 + c] -= p.T @ both.astype(np.float32)
            np.subtract.at(found, 1 + c + mine, of_mine * both)
        return found


def _solved(information: _Information, precision: Floats, right: Floats) -> Floats:
    """x of (information + precision) x = right, a column for each draw, by conjugate gradients."""
    inverse = 1 / (information.diagonal + precision)[:, None]
    x, rest = np.zeros_like(right), right.copy()
    ready = inverse * rest
    direction, size = ready.copy(), (rest * ready).sum(axis=0)
    enough = CLOSE**2 * size
    for _ in range(STEPS):
        product = information @ direction + precision[:, None] * direction
        step = size / np.maximum((direction * product).sum(axis=0), 1e-300)
        x += step * direction
        rest -= step * product
        ready = inverse * rest
        before, size = size, (rest * ready).sum(axis=0)
        if (size <= enough).all():
            break
        direction = ready + size / np.maximum(before, 1e-300) * direction
    return x
