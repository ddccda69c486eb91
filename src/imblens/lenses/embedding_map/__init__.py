"""Where are the instances and the errors? An embedding map (t-SNE)."""

from imblens.lenses.embedding_map.chart import CLASS_COLOURS as CLASS_COLOURS
from imblens.lenses.embedding_map.chart import map_chart as map_chart
from imblens.lenses.embedding_map.common import common_map as common_map
from imblens.lenses.embedding_map.common import map_panels as map_panels
from imblens.lenses.embedding_map.measure import embedding_map as embedding_map
from imblens.lenses.embedding_map.points import shown_class as shown_class
from imblens.lenses.embedding_map.points import thin as thin
