"""What does a class lose without its border, its colour, its tint or its surroundings?"""

from imblens.lenses.shortcuts.measure import shortcuts
from imblens.lenses.shortcuts.relied_on import relied_on
from imblens.lenses.shortcuts.text import evidence

__all__ = ["evidence", "relied_on", "shortcuts"]
