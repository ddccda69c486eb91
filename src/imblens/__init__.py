"""imblens shows why a network fails on its rare classes, and fixes what can be fixed without training it again.

>>> import imblens
>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> run = imblens.Run.from_arrays(train=(rng.normal(size=(40, 4)), [0] * 30 + [1] * 10))
>>> sorted(imblens.audit(run, lenses=["archetypes"]).findings)
['archetypes']

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imblens.base.lazy import lazy
from imblens.base.versions import IMBLENS as __version__  # noqa: N811

if TYPE_CHECKING:
    from imblens.decisions import Decision as Decision
    from imblens.decisions import collect as collect
    from imblens.decisions import estimate as estimate
    from imblens.decisions import gate as gate
    from imblens.errors import ImblensError as ImblensError
    from imblens.exports import export as export
    from imblens.extraction import capture as capture
    from imblens.report import Audit as Audit
    from imblens.report import Comparison as Comparison
    from imblens.report import audit as audit
    from imblens.report import compare as compare
    from imblens.run import Run as Run
    from imblens.treatments import treat as treat

_HOME = {
    "imblens.decisions": ("Decision", "collect", "estimate", "gate"),
    "imblens.errors": ("ImblensError",),
    "imblens.exports": ("export",),
    "imblens.extraction": ("capture",),
    "imblens.report": ("Audit", "Comparison", "audit", "compare"),
    "imblens.run": ("Run",),
    "imblens.treatments": ("treat",),
}
__all__ = [*sorted(name for names in _HOME.values() for name in names), "__version__"]
__getattr__ = lazy(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
