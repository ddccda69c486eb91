"""Is the classifier biased towards frequent classes?"""

from imblens.lenses.weight_norms.measure import weight_norms as weight_norms
