"""Do training features cover test features?"""

from imblens.lenses.generalization_gap.measure import generalization_gap as generalization_gap
