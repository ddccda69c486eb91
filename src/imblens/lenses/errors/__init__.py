"""Which test instances are misclassified?"""

from imblens.lenses.errors.listed import Listed, listed_errors
from imblens.lenses.errors.measure import errors, near_classes

__all__ = ["Listed", "errors", "listed_errors", "near_classes"]
