"""Multinomial logistic regression with an L2 penalty, solved to its one minimum."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.base.threads import single_threaded_blas

Floats = NDArray[np.float64]
NARROW = 2**16  # numbers in a head up to which one thread multiplies faster than several
TOLERANCE = 1e-6  # largest slope at the minimum, of the mean loss
WIDE = 2**30  # bytes of the scaled features up to which they are float64


def fit_logistic(
    features: NDArray[Any],
    labels: NDArray[np.int64],
    n_classes: int,
    *,
    l2: float,
    weights: Floats | None = None,
    offset: NDArray[Any] | None = None,
    iterations: int = 300,
) -> tuple[Floats, Floats]:
    """Minimise sum_i weights_i cross-entropy_i + l2 / 2 |W|^2 over weight W and bias, by L-BFGS.

    Features are centred and divided by their root-mean-square distance from the centre first, and W in the penalty is
    that of the scaled features: unit, offset and orientation of features do not matter. The bias is not penalised.

    One scaled copy of the features is held: float64 up to 1 GiB, else float32. Sums are float64 in any case.

    Args:
        features: (N, D) finite numbers.
        labels: (N,) 0 to C - 1.
        n_classes: C. A class without instances gets a low bias.
        l2: above 0; that of a sum over instances, so that more of them weigh more against it.
        weights: (N,) 0 or more, with a sum above 0; 1 each by default.
        offset: (N, C) logits that those of the weight and bias are added to: the penalty then keeps close to them.
        iterations: at most.

    Returns:
        (C, D) weight and (C,) bias for the features as they were given.

    Example:
        >>> weight, bias = fit_logistic(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1]), 2, l2=0.5)
        >>> (np.array([[0.0], [3.0]]) @ weight.T + bias).argmax(axis=1)
        array([0, 1])
    """
    from scipy.optimize import minimize

    n, dim = features.shape
    share = np.full(n, 1 / n) if weights is None else weights / weights.sum()
    decay = l2 / (n if weights is None else float(weights.sum()))
    rows, centre, scale = _scaled(features)
    width = n_classes if rows.dtype == np.float64 else max(n_classes, dim)  # else blocks are converted

    def loss(flat: Floats) -> tuple[float, Floats]:
        head = flat.reshape(n_classes, dim + 1)
        penalised = head[:, :dim]
        value = decay / 2 * float(np.vdot(penalised, penalised))
        slope = np.zeros_like(head)
        slope[:, :dim] = decay * penalised
        for block in row_blocks(n, width):
            part, targets, share_of = rows[block].astype(np.float64, copy=False), labels[block], share[block]
            at = np.arange(len(part))
            logits = part @ head.T
            if offset is not None:
                logits += offset[block]
            logits -= logits.max(axis=1, keepdims=True)
            own = logits[at, targets]
            np.exp(logits, out=logits)
            total = logits.sum(axis=1, keepdims=True)
            value += float(share_of @ (np.log(total[:, 0]) - own))
            logits /= total
            logits[at, targets] -= 1
            logits *= share_of[:, None]
            slope += logits.T @ part
        return value, slope.ravel()

    options = {"maxiter": iterations, "gtol": TOLERANCE, "ftol": 1e-10}
    with single_threaded_blas() if n_classes * dim <= NARROW else nullcontext():
        found = minimize(loss, np.zeros(n_classes * (dim + 1)), jac=True, method="L-BFGS-B", options=options).x
    head = found.reshape(n_classes, dim + 1)
    weight = head[:, :dim] / scale
    return weight, head[:, dim] - weight @ centre


def _scaled(features: NDArray[Any]) -> tuple[NDArray[Any], Floats, float]:
    """(N, D + 1) centred and scaled features, the last column 1; their centre (D,) and scale."""
    n, dim = features.shape
    centre = features.mean(axis=0, dtype=np.float64)
    squares = sum(float(((features[block] - centre) ** 2).sum()) for block in row_blocks(n, dim))
    scale = float(np.sqrt(squares / n)) or 1.0
    rows = np.ones((n, dim + 1), np.float64 if 8 * n * (dim + 1) <= WIDE else np.float32)
    for block in row_blocks(n, dim):
        rows[block, :dim] = (features[block] - centre) / scale
    return rows, centre, scale
