"""The asymmetric loss for single labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from imblens.losses._base import ClassLoss, number
from imblens.losses._focal import not_p


class Asymmetric(ClassLoss):
    """Separate focusing for the target class and the other classes.

    l = -sum_k q_k w_k log p_k,   w_y = (1 - p_y)^gamma_pos,   w_k = p_k^gamma_neg for the other classes,

    with q the target smoothed: 1 - s + s/C for the target class, s/C for the others. Without smoothing the other
    classes have no term, and gamma_neg no effect. gamma_pos = gamma_neg = smoothing = 0 is cross-entropy.

    Args:
        class_counts: (C,) training instances of each class; only C is used.
        gamma_pos: 0 or more.
        gamma_neg: 0 or more.
        smoothing: s, from 0 to below 1.

    References:
        Ben-Baruch et al. 2021, Asymmetric Loss For Multi-Label Classification. The paper treats multi-label data; this
        is the single-label form that its authors released (softmax, defaults 0, 4 and 0.1).
    """

    def __init__(
        self, class_counts: Sequence[int], gamma_pos: float = 0.0, gamma_neg: float = 4.0, smoothing: float = 0.1
    ) -> None:
        super().__init__(len(class_counts))
        self.gamma_pos = number("gamma_pos", gamma_pos, 0)
        self.gamma_neg = number("gamma_neg", gamma_neg, 0)
        self.smoothing = number("smoothing", smoothing, 0, 1)

    def per_instance(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the asymmetric loss: (N,)."""
        n_classes = logits.shape[1]
        log_p = logits.log_softmax(dim=1)  # (N, C)
        target = functional.one_hot(targets, n_classes).bool()
        focus = torch.where(target, not_p(log_p) ** self.gamma_pos, torch.exp(self.gamma_neg * log_p))
        smooth = target.to(log_p.dtype) * (1 - self.smoothing) + self.smoothing / n_classes
        return -(smooth * focus * log_p).sum(dim=1)
