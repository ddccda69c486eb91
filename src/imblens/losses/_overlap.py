"""Cross-entropy with a cost on features that several classes rely on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from imblens.losses._base import ClassLoss, number


class OverlapCrossEntropy(ClassLoss):
    """Cross-entropy plus a cost on top-K features that a class shares with other classes.

    l_i = -log p_y + strength * sum_d s_yd |f_id| / sum_d |f_id|

    s_cd = share of the other classes that have feature d among the `top` largest of their class mean, where d is among
    those of class c; 0 elsewhere. So the cost is the share of an instance's features that its class has in common with
    others: 0 where top features are the class's own, 1 where every class relies on the same ones. Class means are those
    of the instances seen since the epoch began, as constants: no gradient goes through them.

    Features are the input of the last linear layer, which the trainer passes to `penalty`; called with logits only, as
    in validation, this is cross-entropy.

    Args:
        class_counts: (C,) training instances of each class; only C is used.
        strength: factor of the cost, 0 or more; 0 is cross-entropy. 1 was not tuned.
        top: K, how many features count as those of a class; 10 as in the lens `feature_overlap`.

    References:
        Dablain et al. 2022, Interpretable ML for Imbalanced Data (IML), section I and the use cases of section IV-E, which
        suggest a greater cost for features whose index classes have in common. The formula is ours; nothing was published.
    """

    needs_features = True

    def __init__(self, class_counts: Sequence[int], strength: float = 1.0, top: int = 10) -> None:
        super().__init__(len(class_counts))
        self.strength, self.top = number("strength", strength, 0), int(number("top", top, 1))
        self._sums: Tensor | None = None  # (C, D), since the epoch began
        self._seen: Tensor | None = None  # (C,)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Begin the class means at zero again, so that a resumed training takes the same steps."""
        self._sums = self._seen = None

    def per_instance(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return -log p_y: (N,)."""
        return functional.cross_entropy(logits, targets, reduction="none")

    def penalty(self, features: Tensor, targets: Tensor) -> Tensor:
        """Add a batch to the class means; return `strength` times its mean cost.

        Args:
            features: (N, D), with gradient.
            targets: (N,).
        """
        features = features if features.dtype == torch.float64 else features.float()
        with torch.no_grad():
            members = functional.one_hot(targets, len(self.class_weight)).to(features.dtype)  # (N, C)
            sums, seen = members.T @ features, members.sum(dim=0)
            self._sums = sums if self._sums is None else self._sums + sums
            self._seen = seen if self._seen is None else self._seen + seen
            shared = self.shared(self._sums / self._seen.clamp_min(1)[:, None], self._seen > 0)  # (C, D)
        size = features.abs()
        cost = (shared[targets] * size).sum(dim=1) / size.sum(dim=1).clamp_min(1e-12)  # (N,)
        return self.strength * cost.mean()

    def shared(self, means: Tensor, known: Tensor) -> Tensor:
        """Return (C, D) s_cd of class means (C, D); classes that are not `known` (C,) have no features."""
        top = torch.zeros_like(means).scatter_(1, means.topk(min(self.top, means.shape[1]), dim=1).indices, 1.0)
        top = top * known[:, None]
        others = top.sum(dim=0) - top
        return top * others / max(int(known.sum()) - 1, 1)
