"""A network that two cores train in seconds."""

from __future__ import annotations

from torch import Tensor, nn

from imblens.models.normed import make_head


class SmallNet(nn.Module):
    """Four 3 x 3 convolutions with batch normalisation (16, 32, 64, 64 channels), pooling, 64 features.

    Args:
        n_classes: C.
        in_channels: channels of the images.
        scale: of a normalised head, or None for a plain one.
    """

    def __init__(self, n_classes: int, *, in_channels: int = 3, scale: float | None = None) -> None:
        """Draw weights from torch's global random state."""
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for out, stride in ((16, 1), (32, 2), (64, 2), (64, 1)):
            layers += [
                nn.Conv2d(channels, out, 3, stride, 1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(inplace=True),
            ]
            channels = out
        self.convolutions = nn.Sequential(*layers)
        self.head = make_head(64, n_classes, scale)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, C) of images (N, in_channels, H, W)."""
        x = self.convolutions(x)  # (N, 64, H/4, W/4)
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits
