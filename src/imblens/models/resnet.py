"""Residual networks for small images."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from imblens.models.normed import make_head


class _Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut without parameters (option A)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.stride = stride
        self.extra = channels_out - channels_in

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        if self.extra:  # every second pixel, and zeros for the new channels, half of them on each side
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.extra // 2, self.extra // 2))
        return functional.relu(y + x, inplace=True)


class CifarResNet(nn.Module):
    """ResNet of 6 * blocks + 2 layers: 16, 32 and 64 channels, global average pooling, 64 features.

    Args:
        n_classes: C.
        in_channels: channels of the images.
        blocks: residual blocks in each of the three stages; 5 gives ResNet-32.
        scale: of a normalised head, or None for a plain one.

    References:
        He et al. 2016, Deep Residual Learning for Image Recognition, section 4.2 (shortcuts of option A). Weights start
        as in Cao et al. 2019: Kaiming normal for convolutions and head.
    """

    def __init__(self, n_classes: int, *, in_channels: int = 3, blocks: int = 5, scale: float | None = None) -> None:
        """Draw weights from torch's global random state."""
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        stages = []
        channels = 16
        for out, stride in ((16, 1), (32, 2), (64, 2)):
            stages.append(_Block(channels, out, stride))
            stages.extend(_Block(out, out, 1) for _ in range(blocks - 1))
            channels = out
        self.blocks = nn.Sequential(*stages)
        self.head = make_head(64, n_classes, scale)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, C) of images (N, in_channels, H, W)."""
        x = functional.relu(self.bn(self.conv(x)), inplace=True)
        x = self.blocks(x)  # (N, 64, H/4, W/4)
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits
