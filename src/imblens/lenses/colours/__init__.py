"""Which colours drive predictions?"""

from imblens.lenses.colours.measure import colours
from imblens.lenses.colours.standing_out import standing_out

__all__ = ["colours", "standing_out"]
