"""Which colours drive predictions?"""

from imblens.lenses.colours.measure import colours as colours
from imblens.lenses.colours.standing_out import standing_out as standing_out
