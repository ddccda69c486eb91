"""Heads: the plain linear layer, and the one whose logits are cosines."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class NormedLinear(nn.Module):
    """A head without bias whose logits are scaled cosines: logit = scale * cos(features, direction).

    What enters this layer is the feature embedding, before it is scaled to length 1, so that the features of a network
    with this head can be compared with those of a network without. As a linear layer of features of length 1 it has
    weight = scale * direction / |direction| and bias 0. `assign` makes it an ordinary linear layer of the features as they
    are; the buffer `unit` (1 or 0), part of the state dict, states which of the two it is.

    Args:
        in_features: D.
        out_features: C.
        scale: length of the rows.
        learnable: train one scale for each class as well.

    References:
        Cao et al. 2019, Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss. There the scale is
        part of the loss; here it is part of the head, so that stored logits are those the loss saw.
    """

    unit: Tensor

    def __init__(self, in_features: int, out_features: int, *, scale: float = 30.0, learnable: bool = False) -> None:
        """Draw random directions from torch's global random state."""
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.direction = nn.Parameter(functional.normalize(torch.randn(out_features, in_features), dim=1))  # (C, D)
        scales = torch.full((out_features,), float(scale))  # (C,)
        if learnable:
            self.scale = nn.Parameter(scales)
        else:
            self.register_buffer("scale", scales)
        self.register_buffer("unit", torch.ones(()))
        self.register_parameter("bias", None)

    @property
    def weight(self) -> Tensor:
        """The weight (C, D) that features of length 1 are multiplied with; after `assign`, features as they are."""
        return self.scale[:, None] * functional.normalize(self.direction, dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, C) of features (N, D), without autocast: bfloat16 would blur the cosines."""
        with torch.autocast(features.device.type, enabled=False):
            weight = self.weight
            wide = features.to(torch.promote_types(features.dtype, weight.dtype))
            entered = torch.where(self.unit > 0, functional.normalize(wide, dim=1), wide)
            return functional.linear(entered.to(weight.dtype), weight, self.bias)

    @torch.no_grad()
    def assign(self, weight: Tensor, bias: Tensor | None = None, *, unit: bool = False) -> None:
        """Become the linear layer of that weight (C, D) and bias (C,): lengths go to the scales.

        `unit` keeps it one of features of length 1; without, features are multiplied as they are.
        """
        self.unit.fill_(float(unit))
        lengths = weight.norm(dim=1)
        self.direction.copy_(weight)
        self.scale.copy_(lengths)
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone().to(self.direction))


def make_head(in_features: int, n_classes: int, scale: float | None) -> nn.Module:
    """Return the head: plain without `scale`, normalised with it."""
    return nn.Linear(in_features, n_classes) if scale is None else NormedLinear(in_features, n_classes, scale=scale)
