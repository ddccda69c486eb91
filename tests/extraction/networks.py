"""Small networks of every build that people bring, for the tests of this folder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def sequential(n_classes: int = 3) -> nn.Sequential:
    """A plain network whose head lies deep inside nn.Sequential, with batch normalisation and dropout."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Sequential(nn.Linear(32, 7), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(7, n_classes)),
    )


class Residual(nn.Module):
    """A residual network that works in place on its very input and returns a dict, logits not last."""

    def __init__(self, n_classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.body = nn.Conv2d(6, 6, 3, padding=1)
        self.fc = nn.Linear(6, n_classes)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x.sub_(0.25)
        x = self.stem(x)
        x = torch.relu_(x + self.body(torch.relu(x)))
        pooled = x.mean(dim=(2, 3))
        return {"logits": self.fc(pooled), "pooled": pooled}


class Pair(nn.Module):
    """Returns (logits, features), notes calls on itself, and has a buffer that changes in evaluation mode too."""

    def __init__(self, n_classes: int = 3) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 5, 3)
        self.classifier = nn.Linear(5, n_classes, bias=False)
        self.register_buffer("seen", torch.zeros(1))
        self.last: Any = None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.seen += len(x)
        features = self.convolution(x).relu().amax(dim=(2, 3))
        self.last = features
        self.cached = torch.rand(3)
        return self.classifier(features), features


class Weighted(nn.Module):
    """Linear in the pixels: logit_c = sum of weight_c * x, so that its gradient is known."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        n_classes = len(weight)
        self.mix = nn.Linear(weight[0].numel(), n_classes, bias=False)
        self.mix.weight = nn.Parameter(weight.flatten(1))
        self.head = nn.Linear(n_classes, n_classes)
        with torch.no_grad():
            self.head.weight.copy_(torch.eye(n_classes))
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.mix(x.flatten(1)))
        return logits


def seeded(make: Any, seed: int = 0) -> Any:
    """Make a network from a seed without moving the global random state."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()
