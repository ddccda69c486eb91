"""Shares of the classes in data without labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arrays import divide
from imblens.errors import InputError
from imblens.run import in_blocks

Floats = NDArray[np.float64]


def adjusted_probabilities(
    probability: NDArray[Any], prior: NDArray[Any], new: NDArray[Any], *, multilabel: bool = False
) -> Floats:
    """(n, C) probabilities for other class shares: p_c * new_c / prior_c, normalised.

    Args:
        probability: (n, C) calibrated for the shares `prior`.
        prior, new: (C,) shares.
        multilabel: each label separately: odds are multiplied by the ratio of the odds of the shares.

    References:
        Saerens, Latinne and Decaestecker 2002, equation 2.4.

    Example:
        >>> adjusted_probabilities(np.array([[0.5, 0.5]]), np.array([0.5, 0.5]), np.array([0.9, 0.1]))
        array([[0.9, 0.1]])
    """
    probability, prior, new = (np.asarray(values, dtype=np.float64) for values in (probability, prior, new))
    if multilabel:
        yes, no = probability * divide(new, prior, otherwise=0.0), (1 - probability) * divide(1 - new, 1 - prior)
        return yes / (yes + no)
    weighted = probability * divide(new, prior, otherwise=0.0)
    return weighted / weighted.sum(axis=1, keepdims=True)


def adjusted_sums(probability: NDArray[Any], ratio: Floats, weights: Floats) -> Floats:
    """(C,) weighted sums over instances of (n, C) single-label probabilities adjusted by the `ratio` (C,) of class shares.

    They are two products with a vector; adjusted probabilities are not made.

    Example:
        >>> adjusted_sums(np.array([[0.5, 0.5], [0.2, 0.8]]), np.array([2.0, 1.0]), np.ones(2)).round(3)
        array([1., 1.])
    """
    factors = ratio.astype(probability.dtype)
    of_rows = weights / np.maximum(probability @ factors, np.finfo(factors.dtype).tiny)
    return np.asarray(ratio * (of_rows.astype(probability.dtype) @ probability), dtype=np.float64)


def em_prior(
    probability: NDArray[Any],
    prior: NDArray[Any],
    *,
    multilabel: bool = False,
    weights: NDArray[Any] | None = None,
    strength: float = 0.0,
    steps: int = 500,
    tolerance: float = 1e-6,
    start: NDArray[Any] | None = None,
) -> Floats:
    """(C,) class shares of instances without labels, by maximum likelihood (EM).

    Assumes label shift: within each class, instances look as those that the probabilities were calibrated on.

    Args:
        probability: (n, C) calibrated for the shares `prior`.
        prior: (C,) shares of the classes in the data of the calibration, all above 0.
        multilabel: each label separately.
        weights: (n,) of the instances; 1 by default.
        strength: weight of `prior` as a prior distribution (Dirichlet), as a share of the weight of all instances: 1 counts
            it as much as the data. Above 0, no class of a weak network gets a share of 0.
        steps, tolerance: at most so many steps; stop when no share changes by more.
        start: (C,) shares that the first step starts from; `prior` by default.

    Raises:
        InputError: a share of `prior` is 0.

    References:
        Saerens, Latinne and Decaestecker 2002, Adjusting the outputs of a classifier to new a priori probabilities.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.random(20000) < 0.2
        >>> x = rng.normal(2.0 * y - 1)
        >>> p = 1 / (1 + np.exp(-2 * x))  # for equal shares
        >>> em_prior(np.stack([1 - p, p], axis=1), np.array([0.5, 0.5])).round(2)
        array([0.8, 0.2])
    """
    prior = np.asarray(prior, dtype=np.float64)
    if (prior <= 0).any():
        raise InputError(
            "a class has a share of 0 in the calibration data.", hint="Add instances of it, or leave it out."
        )
    shares = prior if start is None else np.maximum(start, 1e-300)
    blocks = list(in_blocks(*np.shape(probability)))
    w = np.ones(len(probability)) if weights is None else np.asarray(weights, dtype=np.float64)
    for _ in range(steps):
        if multilabel:
            sums = [w[b] @ adjusted_probabilities(probability[b], prior, shares, multilabel=True) for b in blocks]
        else:
            sums = [adjusted_sums(np.asarray(probability[b]), shares / prior, w[b]) for b in blocks]
        found = np.sum(sums, axis=0) / w.sum()
        found = (found + strength * prior) / (1 + strength)
        done = np.abs(found - shares).max() < tolerance
        shares = found
        if done:
            break
    return shares


def black_box_prior(confusion: NDArray[Any], shares: NDArray[Any]) -> Floats:
    """(C,) class shares of instances without labels, from the shares of predictions (black-box shift estimation).

    Solves  sum_c P(predict k | c) share_c = predicted share_k  for shares of at least 0 that sum to 1.

    Args:
        confusion: (C, C) labelled instances of class (row) and prediction (column).
        shares: (C,) share of each prediction among the instances without labels.

    Returns:
        NaN in all places where a class has no labelled instance.

    References:
        Lipton, Wang and Smola 2018, Detecting and correcting for label shift with black box predictors.

    Example:
        >>> black_box_prior(np.array([[80, 20], [10, 90]]), np.array([0.45, 0.55])).round(2)
        array([0.5, 0.5])
    """
    from scipy.optimize import nnls

    rates = divide(confusion, np.asarray(confusion).sum(axis=1, keepdims=True))  # NaN rows: no instance
    if np.isnan(rates).any():
        return np.full(len(rates), np.nan)
    found = nnls(np.vstack([rates.T, np.ones(len(rates))]), np.append(shares, 1.0))[0]
    return found / found.sum()
