"""How much could another head still gain?"""

from imblens.lenses.headroom.measure import headroom

__all__ = ["headroom"]
