"""Balancing a training split with synthetic images, before a network is trained. Importing this imports no torch.

Names that need torch are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from imblens.synthesis._base import Oversampler
from imblens.synthesis._generators import GENERATORS, class_gaussians
from imblens.synthesis._oversample import oversample_pixels
from imblens.synthesis._registry import find_oversampler, oversampler_descriptions, oversamplers, parse_options

if TYPE_CHECKING:
    from imblens.synthesis._fit import GameBatches, fit_game
    from imblens.synthesis._games import Autoencoder, ClassGame, ConvexGame
    from imblens.synthesis._networks import Canvas, Decoder, Encoder

_LAZY = {
    "Autoencoder": "_games",
    "Canvas": "_networks",
    "ClassGame": "_games",
    "ConvexGame": "_games",
    "Decoder": "_networks",
    "Encoder": "_networks",
    "GameBatches": "_fit",
    "fit_game": "_fit",
}
__all__ = [
    "GENERATORS",
    "Autoencoder",
    "Canvas",
    "ClassGame",
    "ConvexGame",
    "Decoder",
    "Encoder",
    "GameBatches",
    "Oversampler",
    "class_gaussians",
    "find_oversampler",
    "fit_game",
    "oversample_pixels",
    "oversampler_descriptions",
    "oversamplers",
    "parse_options",
]


def __getattr__(name: str) -> Any:
    """Load what needs torch."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"imblens.synthesis.{_LAZY[name]}"), name)
