"""Balancing a training split with synthetic images, before a network is trained. Importing this imports no torch.

Names that need torch are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imblens.base.lazy import lazy
from imblens.synthesis._base import Oversampler as Oversampler
from imblens.synthesis._generators import GENERATORS as GENERATORS
from imblens.synthesis._generators import class_gaussians as class_gaussians
from imblens.synthesis._memory import oversampling_memory as oversampling_memory
from imblens.synthesis._oversample import oversample_pixels as oversample_pixels
from imblens.synthesis._registry import find_oversampler as find_oversampler
from imblens.synthesis._registry import oversampler_descriptions as oversampler_descriptions
from imblens.synthesis._registry import oversamplers as oversamplers
from imblens.synthesis._registry import parse_options as parse_options

if TYPE_CHECKING:
    from imblens.synthesis._fit import GameBatches as GameBatches
    from imblens.synthesis._fit import fit_game as fit_game
    from imblens.synthesis._games import Autoencoder as Autoencoder
    from imblens.synthesis._games import ClassGame as ClassGame
    from imblens.synthesis._games import ConvexGame as ConvexGame
    from imblens.synthesis._networks import Canvas as Canvas
    from imblens.synthesis._networks import Decoder as Decoder
    from imblens.synthesis._networks import Encoder as Encoder

__getattr__ = lazy(
    __name__,
    {
        "._fit": ("GameBatches", "fit_game"),
        "._games": ("Autoencoder", "ClassGame", "ConvexGame"),
        "._networks": ("Canvas", "Decoder", "Encoder"),
    },
    extra="train",
)
