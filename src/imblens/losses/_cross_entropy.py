"""Cross-entropy, plain and weighted."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from imblens.losses._base import ClassLoss, mean_one


class CrossEntropy(ClassLoss):
    """Cross-entropy of the softmax: l = -log p_y.

    Args:
        class_counts: (C,) training instances of each class; only C is used.
        weights: (C,) taken as they are, or None for 1.
    """

    def __init__(self, class_counts: Sequence[int], weights: Sequence[float] | None = None) -> None:
        super().__init__(len(class_counts), weights)

    def per_instance(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return -log p_y: (N,)."""
        return functional.cross_entropy(logits, targets, reduction="none")


def weighted_cross_entropy(class_counts: Sequence[int], weights: Sequence[float] | None = None) -> CrossEntropy:
    """Cross-entropy where an instance of a class of n instances weighs 1 / n.

    Args:
        class_counts: (C,) training instances of each class. One without instances counts as one instance.
        weights: (C,) to use instead, as they are.
    """
    if weights is None:
        weights = mean_one([1 / max(n, 1) for n in class_counts], class_counts)
    return CrossEntropy(class_counts, weights)
