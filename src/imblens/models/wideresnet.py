"""Wide residual networks for small images."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from imblens.models.normed import make_head


class _Block(nn.Module):
    """Normalise, rectify, 3 x 3, twice; the input is added, through a 1 x 1 convolution where the size changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        same = channels_in == channels_out and stride == 1
        self.shortcut = None if same else nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(x))
        x = x if self.shortcut is None else self.shortcut(y)
        y = functional.relu(self.bn2(self.conv1(y)), inplace=True)
        out: Tensor = x + self.conv2(y)
        return out


class WideResNet(nn.Module):
    """WRN-(6 * blocks + 4)-width: 16, 32 and 64 channels times `width`, global average pooling, 64 * width features.

    Args:
        n_classes: C.
        in_channels: channels of the images.
        blocks: residual blocks in each of the three stages; 4 gives 28 layers.
        width: how many times the channels of a CIFAR ResNet.
        scale: of a normalised head, or None for a plain one.

    References:
        Zagoruyko and Komodakis 2016, Wide Residual Networks, table 1; without dropout.
    """

    def __init__(
        self, n_classes: int, *, in_channels: int = 3, blocks: int = 4, width: int = 10, scale: float | None = None
    ) -> None:
        """Draw weights from torch's global random state."""
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False)
        stages = []
        channels = 16
        for out, stride in ((16 * width, 1), (32 * width, 2), (64 * width, 2)):
            stages.append(_Block(channels, out, stride))
            stages.extend(_Block(out, out, 1) for _ in range(blocks - 1))
            channels = out
        self.blocks = nn.Sequential(*stages)
        self.bn = nn.BatchNorm2d(channels)
        self.rectify = nn.ReLU(inplace=True)  # a module, so that what is pooled can be looked at
        self.head = make_head(channels, n_classes, scale)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, C) of images (N, in_channels, H, W)."""
        x = self.blocks(self.conv(x))  # (N, 64 * width, H/4, W/4)
        x = self.rectify(self.bn(x))
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits
