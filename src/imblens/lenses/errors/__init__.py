"""Which test instances are misclassified?"""

from imblens.lenses.errors.listed import Listed as Listed
from imblens.lenses.errors.listed import listed_errors as listed_errors
from imblens.lenses.errors.measure import errors as errors
from imblens.lenses.errors.measure import near_classes as near_classes
