"""Does the network look inside the boxes?"""

from imblens.lenses.alignment.measure import alignment as alignment
