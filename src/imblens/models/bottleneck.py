"""Residual networks of bottlenecks, for photographs and radiographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional

from imblens.models.normed import make_head


class _Bottleneck(nn.Module):
    """1 x 1 to `width` channels, 3 x 3 (with the stride), 1 x 1 to 4 * width, and a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride > 1 or channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = functional.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class BottleneckResNet(nn.Module):
    """A first convolution and four stages of bottlenecks, average pooling. (3, 4, 6, 3) of width 64 is ResNet-50.

    Images of 224 pixels end in 7 x 7 maps; without `pool`, in 14 x 14. Names of weights are torchvision's, but for
    `head`.

    Args:
        n_classes: C.
        in_channels: channels of the images.
        blocks: bottlenecks of each stage.
        width: of the bottlenecks in the first stage; it doubles from stage to stage.
        kernel: width of the first convolution.
        pool: whether maps are halved once more before the first stage.
        scale: of a normalised head, or None for a plain one.

    References:
        He et al. 2016, Deep Residual Learning for Image Recognition, table 1; the stride is in the 3 x 3 convolution,
        as in the weights that torchvision publishes.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        in_channels: int = 3,
        blocks: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        kernel: int = 7,
        pool: bool = True,
        scale: float | None = None,
    ) -> None:
        """Draw weights from torch's global random state."""
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, kernel, 2, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if pool else nn.Identity()
        channels = width
        for i, n_blocks in enumerate(blocks):
            stage = []
            for k in range(n_blocks):
                stage.append(_Bottleneck(channels, width << i, 2 if i and not k else 1))
                channels = 4 * width << i
            self.add_module(f"layer{i + 1}", nn.Sequential(*stage))
        self.n_stages = len(blocks)
        self.head = make_head(channels, n_classes, scale)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, C) of images (N, in_channels, H, W)."""
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x)), inplace=True))
        for i in range(self.n_stages):
            x = self.get_submodule(f"layer{i + 1}")(x)  # (N, D, H/32, W/32) after the last
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits

    def from_published(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename published weights of ResNet-50 to this network's."""
        return {f"head.{name[3:]}" if name.startswith("fc.") else name: weight for name, weight in weights.items()}
