"""Is the network over-confident on rare classes?"""

from imblens.lenses.calibration.measure import calibration as calibration
