"""Base class and weights of the losses for single labels."""

from __future__ import annotations

from collections.abc import Sequence
from sys import float_info
from typing import Any

import torch
from torch import Tensor, nn

from imblens.errors import InputError, ShapeError


class ClassLoss(nn.Module):
    """Mean over the batch of class weight times the loss of each instance.

    loss = 1/N sum_i w[y_i] l_i

    The divisor is N and not the sum of the weights (as in `torch.nn.functional.cross_entropy`), so that the weight of a
    class affects only the instances of that class: a batch without rare instances is not scaled up. Weights computed
    from counts are scaled to a mean of 1 over the training instances, so that learning rates of plain cross-entropy
    remain suitable.

    Computed in float32 (float64 stays float64), also inside autocast. Subclasses define `per_instance`.

    Attributes:
        class_weight: (C,) float32; not part of the state dict, since it follows from the counts.
        needs_features: whether the trainer adds `penalty` of the features of each batch.

    Example:
        >>> class SquaredError(ClassLoss):
        ...     def per_instance(self, logits, targets):
        ...         return (1 - logits.softmax(1).gather(1, targets[:, None])[:, 0]) ** 2
        >>> round(float(SquaredError(2, weights=[1, 3])(torch.zeros(2, 2), torch.tensor([0, 1]))), 3)
        0.5
    """

    class_weight: Tensor
    needs_features = False

    def __init__(self, n_classes: int, weights: Sequence[float] | None = None) -> None:
        """Keep `weights` (C,), all 1 by default, as they are."""
        super().__init__()
        values = torch.ones(n_classes) if weights is None else torch.as_tensor(list(weights), dtype=torch.float32)
        if values.shape != (n_classes,) or not bool((torch.isfinite(values) & (values >= 0)).all()):
            raise InputError(
                f"weights must be {n_classes} finite numbers, 0 or more, found {list(weights or [])}.",
                hint="Give one weight for each class.",
            )
        self.register_buffer("class_weight", values, persistent=False)

    def per_instance(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss (N,) of logits (N, C), float32 or float64, and targets (N,)."""
        raise NotImplementedError

    def penalty(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return what is added to the loss for features (N, D) of targets (N,); 0 for losses of logits only."""
        return features.new_zeros(())

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Announce the start of epoch `epoch` (from 0) of `epochs`."""

    def forward(self, logits: Tensor, targets: Tensor, share: Tensor | None = None) -> Tensor:
        """Return the loss as one number.

        Args:
            logits: (N, C), any floating dtype.
            targets: (N,) int64 in [0, C).
            share: (N,) how much each instance counts; 1 by default. A mixed label is the sum of two losses whose shares
                sum to 1.

        Raises:
            ShapeError: the shapes do not fit each other or the classes.
        """
        n_classes = len(self.class_weight)
        if logits.ndim != 2 or logits.shape[1] != n_classes or targets.shape != logits.shape[:1]:
            raise ShapeError(
                f"a loss for {n_classes} classes got logits {tuple(logits.shape)} and targets {tuple(targets.shape)}.",
                hint=f"Give logits (N, {n_classes}) and targets (N,).",
            )
        with torch.autocast(logits.device.type, enabled=False):
            wide = logits if logits.dtype == torch.float64 else logits.float()
            losses = self.per_instance(wide, targets)  # (N,)
            weight = self.class_weight.to(losses.dtype)[targets]
            return ((weight if share is None else weight * share) * losses).mean()


def mean_one(weights: Sequence[float], class_counts: Sequence[int]) -> list[float]:
    """Scale class weights (C,) so that their mean over all training instances is 1."""
    total = sum(w * n for w, n in zip(weights, class_counts, strict=True))
    return [w * sum(class_counts) / total for w in weights]


def effective_number_weights(class_counts: Sequence[int], beta: float) -> list[float]:
    """Return (1 - beta) / (1 - beta^n) for each class, scaled by `mean_one`.

    A class without instances counts as one instance: its weight is finite and never used in training.

    References:
        Cui et al. 2019, Class-Balanced Loss Based on Effective Number of Samples, eq. 2. They scale the weights to sum
        to C, which makes the loss, and so the step, smaller under stronger imbalance.
    """
    beta = number("beta", beta, 0, 1)
    return mean_one([(1 - beta) / (1 - beta ** max(n, 1)) for n in class_counts], class_counts)


def number(name: str, value: Any, least: float = -float_info.max, below: float = float("inf")) -> float:
    """Return `value` as a float, or raise InputError when it is not a number in [least, below)."""
    try:
        known = float(value)
    except (TypeError, ValueError):
        known = float("nan")
    if not least <= known < below:
        limits = [f"{least:g} or more"] * (least > -float_info.max) + [f"below {below:g}"] * (below < float("inf"))
        raise InputError(f"{name} is {value!r}.", hint=f"It must be a finite number{', '.join(['', *limits])}.")
    return known
