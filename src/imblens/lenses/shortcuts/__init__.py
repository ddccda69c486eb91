"""What does a class lose without its border, its colour, its tint or its surroundings?"""

from imblens.lenses.shortcuts.measure import shortcuts as shortcuts
from imblens.lenses.shortcuts.relied_on import judged_by as judged_by
from imblens.lenses.shortcuts.relied_on import relied_on as relied_on
from imblens.lenses.shortcuts.text import evidence as evidence
