"""Why does each class fail, and what should be tried?"""

from imblens.lenses.diagnosis.advice import OWN_THRESHOLD as OWN_THRESHOLD
from imblens.lenses.diagnosis.causes import CAUSES as CAUSES
from imblens.lenses.diagnosis.causes import USUAL as USUAL
from imblens.lenses.diagnosis.causes import Cause as Cause
from imblens.lenses.diagnosis.causes import strengths as strengths
from imblens.lenses.diagnosis.labels import LABEL_CAUSES as LABEL_CAUSES
from imblens.lenses.diagnosis.measure import diagnosis as diagnosis
from imblens.lenses.diagnosis.measures import MEASURES as MEASURES
from imblens.lenses.diagnosis.measures import equal_error_rate as equal_error_rate
from imblens.lenses.diagnosis.text import NEAR_TIE as NEAR_TIE
from imblens.lenses.diagnosis.text import lines as lines
