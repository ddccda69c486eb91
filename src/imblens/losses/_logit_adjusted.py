"""Logit adjustment during training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from imblens.losses._base import ClassLoss, number


class LogitAdjusted(ClassLoss):
    """Cross-entropy of logits raised by tau times the log of the class's share: l = CE(z + tau log prior, y).

    tau = 0 is cross-entropy, tau = 1 the balanced softmax. Predictions use z, without the shift.

    Args:
        class_counts: (C,) training instances of each class. One without instances counts as one instance.
        tau: any finite number.

    References:
        Menon et al. 2021, Long-Tail Learning via Logit Adjustment, eq. 10.
        Ren et al. 2020, Balanced Meta-Softmax for Long-Tailed Visual Recognition, eq. 3 (tau = 1).
    """

    shift: Tensor

    def __init__(self, class_counts: Sequence[int], tau: float = 1.0) -> None:
        super().__init__(len(class_counts))
        tau = number("tau", tau)
        counts = torch.tensor(class_counts, dtype=torch.float64).clamp_min(1)
        self.register_buffer("shift", (tau * (counts / counts.sum()).log()).float(), persistent=False)

    def per_instance(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss: (N,)."""
        return functional.cross_entropy(logits + self.shift.to(logits.dtype), targets, reduction="none")
