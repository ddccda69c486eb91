"""Why does each class fail, and what should be tried?"""

from imblens.lenses.diagnosis.causes import CAUSES, MEASURES, Cause, equal_error_rate, two_clusters
from imblens.lenses.diagnosis.measure import diagnosis

__all__ = ["CAUSES", "MEASURES", "Cause", "diagnosis", "equal_error_rate", "two_clusters"]
