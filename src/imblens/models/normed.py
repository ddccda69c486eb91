"""Heads: the plain linear layer, and the one whose logits are cosines."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class UnitLength(nn.Module):
    """Scale every feature vector (N, D) to Euclidean length 1; a zero vector stays zero."""

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, D), computed in float32 also inside autocast."""
        wide = features if features.dtype == torch.float64 else features.float()
        return functional.normalize(wide, dim=1)


class NormedLinear(nn.Module):
    """A linear layer without bias whose rows all have length `scale`: logit = scale * cos(features, row).

    That holds for features of length 1, so put `UnitLength` before it. What enters this layer is then the feature
    embedding, and the layer is an ordinary head for everything that reads `weight` and `bias`:
    logits = features @ weight.T, with weight = scale * direction / |direction|.

    Args:
        in_features: D.
        out_features: C.
        scale: length of the rows.
        learnable: train one scale for each class as well.

    References:
        Cao et al. 2019, Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss. There the scale is
        part of the loss; here it is part of the head, so that stored logits are those the loss saw.
    """

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
        self.register_parameter("bias", None)

    @property
    def weight(self) -> Tensor:
        """The equivalent linear weight: (C, D)."""
        return self.scale[:, None] * functional.normalize(self.direction, dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, C) of features (N, D) of length 1, without autocast: bfloat16 would blur the cosines."""
        with torch.autocast(features.device.type, enabled=False):
            weight = self.weight
            return functional.linear(features.to(weight.dtype), weight, self.bias)

    @torch.no_grad()
    def assign(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Become the linear layer of that weight (C, D) and bias (C,): lengths go to the scales."""
        lengths = weight.norm(dim=1)
        self.direction.copy_(weight)
        self.scale.copy_(lengths)
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone().to(self.direction))


def make_head(in_features: int, n_classes: int, scale: float | None) -> tuple[nn.Module, nn.Module]:
    """Return (what comes before the head, the head): plain without `scale`, normalised with it."""
    if scale is None:
        return nn.Identity(), nn.Linear(in_features, n_classes)
    return UnitLength(), NormedLinear(in_features, n_classes, scale=scale)
