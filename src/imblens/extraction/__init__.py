"""Network and data -> run: features, logits and the columns of probes. The only room that runs a network.

Its main function is public as `imblens.capture`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imblens.base.lazy import lazy
from imblens.extraction._bands import BANDS as BANDS
from imblens.extraction._bands import band_of as band_of
from imblens.extraction._bands import cielab as cielab
from imblens.extraction._boxes import boxed as boxed
from imblens.extraction._boxes import mask_of as mask_of
from imblens.extraction._boxes import pixel_ranges as pixel_ranges
from imblens.extraction._histogram import ChannelHistogram as ChannelHistogram

if TYPE_CHECKING:
    from imblens.extraction._alignment import KEPT as KEPT
    from imblens.extraction._alignment import MEASURES as MEASURES
    from imblens.extraction._alignment import Alignment as Alignment
    from imblens.extraction._alignment import encoded as encoded
    from imblens.extraction._alignment import overlaps as overlaps
    from imblens.extraction._capture import capture as capture
    from imblens.extraction._colours import Colours as Colours
    from imblens.extraction._colours import band_columns as band_columns
    from imblens.extraction._colours import salient_pixels as salient_pixels
    from imblens.extraction._colours import top_pixels as top_pixels
    from imblens.extraction._complete import check_incomplete as check_incomplete
    from imblens.extraction._complete import complete as complete
    from imblens.extraction._complete import lacking as lacking
    from imblens.extraction._concepts import Concepts as Concepts
    from imblens.extraction._concepts import concepts_in_boxes as concepts_in_boxes
    from imblens.extraction._probes import Probe as Probe
    from imblens.extraction._probes import ProbeBatch as ProbeBatch
    from imblens.extraction._shortcuts import CUES as CUES
    from imblens.extraction._shortcuts import Shortcuts as Shortcuts
    from imblens.extraction._shortcuts import TrainingMeans as TrainingMeans
    from imblens.extraction._shortcuts import without as without

__getattr__ = lazy(
    __name__,
    {
        "._alignment": ("KEPT", "MEASURES", "Alignment", "encoded", "overlaps"),
        "._capture": ("capture",),
        "._colours": ("Colours", "band_columns", "salient_pixels", "top_pixels"),
        "._complete": ("check_incomplete", "complete", "lacking"),
        "._concepts": ("Concepts", "concepts_in_boxes"),
        "._probes": ("Probe", "ProbeBatch"),
        "._shortcuts": ("CUES", "Shortcuts", "TrainingMeans", "without"),
    },
)
