"""Augmentation that follows class colours: pixels in a colour that drives a class are given another colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from kornia.color import rgb_to_lab
from torch import Tensor, nn

from imblens.errors import InputError


class Recolour(nn.Module):
    """Change the colours that a network relies on for a class, in half of the images of that class.

    Of each image that is changed, a band is drawn with the probability that it has among the most salient pixels of the
    image's class. Pixels whose nearest reference colour (in CIELAB) is that band's move toward another band, drawn evenly:

    pixel <- clip(pixel + r (reference of the other band - reference of the band)),  r uniform in [0, 1), one for an image

    so shading within the band stays. The network can then no longer rely on that colour alone.

    Args:
        references: (K, 3) colours of the bands, 0 to 255.
        shares: (C, K) share of each band among the most salient pixels of each class.
        p: share of the images that are changed.

    References:
        Dablain et al. 2022, Interpretable ML for Imbalanced Data (IML), section IV-G and Fig. 9, which suggests to modify
        salient colours by augmentation. The rule is ours; nothing was published.
    """

    references: Tensor
    shares: Tensor
    lab: Tensor

    def __init__(
        self, references: Sequence[Sequence[float]], shares: Sequence[Sequence[float]], p: float = 0.5
    ) -> None:
        super().__init__()
        self.p = p
        self.register_buffer("references", torch.tensor(references, dtype=torch.float32) / 255, persistent=False)
        self.register_buffer("shares", torch.tensor(shares, dtype=torch.float32), persistent=False)
        lab = rgb_to_lab(self.references.T[None, :, :, None])[0, :, :, 0].T  # (K, 3)
        self.register_buffer("lab", lab, persistent=False)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return images (B, 3, H, W) in [0, 1], of classes (B,), some of them recoloured."""
        n, k = len(images), len(self.references)
        device = images.device
        band = torch.multinomial(self.shares[labels], 1).flatten()  # (B,)
        other = (band + torch.randint(1, k, (n,)).to(device)) % k
        step = torch.rand(n).to(device) * (torch.rand(n).to(device) < self.p)
        pixels = rgb_to_lab(images).flatten(2).transpose(1, 2)  # (B, HW, 3)
        nearest = torch.cdist(pixels, self.lab.expand(n, -1, -1)).argmin(dim=2).view(n, 1, *images.shape[2:])
        shift = step[:, None] * (self.references[other] - self.references[band])  # (B, 3)
        return (images + shift[:, :, None, None] * (nearest == band[:, None, None, None])).clamp(0, 1)


def recolouring(class_colours: Mapping[str, Any] | None, classes: Sequence[str]) -> Recolour | None:
    """Return the augmentation for `TrainingPlan.class_colours`, None without.

    Raises:
        InputError: a class of the data has no colours.
    """
    if not class_colours:
        return None
    absent = [name for name in classes if name not in class_colours["shares"]]
    if absent:
        raise InputError(
            f"the class colours have no entry for class {absent[0]!r}; they are of {', '.join(class_colours['shares'])}.",
            hint="Take them from a run of the same data.",
        )
    return Recolour(class_colours["references"], [class_colours["shares"][name] for name in classes])
