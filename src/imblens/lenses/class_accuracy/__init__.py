"""How accurate is each class?"""

from imblens.lenses.class_accuracy.measure import class_accuracy

__all__ = ["class_accuracy"]
