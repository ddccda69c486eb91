"""How much could another head still gain?"""

from imblens.lenses.headroom.measure import headroom
from imblens.lenses.headroom.text import NOTABLE

__all__ = ["NOTABLE", "headroom"]
