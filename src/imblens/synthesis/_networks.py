"""The networks that all generators share, and the conversion of images to their inputs."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from imblens.synthesis._samplers import as_pixels

_SMALLEST = 7  # maps are halved until their shorter side is at most this


class Canvas:
    """Conversion between uint8 (n, H, W, 3) images and network inputs: (n, channels, height, width) from -1 to 1.

    Greyscale images have one channel. Height and width are the next multiples that can be halved `levels` times: images
    are padded at their right and lower edge by replication, and generated images are cropped there.

    >>> canvas = Canvas(np.zeros((1, 33, 20, 3), np.uint8))
    >>> canvas.channels, canvas.levels, (canvas.height, canvas.width)
    (1, 2, (36, 20))
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._size = pixels.shape[1:3]
        self.channels = 1 if bool((pixels == pixels[..., :1]).all()) else 3
        self.levels = max(1, math.ceil(math.log2(max(min(self._size), 2) / _SMALLEST)))
        step = 2**self.levels
        self.height, self.width = (-(-side // step) * step for side in self._size)

    def inputs(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Return images (n, H, W, 3) as network inputs."""
        inputs = torch.from_numpy(np.ascontiguousarray(pixels[..., : self.channels])).permute(0, 3, 1, 2)
        inputs = inputs.float().div_(127.5).sub_(1)
        right, below = self.width - self._size[1], self.height - self._size[0]
        return functional.pad(inputs, (0, right, 0, below), mode="replicate") if right or below else inputs

    def pixels(self, outputs: Tensor) -> NDArray[np.uint8]:
        """Return network outputs as images (n, H, W, 3)."""
        cut = outputs[..., : self._size[0], : self._size[1]].float().cpu().permute(0, 2, 3, 1)
        values = ((cut + 1) * 127.5).numpy()
        return as_pixels(np.broadcast_to(values, (*values.shape[:3], 3)), (*self._size, 3))


class Encoder(nn.Module):
    """Strided 4 x 4 convolutions with leaky ReLU, then one linear layer: encoder, discriminator or classifier.

    Args:
        canvas: of the images.
        width: channels of the first layer; they double with each, up to four times as many.
        n_out: outputs.
    """

    def __init__(self, canvas: Canvas, width: int, n_out: int) -> None:
        """Draw weights from torch's global random state."""
        super().__init__()
        layers: list[nn.Module] = []
        channels = canvas.channels
        for level in range(canvas.levels):
            out = width * min(2**level, 4)
            layers += [nn.Conv2d(channels, out, 4, 2, 1), nn.LeakyReLU(0.2)]
            channels = out
        maps = (canvas.height >> canvas.levels) * (canvas.width >> canvas.levels)
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.n_features = channels * maps
        self.head = nn.Linear(self.n_features, n_out)

    def forward(self, images: Tensor) -> Tensor:
        """Return (n, n_out)."""
        out: Tensor = self.head(self.convolutions(images))
        return out


class ClassEncoder(Encoder):
    """An encoder that scores pairs of an image and a class.

    score(x, y) = w . h(x) + v[y] . h(x), after Miyato and Koyama 2018, cGANs with Projection Discriminator.
    """

    def __init__(self, canvas: Canvas, width: int, n_classes: int) -> None:
        """Draw weights from torch's global random state."""
        super().__init__(canvas, width, 1)
        self.of_class = nn.Embedding(n_classes, self.n_features)
        nn.init.zeros_(self.of_class.weight)

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return (n,)."""
        features = self.convolutions(images)
        out: Tensor = self.head(features)[:, 0] + (self.of_class(labels) * features).sum(dim=1)
        return out


class Decoder(nn.Module):
    """A linear layer, then doubling and 3 x 3 convolutions with group normalisation and ReLU, then tanh.

    Args:
        canvas: of the images.
        width: channels before the last layer; twice as many a level deeper, up to four times.
        n_in: size of the latent vector.
    """

    def __init__(self, canvas: Canvas, width: int, n_in: int) -> None:
        """Draw weights from torch's global random state."""
        super().__init__()
        channels = width * min(2 ** (canvas.levels - 1), 4)
        self._shape = (channels, canvas.height >> canvas.levels, canvas.width >> canvas.levels)
        self.start = nn.Linear(n_in, math.prod(self._shape))
        layers: list[nn.Module] = [nn.ReLU()]
        for level in reversed(range(canvas.levels)):
            out = width * min(2 ** max(level - 1, 0), 4)
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(channels, out, 3, padding=1)]
            layers += [nn.GroupNorm(math.gcd(out, 8), out), nn.ReLU()]
            channels = out
        self.convolutions = nn.Sequential(*layers, nn.Conv2d(channels, canvas.channels, 3, padding=1), nn.Tanh())

    def forward(self, latent: Tensor) -> Tensor:
        """Return (n, channels, height, width) from (n, n_in)."""
        out: Tensor = self.convolutions(self.start(latent).unflatten(1, self._shape))
        return out
