"""Names of imblens.charts under which lenses still import them."""

from imblens import charts
from imblens.charts import *  # noqa: F403
from imblens.charts import table_chart as base

__all__ = ["base"]
__all__ += charts.__all__
