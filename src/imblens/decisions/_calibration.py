"""Calibrated probabilities: logits divided by one temperature, with one bias per class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PENALTY = 1.0  # prior precision of log temperature and biases: N(0, 1), which vanishes against many labels


@dataclass(frozen=True)
class Calibration:
    """p = softmax(logits / temperature + bias), in multi-label data sigmoid.

    Attributes:
        temperature: above 0.
        bias: (C,), with mean 0 in single-label data.
        multilabel: whether labels are independent.
        n_labels: instances it was fitted on; 0 for the network's own probabilities.
    """

    temperature: float
    bias: Floats
    multilabel: bool = False
    n_labels: int = 0

    def __call__(self, logits: NDArray[Any]) -> Floats:
        """Return (n, C) probabilities of (n, C) logits."""
        return probabilities(np.asarray(logits, dtype=np.float64) / self.temperature + self.bias, self.multilabel)


def probabilities(logits: NDArray[Any], multilabel: bool) -> Floats:
    """(n, C) softmax of logits, in multi-label data sigmoid.

    Example:
        >>> probabilities(np.log([[3.0, 1.0]]), multilabel=False), probabilities(np.zeros((1, 1)), multilabel=True)
        (array([[0.75, 0.25]]), array([[0.5]]))
    """
    from scipy.special import expit

    logits = np.asarray(logits, dtype=np.float64)
    if multilabel:
        return np.asarray(expit(logits))
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponential / exponential.sum(axis=1, keepdims=True)


def fit_calibration(
    logits: NDArray[Any],
    labels: NDArray[Any],
    *,
    weights: NDArray[Any] | None = None,
    start: Calibration | None = None,
) -> Calibration:
    """Bias-corrected temperature scaling by maximum likelihood, with a weak prior for few labels.

    minimises  - sum_i w_i log p(y_i) + (log(temperature / t0)^2 + sum_c (bias_c - b0_c)^2) / 2

    Args:
        logits: (n, C).
        labels: (n,) class numbers, or (n, C) multi-hot.
        weights: (n,) of the instances; 1 by default.
        start: t0, b0: a calibration from other data that the fit stays near where there are few labels; temperature 1 and
            biases 0 by default.

    References:
        Guo et al. 2017, section 4.2 (temperature); Alexandari et al. 2020, Maximum likelihood with bias-corrected
        calibration is hard-to-beat at label shift adaptation, section 3 (biases). The prior is ours: classes with few
        or no labels keep a finite bias.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.integers(0, 2, 4000)
        >>> logits = np.stack([np.zeros(4000), rng.normal(2 * labels - 1)], axis=1)  # log-odds of y = 1 are 2 x
        >>> round(fit_calibration(logits, labels).temperature, 1)
        0.5
    """
    from scipy.optimize import minimize

    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    n, n_classes = logits.shape
    multilabel = labels.ndim == 2
    hot = labels.astype(np.float64) if multilabel else (labels[:, None] == np.arange(n_classes)).astype(np.float64)
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    t0, b0 = (1.0, np.zeros(n_classes)) if start is None else (start.temperature, start.bias)

    def loss(x: Floats) -> tuple[float, Floats]:
        scale, bias = np.exp(-x[0]) / t0, b0 + x[1:]
        z = logits * scale + bias
        p = probabilities(z, multilabel)
        if multilabel:
            value = (w[:, None] * (np.logaddexp(0, z) - hot * z)).sum()
        else:
            top = z.max(axis=1)
            value = (w * (top + np.log(np.exp(z - top[:, None]).sum(axis=1)) - (hot * z).sum(axis=1))).sum()
        wrong = w[:, None] * (p - hot)
        slope = np.concatenate([[-(wrong * logits).sum() * scale], wrong.sum(axis=0)])
        return float(value + PENALTY * (x @ x) / 2), slope + PENALTY * x

    found = minimize(loss, np.zeros(n_classes + 1), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    bias = b0 + found[1:]
    return Calibration(float(t0 * np.exp(found[0])), bias if multilabel else bias - bias.mean(), multilabel, n)
