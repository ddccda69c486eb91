"""The last linear layer of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.errors import ShapeError
from imblens.run._validation import features_matrix


@dataclass(frozen=True)
class Head:
    """The last linear layer: logits = features @ weight.T + bias.

    With `unit`, features are first divided by their length, as in the normalised head that LDAM is trained with; the
    stored features are those before that division, so that they can be compared with other networks'.

    Attributes:
        weight: (C, D) float32.
        bias: (C,) float32.
        unit: whether features are first scaled to length 1.

    Example:
        >>> head = Head(np.eye(2, 3, dtype=np.float32), np.array([0, 1], dtype=np.float32))
        >>> head(np.array([[5, 3, 1]], dtype=np.float32)).tolist()
        [[5.0, 4.0]]
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    unit: bool = False

    def __call__(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Return (n, C) logits of (n, D) features."""
        return (self.entered(features) @ self.weight.T + self.bias).astype(np.float32, copy=False)

    def entered(self, features: NDArray[Any]) -> NDArray[Any]:
        """Return what the weight is multiplied with: the features (n, D), of length 1 where the head normalises them."""
        if not self.unit:
            return features
        length = np.linalg.norm(features, axis=1, keepdims=True)
        scaled: NDArray[Any] = (features / np.maximum(length, 1e-12)).astype(features.dtype, copy=False)
        return scaled

    @classmethod
    def checked(cls, weight: Any, bias: Any | None, *, dim: int, n_classes: int, unit: bool = False) -> Head:
        """Check a head against D features and C classes; a missing bias is zero.

        Raises:
            ShapeError: weight is not (C, D) or bias not (C,).
        """
        matrix = features_matrix(weight, "head_weight")
        if matrix.shape != (n_classes, dim):
            transposed = " It looks transposed." if matrix.shape == (dim, n_classes) else ""
            raise ShapeError(
                f"head_weight has shape {matrix.shape}; {n_classes} classes and {dim} features need "
                f"({n_classes}, {dim}).{transposed}",
                hint="Give the weight of the last linear layer, one row per class.",
            )
        vector = np.zeros(n_classes, np.float32) if bias is None else np.asarray(bias)
        if vector.shape != (n_classes,):
            raise ShapeError(
                f"head_bias has shape {vector.shape}; {n_classes} classes need ({n_classes},).",
                hint="Give one number per class.",
            )
        return cls(matrix, features_matrix(vector[None], "head_bias")[0], unit)


def centred_head(head: Head, weight: Any, bias: Any | None, centre: NDArray[np.float64]) -> Head:
    """Return the head whose logits of features minus `centre` are those of `weight` and `bias` on the features.

    Computed in float64: weight times a large offset and the bias nearly cancel.
    """
    wide = np.asarray(weight, dtype=np.float64)
    shift = 0.0 if bias is None else np.asarray(bias, dtype=np.float64)
    return Head(head.weight, (shift + wide @ centre).astype(np.float32))
