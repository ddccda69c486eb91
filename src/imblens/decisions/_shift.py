"""Whether data without labels look as the labelled data do: class shares, and the instances within classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import some_rows
from imblens.base.groups import design_effects
from imblens.base.wording import FEW
from imblens.decisions._calibration import probabilities
from imblens.run import LogitRows

Floats = NDArray[np.float64]
Pair = tuple[NDArray[Any] | None, NDArray[Any] | LogitRows]  # features (n, D) or None, logits (n, C)
MOST = 1500  # instances of each kind that are compared
LEAST = 40  # labelled instances below which the comparison finds nothing
HEDGE, REFUSE = 0.53, 0.70  # lower end of the area under the curve from which an estimate is hedged, refused
_COMPONENTS, _FOLDS = 16, 5


@dataclass(frozen=True)
class Shift:
    """Difference between labelled and unlabelled data.

    Attributes:
        label_p: p-value of equal shares of the predictions.
        auc: how well a classifier distinguishes unlabelled from labelled instances, class shares made equal; 0.5: not
            at all. NaN with too few instances.
        auc_low: lower end of its 90% interval.

    Example:
        >>> Shift(label_p=0.8, auc=0.51, auc_low=0.49).verdict
        'shown'
    """

    label_p: float
    auc: float
    auc_low: float

    @property
    def verdict(self) -> str:
        """Whether estimates should be "shown", "hedged" or "refused"."""
        if self.auc_low > REFUSE:
            return "refused"
        return "shown" if self.auc_low <= HEDGE else "hedged"


def label_shift_p(predicted: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """p-value that two samples of predictions, (n, C) and (m, C), have the same shares.

    The largest of C differences, each standardised, against the normal distribution with Bonferroni's correction.

    Example:
        >>> one = np.repeat(np.eye(2, dtype=bool), [50, 50], axis=0)
        >>> label_shift_p(one, one), label_shift_p(one, np.repeat(np.eye(2, dtype=bool), [90, 10], axis=0)) < 1e-6
        (1.0, True)
    """
    return shares_p(predicted.mean(axis=0), other.mean(axis=0), len(predicted), len(other))


def shares_p(a: Floats, b: Floats, n: int, m: int) -> float:
    """The same from the shares (C,) of each class among n and m predictions."""
    from scipy.special import ndtr

    pooled = (n * a + m * b) / (n + m)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled) * (1 / n + 1 / m), 1e-12))
    return float(min(1.0, 2 * len(a) * ndtr(-(np.abs(a - b) / spread).max())))


def covariate_auc(
    labelled: Pair,
    unlabelled: Pair,
    weights: Floats,
    *,
    multilabel: bool,
    rng: np.random.Generator,
    groups: tuple[NDArray[Any] | None, NDArray[Any] | None] = (None, None),
) -> tuple[float, float]:
    """Area under the curve of a classifier between labelled and unlabelled instances, and the lower end of its interval.

    The classifier is a logistic regression on the first 16 principal components of the features, their squares, the
    confidence and the magnitude of the logits; it is cross-fitted in five folds, of groups where they are known. The numbers of
    instances in the variance of the area are then divided by the design effects of the scores; a kind whose groups are not
    known has that of the other.

    Args:
        labelled, unlabelled: features (n, D) or None, and logits (n, C).
        weights: (n,) of the labelled instances, which make the class shares equal.
        multilabel: whether probabilities are sigmoid.
        rng: chooses at most 1,500 instances of each, and the folds.
        groups: (n,) of the labelled and of the unlabelled instances, or None.

    Returns:
        NaN and 0 where one of them has fewer than 40 instances, or is known to have fewer than ten groups.

    References:
        Lopez-Paz and Oquab 2017, Revisiting classifier two-sample tests.
    """
    from sklearn.linear_model import LogisticRegression

    chosen = [some_rows(np.arange(len(pair[1])), MOST, rng) for pair in (labelled, unlabelled)]
    if min(len(rows) for rows in chosen) < LEAST:
        return float("nan"), 0.0
    whose = [
        None if of is None else np.unique(of[rows], return_inverse=True)[1]
        for of, rows in zip(groups, chosen, strict=True)
    ]
    if any(of is not None and of.max() + 1 < FEW for of in whose):
        return float("nan"), 0.0
    use_features = labelled[0] is not None and unlabelled[0] is not None
    parts = [
        _seen(pair, rows, multilabel, use_features) for pair, rows in zip((labelled, unlabelled), chosen, strict=True)
    ]
    matrix = np.concatenate([_components(parts[0][0], part[0]) for part in parts])
    matrix = np.concatenate([matrix, matrix**2, np.concatenate([part[1] for part in parts])], axis=1)
    matrix = np.clip((matrix - matrix.mean(axis=0)) / np.maximum(matrix.std(axis=0), 1e-9), -5, 5)
    y = np.repeat([0, 1], [len(rows) for rows in chosen])
    w = np.concatenate([weights[chosen[0]], np.ones(len(chosen[1]))])
    w[y == 0] *= (y == 1).sum() / w[y == 0].sum()
    fold = rng.permutation(len(y)) % _FOLDS
    for kind, of in enumerate(whose):
        if of is not None:
            fold[y == kind] = (rng.permutation(of.max() + 1) % _FOLDS)[of]
    score = np.empty(len(y))
    for number in range(_FOLDS):
        model = LogisticRegression(C=0.03, max_iter=200).fit(
            matrix[fold != number], y[fold != number], w[fold != number]
        )
        score[fold == number] = model.decision_function(matrix[fold == number])
    auc = _weighted_auc(score, y, w)
    effects = [
        None if of is None else float(design_effects(np.zeros(len(of), np.int64), of, score[y == kind], 1)[0])
        for kind, of in enumerate(whose)
    ]
    other = max((one for one in effects if one is not None), default=1.0)
    sizes = np.array([w[y == 0].sum() ** 2 / (w[y == 0] ** 2).sum(), (y == 1).sum()])
    sizes /= [other if one is None else one for one in effects]
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)  # Hanley and McNeil 1982
    variance = (auc * (1 - auc) + (sizes[1] - 1) * (q1 - auc**2) + (sizes[0] - 1) * (q2 - auc**2)) / (
        sizes[0] * sizes[1]
    )
    return auc, auc - 1.645 * float(np.sqrt(max(variance, 0.0)))


def _seen(pair: Pair, rows: NDArray[np.int64], multilabel: bool, use_features: bool) -> tuple[Floats, Floats]:
    """What is compared of instances: features (or logits), and numbers about the prediction."""
    logits = np.asarray(pair[1][rows], dtype=np.float64)
    p = probabilities(logits, multilabel)
    entropy = -(p * np.log(p + 1e-12)).sum(axis=1)
    size = np.log(np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)) + logits.max(axis=1)
    values = np.asarray(pair[0][rows] if use_features and pair[0] is not None else logits, dtype=np.float64)
    return values, np.stack([p.max(axis=1), entropy, size], axis=1)


def _components(reference: Floats, values: Floats) -> Floats:
    """Principal components of the reference, standardised by it."""
    middle = reference.mean(axis=0)
    _, _, axes = np.linalg.svd(reference - middle, full_matrices=False)
    axes = axes[:_COMPONENTS].T
    scale = ((reference - middle) @ axes).std(axis=0)
    return ((values - middle) @ axes) / np.maximum(scale, 1e-9)


def _weighted_auc(score: Floats, y: NDArray[np.int64], weights: Floats) -> float:
    """Chance that an unlabelled instance scores above a labelled one, weighted; ties count half."""
    distinct, place = np.unique(score, return_inverse=True)
    low = np.bincount(place, weights * (y == 0), len(distinct))
    high = np.bincount(place, weights * (y == 1), len(distinct))
    below = np.concatenate([[0.0], np.cumsum(low)[:-1]])
    return float((high * (below + low / 2)).sum() / (low.sum() * high.sum()))
