"""How many channels respond inside the boxes?"""

from imblens.lenses.concepts.measure import concepts as concepts
