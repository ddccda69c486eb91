"""Networks by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from imblens.errors import InputError, MissingError, did_you_mean

if TYPE_CHECKING:
    from torch import nn


class ModelEntry(NamedTuple):
    """A network that can be built by name.

    Attributes:
        says: one line for lists.
        module: where its class is, imported when it is built.
        maker: the class.
        options: of the class: how deep and wide it is.
    """

    says: str
    module: str
    maker: str
    options: Mapping[str, Any] = MappingProxyType({})


MODELS: dict[str, ModelEntry] = {
    "resnet32": ModelEntry(
        "CIFAR ResNet of 32 layers, 64 features (He et al. 2016)", "imblens.models.resnet", "CifarResNet", {"blocks": 5}
    ),
    "resnet56": ModelEntry(
        "CIFAR ResNet of 56 layers, 64 features (He et al. 2016)", "imblens.models.resnet", "CifarResNet", {"blocks": 9}
    ),
    "smallnet": ModelEntry(
        "four convolutions, 64 features: trains in seconds on two cores", "imblens.models.smallnet", "SmallNet"
    ),
    "resnet50": ModelEntry(
        "ResNet-50, 2,048 features, last maps 7 x 7 of 224 (He et al. 2016)",
        "imblens.models.bottleneck",
        "BottleneckResNet",
    ),
    "resnet50_small": ModelEntry(
        "eight narrow bottlenecks, 512 features, last maps 1/16: ResNet-50's twin for two cores",
        "imblens.models.bottleneck",
        "BottleneckResNet",
        {"blocks": (2, 2, 2, 2), "width": 16, "kernel": 3, "pool": False},
    ),
    "densenet121": ModelEntry(
        "DenseNet-121, 1,024 features, last maps 7 x 7 of 224 (Huang et al. 2017)",
        "imblens.models.densenet",
        "DenseNet",
    ),
    "tdensenet121": ModelEntry(
        "its first two dense blocks, 512 features, last maps 28 x 28 of 224 (Khakzar et al. 2022)",
        "imblens.models.densenet",
        "DenseNet",
        {"blocks": (6, 12)},
    ),
    "tdensenet_small": ModelEntry(
        "two short dense blocks, 108 features, last maps 1/8: the truncated DenseNet's twin for two cores",
        "imblens.models.densenet",
        "DenseNet",
        {"blocks": (4, 6), "growth": 12, "first": 24, "kernel": 3},
    ),
}


def model_names() -> tuple[str, ...]:
    """Return the names that `build_model` knows.

    >>> model_names()
    ('resnet32', 'resnet56', 'smallnet', 'resnet50', 'resnet50_small', 'densenet121', 'tdensenet121', 'tdensenet_small')
    """
    return tuple(MODELS)


def model_descriptions() -> dict[str, str]:
    """Return one line for each network that has a name."""
    return {name: entry.says for name, entry in MODELS.items()}


def find_model(name: str) -> str:
    """Return `name` when it is a network's, or FILE.py:FACTORY of a file that exists; builds and imports nothing.

    Raises:
        MissingError: there is no such network or file.
    """
    file, colon, _ = name.rpartition(":")
    if colon and file.endswith(".py"):
        if not Path(file).is_file():
            raise MissingError(f"there is no file {file}.", hint="Check the path in FILE.py:FACTORY.")
    elif name not in MODELS:
        raise MissingError(
            f"there is no network {name!r}.", hint=f"{did_you_mean(name, model_names())} Or give FILE.py:FACTORY."
        )
    return name


def build_model(
    name: str, n_classes: int, *, in_channels: int = 3, normalised_head: bool = False, scale: float = 30.0
) -> nn.Module:
    """Build a network with fresh weights, drawn from torch's global random state.

    Args:
        name: one of `model_names()`.
        n_classes: C, at least 2.
        in_channels: channels of the pictures.
        normalised_head: end in cosines between features and class directions times `scale` (see `NormedLinear`)
            instead of a plain `nn.Linear`. LDAM is defined for that.
        scale: largest logit of a normalised head.

    Returns:
        A module that maps (N, in_channels, H, W) to logits (N, C); its last layer is called `head`, and what enters
        the head are the features (N, D).

    Raises:
        MissingError: no network of that name.
        InputError: fewer than two classes, no channels, or a scale that is not positive.

    Example:
        >>> model = build_model("resnet32", 10)
        >>> sum(p.numel() for p in model.parameters())
        464154
    """
    if name not in MODELS:
        raise MissingError(f"there is no network {name!r}.", hint=did_you_mean(name, model_names()))
    for argument, value, least in (("n_classes", n_classes, 2), ("in_channels", in_channels, 1)):
        if value < least:
            raise InputError(f"{argument} is {value}.", hint=f"It must be at least {least}.")
    if not scale > 0:
        raise InputError(f"scale is {scale}.", hint="It must be positive; 30 is usual.")
    entry = MODELS[name]
    maker = getattr(import_module(entry.module), entry.maker)
    model: nn.Module = maker(
        n_classes, in_channels=in_channels, scale=scale if normalised_head else None, **entry.options
    )
    return model
