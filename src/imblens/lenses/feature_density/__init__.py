"""Which classes share the features that a class relies on?"""

from imblens.lenses.feature_density.measure import feature_density as feature_density
