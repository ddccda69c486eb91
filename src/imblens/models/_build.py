"""Networks by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from imblens.base.registry import Registry
from imblens.errors import InputError, MissingError, did_you_mean
from imblens.models._library import LIBRARIES, build_library_model, find_library_model, library_of
from imblens.models._load_factory import load_factory

if TYPE_CHECKING:
    from torch import nn


class ModelEntry(NamedTuple):
    """A network that can be built by name.

    Attributes:
        description: one line for lists.
        module: the module of its class, imported when it is built.
        maker: the class.
        options: arguments of the class: depth and width.
    """

    description: str
    module: str
    maker: str
    options: Mapping[str, Any] = MappingProxyType({})


_NETWORKS: dict[str, ModelEntry] = {
    "resnet32": ModelEntry(
        "CIFAR ResNet of 32 layers, 64 features (He et al. 2016)", "imblens.models.resnet", "CifarResNet", {"blocks": 5}
    ),
    "resnet56": ModelEntry(
        "CIFAR ResNet of 56 layers, 64 features (He et al. 2016)", "imblens.models.resnet", "CifarResNet", {"blocks": 9}
    ),
    "smallnet": ModelEntry(
        "four convolutions, 64 features: trains in seconds on two cores", "imblens.models.smallnet", "SmallNet"
    ),
    "wideresnet28_10": ModelEntry(
        "wide ResNet of 28 layers, 10 times as wide, 640 features (Zagoruyko and Komodakis 2016)",
        "imblens.models.wideresnet",
        "WideResNet",
        {"blocks": 4, "width": 10},
    ),
    "wideresnet16_4": ModelEntry(
        "wide ResNet of 16 layers, 4 times as wide, 256 features: 1/13 of the weights",
        "imblens.models.wideresnet",
        "WideResNet",
        {"blocks": 2, "width": 4},
    ),
    "densenet100": ModelEntry(
        "CIFAR DenseNet-BC of 100 layers, growth 12, 342 features (Huang et al. 2017)",
        "imblens.models.densenet",
        "DenseNet",
        {"blocks": (16, 16, 16), "growth": 12, "first": 24, "small": True},
    ),
    "resnet50": ModelEntry(
        "ResNet-50, 2,048 features, last maps 7 x 7 of 224 (He et al. 2016)",
        "imblens.models.bottleneck",
        "BottleneckResNet",
    ),
    "resnet50_small": ModelEntry(
        "small CPU variant of ResNet-50: eight narrow bottlenecks, 512 features, last maps 1/16",
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
        "the first two dense blocks of DenseNet-121, 512 features, last maps 28 x 28 of 224 (Khakzar et al. 2022)",
        "imblens.models.densenet",
        "DenseNet",
        {"blocks": (6, 12)},
    ),
    "tdensenet_small": ModelEntry(
        "small CPU variant of the truncated DenseNet: two short dense blocks, 108 features, last maps 1/8",
        "imblens.models.densenet",
        "DenseNet",
        {"blocks": (4, 6), "growth": 12, "first": 24, "kernel": 3},
    ),
}
MODELS: Registry[ModelEntry] = Registry("network", _NETWORKS)


def model_names() -> tuple[str, ...]:
    """Return the names that `build_model` knows.

    >>> model_names()
    ('resnet32', 'resnet56', 'smallnet', 'wideresnet28_10', 'wideresnet16_4', 'densenet100', 'resnet50', 'resnet50_small',
    'densenet121', 'tdensenet121', 'tdensenet_small')
    """
    return tuple(MODELS)


def model_descriptions() -> dict[str, str]:
    """Return one line for each network that has a name, and for each library whose networks can be named.

    Example:
        >>> set(model_names()) <= set(model_descriptions())
        True
    """
    return {**{name: entry.description for name, entry in MODELS.items()}, **LIBRARIES}


def find_model(name: str) -> str:
    """Return `name` if it is the name of a network, LIBRARY:NAME, or FILE.py:FACTORY of a file that exists.

    Nothing is built, and FILE.py is not imported.

    Raises:
        MissingError: there is no such network or file.
        DependencyError: the library is not installed, or cannot be imported.

    Example:
        >>> find_model("smallnet")
        'smallnet'
    """
    if library_of(name):
        return find_library_model(name)
    file, colon, _ = name.rpartition(":")
    if colon and file.endswith(".py"):
        if not Path(file).is_file():
            raise MissingError(f"there is no file {file}.", hint="Check the path in FILE.py:FACTORY.")
    elif name not in MODELS:
        raise MissingError(
            f"there is no network {name!r}.",
            hint=f"{did_you_mean(name, model_names())} Or give FILE.py:FACTORY, or LIBRARY:NAME of {', '.join(LIBRARIES)}.",
        )
    return name


def make_network(
    name: str,
    n_classes: int,
    *,
    size: tuple[int, int] | None = None,
    normalised_head: bool = False,
    scale: float = 30.0,
) -> nn.Module:
    """Build any network that `find_model` accepts, for images of three channels.

    Args:
        name: a name of `model_names()`, LIBRARY:NAME or FILE.py:FACTORY.
        n_classes: C.
        size: (H, W) of the images, for which networks of a library are built and tested.
        normalised_head: only for the networks of `model_names`; others keep their own head.
        scale: of a normalised head.

    Raises:
        MissingError, DependencyError, InputError: as `build_model`, `build_library_model` and `load_factory`.
    """
    if library_of(name):
        return build_library_model(name, n_classes, size)
    if ":" in name:
        return load_factory(name, n_classes)
    return build_model(name, n_classes, normalised_head=normalised_head, scale=scale)


def build_model(
    name: str, n_classes: int, *, in_channels: int = 3, normalised_head: bool = False, scale: float = 30.0
) -> nn.Module:
    """Build a network with fresh weights, drawn from torch's global random state.

    Args:
        name: one of `model_names()`.
        n_classes: C; 1 is one output for two classes, the logit of the second.
        in_channels: channels of the images.
        normalised_head: end in cosines between features and class directions times `scale` (see `NormedLinear`)
            instead of a plain `nn.Linear`. LDAM is defined for that.
        scale: largest logit of a normalised head.

    Returns:
        A module that maps (N, in_channels, H, W) to logits (N, C); its last layer is called `head`, and what enters
        the head are the features (N, D).

    Raises:
        MissingError: no network of that name.
        InputError: no classes, no channels, or a scale that is not positive.

    Example:
        >>> model = build_model("resnet32", 10)
        >>> sum(p.numel() for p in model.parameters())
        464154
    """
    entry = MODELS.find(name)
    for argument, value, least in (("n_classes", n_classes, 1), ("in_channels", in_channels, 1)):
        if value < least:
            raise InputError(f"{argument} is {value}.", hint=f"It must be at least {least}.")
    if not scale > 0:
        raise InputError(f"scale is {scale}.", hint="It must be positive; 30 is usual.")
    maker = getattr(import_module(entry.module), entry.maker)
    model: nn.Module = maker(
        n_classes, in_channels=in_channels, scale=scale if normalised_head else None, **entry.options
    )
    return model
