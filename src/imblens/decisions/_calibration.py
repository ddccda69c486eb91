"""Calibrated probabilities: logits divided by one temperature, with one bias per class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.run import LogitRows, in_blocks

Floats = NDArray[np.float64]
PENALTY = 1.0  # prior precision of log temperature and biases: N(0, 1), which vanishes against many labels
OWN_PENALTY = 4.0  # of the bias of the predicted class: N(0, 0.5^2)


@dataclass(frozen=True)
class Calibration:
    """p = softmax(logits / temperature + bias), in multi-label data sigmoid.

    Attributes:
        temperature: above 0.
        bias: (C,), with mean 0 in single-label data.
        multilabel: whether labels are independent.
        n_labels: instances it was fitted on; 0 for the network's own probabilities.
        own: (C,) added to the logit of a class where the network predicts it; None adds nothing.

    Example:
        >>> Calibration(temperature=2.0, bias=np.zeros(2))(np.array([[0.0, 2.0]])).round(3).tolist()
        [[0.269, 0.731]]
    """

    temperature: float
    bias: Floats
    multilabel: bool = False
    n_labels: int = 0
    own: Floats | None = None

    def __call__(self, logits: NDArray[Any]) -> Floats:
        """Return (n, C) probabilities of (n, C) logits."""
        z = np.asarray(logits, dtype=np.float64) / self.temperature + self.bias
        if self.own is not None and self.multilabel:
            z += self.own * predicted(logits, multilabel=True)
        elif self.own is not None:
            mine = np.argmax(logits, axis=1)
            z[np.arange(len(z)), mine] += self.own[mine]
        return probabilities(z, self.multilabel)


def predicted(logits: NDArray[Any], multilabel: bool) -> NDArray[np.bool_]:
    """(n, C) which classes the network predicts: that of the largest logit, in multi-label data all above 0.

    Example:
        >>> predicted(np.array([[1.0, 2.0]]), multilabel=False).tolist()
        [[False, True]]
    """
    logits = np.asarray(logits)
    if multilabel:
        return np.asarray(logits > 0)
    return logits.argmax(axis=1)[:, None] == np.arange(logits.shape[1])


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
    found = logits - logits.max(axis=1, keepdims=True)
    np.exp(found, out=found)
    found /= found.sum(axis=1, keepdims=True)
    return np.asarray(found)


def fit_calibration(
    logits: NDArray[Any] | LogitRows,
    labels: NDArray[Any],
    *,
    start: Calibration | None = None,
    own: bool = False,
) -> Calibration:
    """Bias-corrected temperature scaling by maximum likelihood, with a weak prior for few labels.

    minimises  - sum_i log p(y_i) + (log(temperature / t0)^2 + sum_c (bias_c - b0_c)^2 + 4 sum_c (own_c - o0_c)^2) / 2

    Args:
        logits: (n, C).
        labels: (n,) class numbers, or (n, C) multi-hot.
        start: t0, b0, o0: a calibration from other data that the fit stays near where there are few labels; temperature
            1 and biases 0 by default.
        own: also fit a bias of each class where the network predicts it, so that the probability of predictions of each
            class becomes their precision; without it, `own` is None.

    References:
        Guo et al. 2017, section 4.2 (temperature); Alexandari et al. 2020, Maximum likelihood with bias-corrected
        calibration is hard-to-beat at label shift adaptation, section 3 (biases). The prior, with which classes of few
        or no labels keep a finite bias, and the bias of the predicted class are ours.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.integers(0, 2, 4000)
        >>> logits = np.stack([np.zeros(4000), rng.normal(2 * labels - 1)], axis=1)  # log-odds of y = 1 are 2 x
        >>> round(fit_calibration(logits, labels).temperature, 1)
        0.5
    """
    from scipy.optimize import minimize

    labels = np.asarray(labels)
    n, n_classes = np.shape(logits)
    multilabel = labels.ndim == 2
    parts = _Parts(logits, labels, multilabel)
    begin = start or Calibration(1.0, np.zeros(n_classes), multilabel)
    o0 = np.zeros(n_classes) if begin.own is None else begin.own
    precision = label_precision(n_classes, own=own)

    def loss(x: Floats) -> tuple[float, Floats]:
        scale, bias = np.exp(-x[0]) / begin.temperature, begin.bias + x[1 : 1 + n_classes]
        value, of_scale = 0.0, 0.0
        of_bias, of_own = np.zeros(n_classes), np.zeros(n_classes)
        for part in parts:
            z = part.logits * scale + bias
            if own:
                part.add(z, o0 + x[1 + n_classes :])
            value += part.loss(z)
            wrong = part.error(z)
            of_scale -= (wrong * part.logits).sum() * scale
            of_bias += wrong.sum(axis=0)
            if own:
                of_own += part.sums(wrong)
        slope = np.concatenate([[of_scale], of_bias, of_own if own else []])
        return float(value + (precision * x * x).sum() / 2), slope + precision * x

    found = minimize(loss, np.zeros(len(precision)), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    bias = begin.bias + found[1 : 1 + n_classes]
    return Calibration(
        float(begin.temperature * np.exp(found[0])),
        bias if multilabel else bias - bias.mean(),
        multilabel,
        n,
        o0 + found[1 + n_classes :] if own else None,
    )


class _Parts:
    """Blocks of instances, one of all while they are few; large logits are computed again each time."""

    def __init__(self, logits: Any, labels: NDArray[Any], multilabel: bool) -> None:
        self._logits, self._labels, self._multilabel = logits, labels, multilabel
        self._blocks = list(in_blocks(*np.shape(logits)))
        self._only = self._made(self._blocks[0]) if len(self._blocks) == 1 else None

    def __iter__(self) -> Iterator[_Part]:
        return (self._made(rows) if self._only is None else self._only for rows in self._blocks)

    def _made(self, rows: slice) -> _Part:
        kind = _LabelsPart if self._multilabel else _ClassPart
        return kind(np.asarray(self._logits[rows], dtype=np.float64), self._labels[rows])


class _ClassPart:
    """Single-label instances: (n, C) logits, and (n,) class and prediction of each."""

    def __init__(self, logits: Floats, labels: NDArray[Any]) -> None:
        self.logits, self._labels = logits, labels
        self._at, self._mine = np.arange(len(logits)), logits.argmax(axis=1)

    def add(self, z: Floats, own: Floats) -> None:
        """Add to the logit of each predicted class."""
        z[self._at, self._mine] += own[self._mine]

    def loss(self, z: Floats) -> float:
        """Cross-entropy, summed."""
        top = z.max(axis=1)
        return float((top + np.log(np.exp(z - top[:, None]).sum(axis=1)) - z[self._at, self._labels]).sum())

    def error(self, z: Floats) -> Floats:
        """(n, C) probabilities minus those of the labels."""
        p = probabilities(z, multilabel=False)
        p[self._at, self._labels] -= 1
        return p

    def sums(self, values: Floats) -> Floats:
        """(C,) sums over the instances that are predicted as each class."""
        return np.bincount(self._mine, values[self._at, self._mine], values.shape[1]).astype(np.float64)


class _LabelsPart:
    """Multi-label instances: (n, C) logits, 0 and 1 of the labels and of the predictions."""

    def __init__(self, logits: Floats, labels: NDArray[Any]) -> None:
        self.logits, self._hot = logits, labels.astype(np.float64)
        self._mine = (logits > 0).astype(np.float64)

    def add(self, z: Floats, own: Floats) -> None:
        """Add to the logit of each predicted label."""
        z += self._mine * own

    def loss(self, z: Floats) -> float:
        """Cross-entropy of all labels, summed."""
        return float((np.logaddexp(0, z) - self._hot * z).sum())

    def error(self, z: Floats) -> Floats:
        """(n, C) probabilities minus labels."""
        return np.asarray(probabilities(z, multilabel=True) - self._hot)

    def sums(self, values: Floats) -> Floats:
        """(C,) sums over the instances that are predicted to have each label."""
        return np.asarray((values * self._mine).sum(axis=0))


_Part = _ClassPart | _LabelsPart


def mean_probability(calibration: Calibration, logits: Any) -> Floats:
    """(C,) mean of the probabilities of (n, C) logits."""
    n, n_classes = np.shape(logits)
    total = np.zeros(n_classes)
    for rows in in_blocks(n, n_classes):
        total += calibration(logits[rows]).sum(axis=0)
    return total / n


def label_precision(n_classes: int, *, own: bool = True) -> Floats:
    """Prior precision of log temperature, biases, and with `own` the biases of the predicted class."""
    return np.concatenate([np.full(1 + n_classes, PENALTY), np.full(n_classes if own else 0, OWN_PENALTY)])


def calibration_draws(
    fitted: Calibration, logits: NDArray[Any], draws: int, rng: np.random.Generator
) -> list[Calibration]:
    """Calibrations that the labels leave possible: draws from the normal approximation of the posterior.

    Unlike refits on resampled labels, draws also vary for classes without any label. Their variance is n / (n - k) of the
    approximation's, for k effective parameters fitted on n labels: a fit to few labels is closer to them than to others.

    Args:
        fitted: result of `fit_calibration` with `own`.
        logits: (n, C), what it was fitted on.
        draws: number.
        rng: for the draws.
    """
    assert fitted.own is not None
    logits = np.asarray(logits, dtype=np.float64)
    n_classes = logits.shape[1]
    p, mine = fitted(logits), predicted(logits, fitted.multilabel).astype(np.float64)
    s = logits / fitted.temperature  # minus the slope of z in log temperature
    if fitted.multilabel:
        v = p * (1 - p)
        centred, bb, bo, oo = v * s, np.diag(v.sum(0)), np.diag((v * mine).sum(0)), np.diag((v * mine).sum(0))
        tt = (v * s * s).sum()
    else:
        mean = (p * s).sum(axis=1, keepdims=True)
        own_p = p * mine
        centred = p * (s - mean)
        bb, bo = np.diag(p.sum(0)) - p.T @ p, np.diag(own_p.sum(0)) - p.T @ own_p
        oo = np.diag(own_p.sum(0)) - own_p.T @ own_p
        tt = (p * (s - mean) ** 2).sum()
    tb, to = -centred.sum(axis=0), -(centred * mine).sum(axis=0)
    precision = label_precision(n_classes)
    information = np.block(
        [[np.array([[tt]]), tb[None], to[None]], [tb[:, None], bb, bo], [to[:, None], bo.T, oo]]
    ) + np.diag(precision)
    root = np.linalg.cholesky(information)
    steps = np.linalg.solve(root.T, rng.normal(size=(len(information), draws))).T  # covariance: the inverse
    of_labels = len(precision) - (np.diag(np.linalg.inv(information)) * precision).sum()  # effective parameters
    steps *= np.sqrt(len(logits) / max(len(logits) - of_labels, 1.0))
    return moved(fitted, np.asarray(steps))


def moved(fitted: Calibration, steps: Floats) -> list[Calibration]:
    """Calibrations (2C + 1,) steps away: log temperature, biases, biases of the predicted class."""
    assert fitted.own is not None
    temperature, bias, own = np.split(steps, [1, 1 + len(fitted.bias)], axis=1)
    return [
        replace(fitted, temperature=fitted.temperature * float(np.exp(t[0])), bias=fitted.bias + b, own=fitted.own + o)
        for t, b, o in zip(temperature, bias, own, strict=True)
    ]
