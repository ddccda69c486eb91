"""Does a class rely on few features?"""

from imblens.lenses.class_features.compare import compare_class_features
from imblens.lenses.class_features.measure import class_features, rarefied

__all__ = ["class_features", "compare_class_features", "rarefied"]
