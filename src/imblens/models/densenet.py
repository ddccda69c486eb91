"""Densely connected networks, whole and truncated."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from imblens.models.normed import make_head

_OLD_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")  # norm.1.weight, as files before 2019 have it


class _Layer(nn.Module):
    """Normalise, rectify, 1 x 1 to 4 * growth channels; again, 3 x 3 to `growth` channels."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(functional.relu(self.norm1(x), inplace=True))
        new: Tensor = self.conv2(functional.relu(self.norm2(x), inplace=True))
        return new


class _Block(nn.Sequential):
    """Every layer sees the maps of all before it, and adds `growth` of its own."""

    def __init__(self, n_layers: int, channels: int, growth: int) -> None:
        super().__init__(
            OrderedDict((f"denselayer{i + 1}", _Layer(channels + i * growth, growth)) for i in range(n_layers))
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self:
            x = torch.cat([x, layer(x)], dim=1)
        return x


class DenseNet(nn.Module):
    """A first convolution, dense blocks with transitions that halve maps and channels, average pooling.

    Four blocks of 6, 12, 24 and 16 layers are DenseNet-121. Its first two alone, with the transition between them, are
    the truncated DenseNet of LOOKING: images of 224 pixels end in 512 maps of 28 x 28, fine enough for a nodule.

    Names of weights are torchvision's, but for `head`; the normalisation behind the last block of n is `norm{n + 1}`.

    Args:
        n_classes: C.
        in_channels: channels of the images.
        blocks: layers of each dense block.
        growth: maps that a layer adds.
        first: maps of the first convolution.
        kernel: width of the first convolution.
        small: for images of about 32 pixels: the first convolution is 3 x 3 and alone, so that maps keep their size.
            Three blocks of 16 layers with growth 12 are the DenseNet-BC-100 of CIFAR.
        scale: of a normalised head, or None for a plain one.

    References:
        Huang et al. 2017, Densely Connected Convolutional Networks, table 1; Khakzar et al. 2022 (LOOKING), section 4.
        LOOKING does not state how the truncated network ends: here, like the whole one, it normalises and rectifies
        before pooling.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        in_channels: int = 3,
        blocks: Sequence[int] = (6, 12, 24, 16),
        growth: int = 32,
        first: int = 64,
        kernel: int = 7,
        small: bool = False,
        scale: float | None = None,
    ) -> None:
        """Draw weights from torch's global random state."""
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if small:
            layers["conv0"] = nn.Conv2d(in_channels, first, 3, 1, 1, bias=False)
        else:
            layers["conv0"] = nn.Conv2d(in_channels, first, kernel, 2, kernel // 2, bias=False)
            layers["norm0"] = nn.BatchNorm2d(first)
            layers["relu0"] = nn.ReLU(inplace=True)
            layers["pool0"] = nn.MaxPool2d(3, 2, 1)
        channels = first
        for i, n_layers in enumerate(blocks, start=1):
            layers[f"denseblock{i}"] = _Block(n_layers, channels, growth)
            channels += n_layers * growth
            if i < len(blocks):
                halved = OrderedDict(
                    norm=nn.BatchNorm2d(channels),
                    relu=nn.ReLU(inplace=True),
                    conv=nn.Conv2d(channels, channels // 2, 1, bias=False),
                    pool=nn.AvgPool2d(2),
                )
                layers[f"transition{i}"] = nn.Sequential(halved)
                channels //= 2
        layers[f"norm{len(blocks) + 1}"] = nn.BatchNorm2d(channels)
        self.n_blocks = len(blocks)
        self.features = nn.Sequential(layers)
        self.rectify = nn.ReLU(inplace=True)
        self.head = make_head(channels, n_classes, scale)
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, C) of images (N, in_channels, H, W)."""
        x = self.rectify(self.features(x))  # (N, D, H/32, W/32); H/8 after two blocks; small: H/4
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits

    def from_published(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename published weights of DenseNet-121 to this network's; what lies behind its last block is left out.

        In a truncated network the last normalisation is the one that the whole network has at that place: the first
        step of the transition that is cut off.
        """
        named = {_OLD_NAME.sub(r"\1\2.", name).replace("classifier.", "head."): w for name, w in weights.items()}
        n = self.n_blocks
        found = {}
        for name, weight in named.items():
            place = re.match(r"features\.(denseblock|transition)(\d+)\.", name)
            if place is None:
                if name.startswith("features.norm5.") and n != 4:
                    continue
                found[name] = weight
            elif int(place[2]) < n + (place[1] == "denseblock"):
                found[name] = weight
            elif name.startswith(f"features.transition{n}.norm."):
                found[name.replace(f"transition{n}.norm", f"norm{n + 1}")] = weight
        return found
