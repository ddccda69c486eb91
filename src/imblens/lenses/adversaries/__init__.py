"""Which classes is each class confused with?"""

from imblens.lenses.adversaries.fisher import fisher_forecast
from imblens.lenses.adversaries.forecast import (
    divergence,
    neighbour_forecast,
    quasi_symmetric,
    sampling_floor,
    shares,
)
from imblens.lenses.adversaries.measure import adversaries

__all__ = [
    "adversaries",
    "divergence",
    "fisher_forecast",
    "neighbour_forecast",
    "quasi_symmetric",
    "sampling_floor",
    "shares",
]
