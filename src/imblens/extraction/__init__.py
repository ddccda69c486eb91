"""Network and data -> run: features, logits and the columns of probes. The only room that runs a network.

Its main function is public as `imblens.capture`.
"""

from imblens.extraction._alignment import KEPT, MEASURES, Alignment, encoded, overlaps
from imblens.extraction._bands import BANDS, band_of, cielab
from imblens.extraction._boxes import boxed, mask_of, pixel_ranges
from imblens.extraction._capture import capture
from imblens.extraction._colours import Colours, band_columns, salient_pixels, top_pixels
from imblens.extraction._concepts import Concepts, concepts_in_boxes
from imblens.extraction._histogram import ChannelHistogram
from imblens.extraction._probes import Probe, ProbeBatch
from imblens.extraction._shortcuts import CUES, Shortcuts, without

__all__ = [
    "BANDS",
    "CUES",
    "KEPT",
    "MEASURES",
    "Alignment",
    "ChannelHistogram",
    "Colours",
    "Concepts",
    "Probe",
    "ProbeBatch",
    "Shortcuts",
    "band_columns",
    "band_of",
    "boxed",
    "capture",
    "cielab",
    "concepts_in_boxes",
    "encoded",
    "mask_of",
    "overlaps",
    "pixel_ranges",
    "salient_pixels",
    "top_pixels",
    "without",
]
