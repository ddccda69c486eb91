"""How accurate is each class?"""

from imblens.lenses.class_accuracy.measure import class_accuracy as class_accuracy
