"""Label suspects, errors and predictions in the formats of annotation tools and viewers of data sets."""

from imblens.exports._export import EXPORTS, Export, export, exports
from imblens.exports._select import WHAT

__all__ = ["EXPORTS", "WHAT", "Export", "export", "exports"]
