"""The last convolutional maps: found in networks of every build, named, or refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from imblens.errors import InputError, MissingError, NotApplicable
from imblens.models import build_model, find_maps
from tests.extraction.networks import Pair, Residual, sequential

SAMPLE = torch.zeros(2, 3, 16, 12)


class Squeezing(nn.Module):
    """A convolution, and one more on what was pooled, as squeeze-and-excitation does."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 4, 3)
        self.act = nn.ReLU()
        self.gate = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.wide(x))
        x = x * self.gate(x.mean(dim=(2, 3), keepdim=True))
        logits: torch.Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).mT
        logits: torch.Tensor = self.head(self.attend(tokens, tokens, tokens)[0].mean(dim=1))
        return logits


@pytest.mark.parametrize(
    ("make", "expected"),
    [(sequential, "0"), (Residual, "body"), (Pair, "convolution"), (Squeezing, "act")],
)
def test_found(make, expected) -> None:
    assert find_maps(make(), sample=SAMPLE) == expected


@pytest.mark.parametrize(("arch", "expected"), [("smallnet", "convolutions"), ("resnet32", "blocks")])
def test_own_networks(arch, expected) -> None:
    assert find_maps(build_model(arch, 4), sample=torch.zeros(1, 3, 32, 32)) == expected


def test_named() -> None:
    model = build_model("resnet32", 4)
    assert find_maps(model, "blocks.3.conv1", sample=SAMPLE) == "blocks.3.conv1"
    with pytest.raises(MissingError, match=r"blocks\.3\.conv9.*does not exist"):
        find_maps(model, "blocks.3.conv9", sample=SAMPLE)
    with pytest.raises(InputError, match="gives no maps"):
        find_maps(model, "head", sample=SAMPLE)


def test_without_maps() -> None:
    with pytest.raises(NotApplicable, match="no convolution"):
        find_maps(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 12, 2)), sample=SAMPLE)
    with pytest.raises(NotApplicable, match="attention layers follow"):
        find_maps(Attending(), sample=SAMPLE)
    assert find_maps(Attending(), "patches", sample=SAMPLE) == "patches"


def test_the_network_is_left_as_found() -> None:
    model = build_model("smallnet", 4).train()
    state = torch.get_rng_state()
    find_maps(model, sample=SAMPLE)
    assert all(module.training and not module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)
