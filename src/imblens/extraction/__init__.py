"""Network and data -> run: features, logits and what probes measure. The only room that touches a network.

Its main function is public as `imblens.capture`.
"""

from imblens.extraction._alignment import Alignment
from imblens.extraction._bands import BANDS, band_of
from imblens.extraction._capture import capture
from imblens.extraction._colours import Colours
from imblens.extraction._concepts import Concepts
from imblens.extraction._histogram import ChannelHistogram
from imblens.extraction._probes import Probe, Seen

__all__ = ["BANDS", "Alignment", "ChannelHistogram", "Colours", "Concepts", "Probe", "Seen", "band_of", "capture"]
