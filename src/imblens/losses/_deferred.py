"""Deferred re-weighting."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imblens.losses._base import ClassLoss, effective_number_weights


class DeferredReweighting(ClassLoss):
    """Any loss, with classes weighted by their effective number in the last part of the training only.

    Early in training, weights degrade the features; late, at a small learning rate, they shift the decision boundary.

    Args:
        loss: the loss to weight.
        class_counts: (C,) training instances of each class.
        beta: see `effective_number_weights`.
        start: share of the epochs after which weights apply.

    References:
        Cao et al. 2019, Algorithm 1: from epoch 160 of 200, beta 0.9999.
    """

    late_weight: Tensor

    def __init__(self, loss: ClassLoss, class_counts: Sequence[int], beta: float = 0.9999, start: float = 0.8) -> None:
        super().__init__(len(class_counts))
        self.loss = loss
        self.start = start
        self.needs_features = loss.needs_features
        late = torch.tensor(effective_number_weights(class_counts, beta))
        self.register_buffer("late_weight", late, persistent=False)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Choose the weights of this epoch (from 0)."""
        self.loss.set_epoch(epoch, epochs)
        late = epoch >= round(self.start * epochs)  # the fourth of four, the 161st of 200
        self.class_weight = self.late_weight.clone() if late else torch.ones_like(self.late_weight)

    def penalty(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return that of the loss, without weights."""
        return self.loss.penalty(features, targets)

    def per_instance(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss with its own class weights, before those of this epoch: (N,)."""
        own = self.loss.class_weight.to(logits.dtype)[targets]
        return own * self.loss.per_instance(logits, targets)
