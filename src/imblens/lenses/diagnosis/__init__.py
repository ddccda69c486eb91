"""Why does each class fail, and what should be tried?"""

from imblens.lenses.diagnosis.causes import CAUSES, Cause, strengths
from imblens.lenses.diagnosis.measure import diagnosis
from imblens.lenses.diagnosis.measures import MEASURES, equal_error_rate
from imblens.lenses.diagnosis.text import NEAR_TIE, lines

__all__ = ["CAUSES", "MEASURES", "NEAR_TIE", "Cause", "diagnosis", "equal_error_rate", "lines", "strengths"]
