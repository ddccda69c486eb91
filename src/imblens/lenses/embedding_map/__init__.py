"""Where are the instances and the errors? An embedding map (t-SNE)."""

from imblens.lenses.embedding_map.chart import CLASS_COLOURS, map_chart
from imblens.lenses.embedding_map.common import common_map, map_panels
from imblens.lenses.embedding_map.measure import embedding_map
from imblens.lenses.embedding_map.points import shown_class, thin

__all__ = ["CLASS_COLOURS", "common_map", "embedding_map", "map_chart", "map_panels", "shown_class", "thin"]
