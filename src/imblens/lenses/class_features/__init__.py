"""Does a class rely on few features?"""

from imblens.lenses.class_features.compare import compare_class_features as compare_class_features
from imblens.lenses.class_features.measure import class_features as class_features
from imblens.lenses.class_features.measure import rarefied as rarefied
