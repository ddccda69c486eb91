"""Which features represent each class, and which classes share them?"""

from imblens.lenses.feature_overlap.measure import feature_overlap as feature_overlap
