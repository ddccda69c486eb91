"""Label-distribution-aware margins."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from imblens.losses._base import ClassLoss, number


class LDAM(ClassLoss):
    """Cross-entropy with the target's logit lowered by a margin that is wider for rarer classes.

    l = -log softmax(z - s m_y e_y)_y,   m_j = max_m (n_min / n_j)^(1/4)

    Meant for logits z = s cos(features, class), the output of the normalised head of `build_model`; margins are in units
    of the cosine. On other networks it is defined and finite too. max_m = 0 is cross-entropy.

    Args:
        class_counts: (C,) training instances n of each class. One without instances gets the widest margin.
        max_m: margin of the rarest class that has instances.
        s: scale of the head, above 0.

    References:
        Cao et al. 2019, Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, eq. 13 and 14. Their
        code multiplies cosines by s inside the loss; here the head does, with the same result.
    """

    margin: Tensor

    def __init__(self, class_counts: Sequence[int], max_m: float = 0.5, s: float = 30.0) -> None:
        super().__init__(len(class_counts))
        max_m, s = number("max_m", max_m, 0), number("s", s, 1e-6)
        counts = torch.tensor(class_counts, dtype=torch.float64)
        least = counts[counts > 0].min()
        margin = max_m * (least / counts.clamp_min(least)) ** 0.25
        self.register_buffer("margin", (s * margin).float(), persistent=False)

    def per_instance(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss: (N,)."""
        lowered = self.margin.to(logits.dtype)[targets][:, None]
        target = functional.one_hot(targets, logits.shape[1]).to(logits.dtype)
        return functional.cross_entropy(logits - lowered * target, targets, reduction="none")
