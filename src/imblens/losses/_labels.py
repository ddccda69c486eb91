"""Losses for multi-label data: binary cross-entropy with weights for positives and negatives of each label."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from imblens.errors import ShapeError
from imblens.losses._base import number
from imblens.losses._focal import not_p


class LabelLoss(nn.Module):
    """Mean, over instances and labels, of the weighted binary cross-entropy of the sigmoid.

    l = -[w+ y log p + w- (1 - y) log(1 - p)],   loss = mean of l over the pairs (instance, label) whose label is known

    Weights are those of the formula, not rescaled: a weight of 1/1000 makes a loss, and a gradient, that much smaller.
    Adam's steps do not depend on that, those of plain SGD do.

    Computed in float32 (float64 stays float64), also inside autocast. Subclasses define `per_target`.

    Attributes:
        positive_weight: (C,) weight of positives; `negative_weight` of negatives. Not part of the state dict, since they
            follow from the counts.

    References:
        Khakzar et al. 2022 (LOOKING), eq. 1; they sum where this takes the mean.

    Example:
        >>> class Plain(LabelLoss):
        ...     def per_target(self, logits):
        ...         return nn.functional.softplus(-logits), nn.functional.softplus(logits)
        >>> round(float(Plain([3, 1], [1, 1])(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))), 3)  # (3 + 1) log(2) / 2
        1.386
    """

    positive_weight: Tensor
    negative_weight: Tensor

    def __init__(self, positive: Sequence[float], negative: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("positive_weight", torch.tensor(positive, dtype=torch.float32), persistent=False)
        self.register_buffer("negative_weight", torch.tensor(negative, dtype=torch.float32), persistent=False)

    def per_target(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, before weights, that logits (N, C) have as positives and as negatives."""
        return -logsigmoid(logits), -logsigmoid(-logits)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Announce the start of epoch `epoch` (from 0) of `epochs`."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss as one number; 0 where no label is known.

        Args:
            logits: (N, C), any floating dtype.
            targets: (N, C): 1 positive, 0 negative, below 0 unknown (ignored).

        Raises:
            ShapeError: the shapes do not fit each other or the labels.
        """
        n_labels = len(self.positive_weight)
        if logits.ndim != 2 or logits.shape[1] != n_labels or targets.shape != logits.shape:
            raise ShapeError(
                f"a loss for {n_labels} labels got logits {tuple(logits.shape)} and targets {tuple(targets.shape)}.",
                hint=f"Give both as (N, {n_labels}): targets 1, 0, or -1 where the label is unknown.",
            )
        with torch.autocast(logits.device.type, enabled=False):
            wide = logits if logits.dtype == torch.float64 else logits.float()
            positive, negative = self.per_target(wide)
            weighted = torch.where(
                targets > 0,
                self.positive_weight.to(wide.dtype) * positive,
                self.negative_weight.to(wide.dtype) * negative,
            )
            known = targets >= 0
            return torch.where(known, weighted, 0).sum() / known.sum().clamp_min(1)


class FocalLabels(LabelLoss):
    """Less weight on easy labels: log p is multiplied by (1 - p)^gamma, log(1 - p) by p^gamma."""

    def __init__(self, positive: Sequence[float], negative: Sequence[float], gamma: float) -> None:
        """See the class; `gamma` is 0 or more."""
        super().__init__(positive, negative)
        self.gamma = number("gamma", gamma, 0)

    def per_target(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the focal losses: (N, C) each."""
        log_p, log_not = logsigmoid(logits), logsigmoid(-logits)
        return -(not_p(log_p) ** self.gamma) * log_p, -(not_p(log_not) ** self.gamma) * log_not


class AsymmetricLabels(LabelLoss):
    """Separate focusing for positives and negatives; negatives with p below the margin have no loss.

    positive: (1 - p)^gamma_pos log p;   negative: p_m^gamma_neg log(1 - p_m), with p_m = max(p - margin, 0)

    gamma_pos = gamma_neg = margin = 0 is binary cross-entropy.

    Args:
        positives: (C,) training instances with the label; only C is used.
        negatives: (C,) training instances without it.
        gamma_pos: 0 or more.
        gamma_neg: 0 or more.
        margin: from 0 to below 1.

    References:
        Ridnik et al. 2021, Asymmetric Loss For Multi-Label Classification, eq. 7, with the values of their section 4.1.
    """

    def __init__(
        self,
        positives: Sequence[int],
        negatives: Sequence[int],
        gamma_pos: float = 0.0,
        gamma_neg: float = 4.0,
        margin: float = 0.05,
    ) -> None:
        super().__init__([1.0] * len(positives), [1.0] * len(negatives))
        self.gamma_pos = number("gamma_pos", gamma_pos, 0)
        self.gamma_neg = number("gamma_neg", gamma_neg, 0)
        self.margin = number("margin", margin, 0, 1)

    def per_target(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the asymmetric losses: (N, C) each."""
        log_p = logsigmoid(logits)
        positive = -(not_p(log_p) ** self.gamma_pos) * log_p
        if not self.margin:
            log_not = logsigmoid(-logits)
            return positive, -(not_p(log_not) ** self.gamma_neg) * log_not
        log_not = (torch.sigmoid(-logits) + self.margin).clamp_max(1).log()  # log(1 - p_m)
        return positive, -(not_p(log_not) ** self.gamma_neg) * log_not


def binary_cross_entropy(positives: Sequence[int], negatives: Sequence[int]) -> LabelLoss:
    """Binary cross-entropy of the sigmoid: w+ = w- = 1.

    Args:
        positives: (C,) training instances with the label; only C is used.
        negatives: (C,) training instances without it.

    References:
        Khakzar et al. 2022 (LOOKING), eq. 2.
    """
    return LabelLoss([1.0] * len(positives), [1.0] * len(negatives))


def weighted_binary_cross_entropy(positives: Sequence[int], negatives: Sequence[int]) -> LabelLoss:
    """Binary cross-entropy with more weight on the rarer of positives and negatives: w+ = N- / (N+ + N-), w- = N+ / (N+ + N-).

    Positives and negatives of a label have the same total weight, N+ N- / (N+ + N-). A label without positives or
    without negatives in training has weight 0. Where N+ = N-, this is half of `bce`.

    Args:
        positives: (C,) training instances with the label.
        negatives: (C,) training instances without it.

    References:
        Khakzar et al. 2022 (LOOKING), eq. 2.
    """
    total = [max(p + n, 1) for p, n in zip(positives, negatives, strict=True)]
    return LabelLoss(
        [n / t for n, t in zip(negatives, total, strict=True)], [p / t for p, t in zip(positives, total, strict=True)]
    )


def focal_binary(
    positives: Sequence[int], negatives: Sequence[int], alpha: float | None = 0.25, gamma: float = 2.0
) -> FocalLabels:
    """Focal loss: w+ = alpha (1 - p)^gamma, w- = (1 - alpha) p^gamma.

    Args:
        positives: (C,) training instances with the label; only C is used.
        negatives: (C,) training instances without it.
        alpha: from 0 to below 1, or None for no weights; None with gamma = 0 is `bce`.
        gamma: 0 or more.

    References:
        Lin et al. 2017, Focal Loss for Dense Object Detection, eq. 5; Khakzar et al. 2022 (LOOKING), eq. 2, section 4.
    """
    share = 0.0 if alpha is None else number("alpha", alpha, 0, 1)
    positive, negative = (1.0, 1.0) if alpha is None else (share, 1 - share)
    return FocalLabels([positive] * len(positives), [negative] * len(negatives), gamma)


def class_balanced_focal_binary(
    positives: Sequence[int], negatives: Sequence[int], beta: float = 0.9999, gamma: float = 2.0
) -> FocalLabels:
    """Focal loss by effective number: w+ = (1 - beta) / (1 - beta^N+) (1 - p)^gamma, w- likewise with N- and p.

    beta = gamma = 0 is `bce`. A count of 0 is replaced by 1.

    Args:
        positives: (C,) training instances with the label.
        negatives: (C,) training instances without it.
        beta: from 0 to below 1.
        gamma: 0 or more.

    References:
        Khakzar et al. 2022 (LOOKING), eq. 2, after Cui et al. 2019, eq. 13.
    """
    beta = number("beta", beta, 0, 1)
    positive, negative = ([(1 - beta) / (1 - beta ** max(n, 1)) for n in counts] for counts in (positives, negatives))
    return FocalLabels(positive, negative, gamma)
