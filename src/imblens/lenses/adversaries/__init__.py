"""Which classes is each class confused with?"""

from imblens.lenses.adversaries.fisher import fisher_forecast as fisher_forecast
from imblens.lenses.adversaries.forecast import divergence as divergence
from imblens.lenses.adversaries.forecast import neighbour_forecast as neighbour_forecast
from imblens.lenses.adversaries.forecast import quasi_symmetric as quasi_symmetric
from imblens.lenses.adversaries.forecast import sampling_floor as sampling_floor
from imblens.lenses.adversaries.forecast import shares as shares
from imblens.lenses.adversaries.measure import adversaries as adversaries
