"""Network and data -> run: features, logits, the colours an answer hangs on. The only room that touches a network.

The room and its main function share a name. Whichever of `imblens.capture` (the function, loaded on first use) and
`from imblens.capture import capture` (which makes Python set `imblens.capture` to this module) came first,
`imblens.capture(...)` must work. So this module can be called: a module's class may be replaced by a subclass that
has `__call__`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from imblens.capture._alignment import Alignment
from imblens.capture._bands import BANDS, band_of
from imblens.capture._capture import capture
from imblens.capture._colours import Colours
from imblens.capture._concepts import Concepts
from imblens.capture._histogram import ChannelHistogram
from imblens.capture._probes import Probe, Seen

__all__ = ["BANDS", "Alignment", "ChannelHistogram", "Colours", "Concepts", "Probe", "Seen", "band_of", "capture"]


class _CallableRoom(ModuleType):
    """This module; calling it calls `capture`."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return capture(*args, **options)


sys.modules[__name__].__class__ = _CallableRoom
