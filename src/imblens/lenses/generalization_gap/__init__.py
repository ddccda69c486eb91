"""Do training features cover test features?"""

from imblens.lenses.generalization_gap.measure import generalization_gap

__all__ = ["generalization_gap"]
