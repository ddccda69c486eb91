"""How much could another head still gain?"""

from imblens.lenses.headroom.measure import headroom as headroom
from imblens.lenses.headroom.text import NOTABLE as NOTABLE
