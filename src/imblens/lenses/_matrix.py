"""Names of imblens.charts under which lenses still import them."""

from imblens.charts import NUMBERED, error_chart, matrix_chart

__all__ = ["NUMBERED", "error_chart", "matrix_chart"]
