"""Label suspects, errors and predictions in the formats of annotation tools and viewers of data sets."""

from imblens.exports._export import Export as Export
from imblens.exports._export import export as export
from imblens.exports._export import exports as exports
from imblens.exports._export import find_export as find_export
