"""The head of `evidence` for many instances and classes: the same loss, in float32 and a block of rows at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks

Single = NDArray[np.float32]
BLOCKS = 4  # parts of a usual block, so that the logits of one stay in the processor's cache


class QuickHead:
    """Multinomial logistic regression with an L2 penalty of 1, by L-BFGS; a second fit starts from the first.

    It computes the iterations of scikit-learn's `LogisticRegression`, but products and exponentials are in float32, and only
    sums over blocks in float64.
    """

    def __init__(self, max_iter: int, tol: float) -> None:
        """Take the most iterations, and the largest slope of the mean loss at which they end."""
        self.max_iter, self.tol = max_iter, tol
        self.classes_: NDArray[np.int64] = np.empty(0, np.int64)
        self._weight: Single = np.empty((0, 0), np.float32)

    def fit(self, features: Single, labels: NDArray[np.int64], chosen: NDArray[np.int64]) -> QuickHead:
        """Fit to the chosen rows (n,) of (N, D) features and (N,) labels, which are not copied; return self."""
        from scipy.optimize import minimize

        self.classes_, targets = np.unique(labels[chosen], return_inverse=True)
        n, dim = len(chosen), features.shape[1]
        shape = len(self.classes_), dim + 1
        start = self._weight if self._weight.shape == shape else np.zeros(shape)

        def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            weight = flat.reshape(shape)
            penalised = weight[:, :dim]
            slope = np.zeros(shape)
            slope[:, :dim] = penalised / n
            value = float(np.vdot(penalised, penalised)) / (2 * n)
            single, bias = penalised.T.astype(np.float32), weight[:, dim].astype(np.float32)
            for block in row_blocks(n, BLOCKS * len(weight)):
                part = features[chosen[block]]
                at = np.arange(len(part))
                logits = part @ single
                logits += bias
                logits -= logits.max(axis=1, keepdims=True)
                own = logits[at, targets[block]]
                np.exp(logits, out=logits)
                total = logits.sum(axis=1, keepdims=True)
                value += float((np.log(total[:, 0]) - own).sum(dtype=np.float64)) / n
                logits /= total
                logits[at, targets[block]] -= 1
                slope[:, :dim] += (logits.T @ part) / n
                slope[:, dim] += logits.sum(axis=0, dtype=np.float64) / n
            return value, slope.ravel()

        options = {"maxiter": self.max_iter, "gtol": self.tol, "ftol": 64 * np.finfo(float).eps, "maxls": 50}
        found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        self._weight = found.x.reshape(shape).astype(np.float32)
        return self

    def predict_log_proba(self, features: NDArray[Any]) -> Single:
        """(n, classes_) log of the probability of each class."""
        scores: Single = np.asarray(features, np.float32) @ self._weight[:, :-1].T
        scores += self._weight[:, -1]
        scores -= scores.max(axis=1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return scores
