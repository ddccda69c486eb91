"""Balancing a training split with synthetic images, before a network is trained. Importing this imports no torch."""

from imblens.synthesis._base import Oversampler
from imblens.synthesis._oversample import oversample_pixels
from imblens.synthesis._registry import find_oversampler, oversampler_descriptions, oversamplers, parse_options

__all__ = [
    "Oversampler",
    "find_oversampler",
    "oversample_pixels",
    "oversampler_descriptions",
    "oversamplers",
    "parse_options",
]
