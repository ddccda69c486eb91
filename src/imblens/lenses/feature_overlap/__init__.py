"""Which features represent each class, and which classes share them?"""

from imblens.lenses.feature_overlap.measure import feature_overlap

__all__ = ["feature_overlap"]
