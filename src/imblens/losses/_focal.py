"""The focal loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imblens.losses._base import ClassLoss, number


class Focal(ClassLoss):
    """Cross-entropy with less weight on easy instances: l = -(1 - p_y)^gamma log p_y.

    gamma = 0 is cross-entropy.

    Args:
        class_counts: (C,) training instances of each class; only C is used.
        gamma: 0 or more.
        weights: (C,) the paper's alpha for each class, or None for 1.

    References:
        Lin et al. 2017, Focal Loss for Dense Object Detection, eq. 4. There p is a sigmoid over anchors; here, with one
        label of C, it is the softmax.
    """

    def __init__(self, class_counts: Sequence[int], gamma: float = 2.0, weights: Sequence[float] | None = None) -> None:
        super().__init__(len(class_counts), weights)
        self.gamma = number("gamma", gamma, 0)

    def per_instance(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the focal loss: (N,)."""
        log_p = logits.log_softmax(dim=1).gather(1, targets[:, None])[:, 0]
        return -(not_p(log_p) ** self.gamma) * log_p


def not_p(log_p: Tensor) -> Tensor:
    """Return 1 - exp(log_p), kept above 0 so that any power of it has a finite gradient."""
    return (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).eps)
