"""Label suspects, errors and predictions in the formats of annotation tools and viewers of data sets."""

from imblens.exports._export import Export, export, exports, find_export

__all__ = ["Export", "export", "exports", "find_export"]
