"""What lenses and treatments read: splits of features, labels and logits with a head, in memory or on disk."""

from imblens.run._balanced import balanced_by
from imblens.run._class_order import permutation_note
from imblens.run._copies import copied_within, copies
from imblens.run._engine import ENGINES, connected, engine, tasks
from imblens.run._foreign import as_array
from imblens.run._groups import class_groups, group_effects, group_name
from imblens.run._head import Head
from imblens.run._inputs_name import inputs_name
from imblens.run._install import unwrapped
from imblens.run._merge import merge, shard_note
from imblens.run._neighbours import APPROXIMATE_ABOVE, NeighbourGraph, nearest, neighbour_graph
from imblens.run._part import GROUP, UNKNOWN, Part
from imblens.run._read import read_part
from imblens.run._run import Run, as_run, as_runs
from imblens.run._same_instances import common_rows, same_features
from imblens.run._split import PREVIEWS, Split
from imblens.run._table_source import is_table
from imblens.run._validation import class_names, features_matrix, labels_vector, legible, refuse_mixed_labels
from imblens.run._write import seal, staged, write_part
from imblens.run.statistics import (
    Batch,
    ClassMoments,
    ClassRange,
    Confusion,
    Moments,
    Range,
    Statistic,
    TopKCounts,
    confusion_summary,
    top_k_mask,
)

__all__ = [
    "APPROXIMATE_ABOVE",
    "ENGINES",
    "GROUP",
    "PREVIEWS",
    "UNKNOWN",
    "Batch",
    "ClassMoments",
    "ClassRange",
    "Confusion",
    "Head",
    "Moments",
    "NeighbourGraph",
    "Part",
    "Range",
    "Run",
    "Split",
    "Statistic",
    "TopKCounts",
    "as_array",
    "as_run",
    "as_runs",
    "balanced_by",
    "class_groups",
    "class_names",
    "common_rows",
    "confusion_summary",
    "connected",
    "copied_within",
    "copies",
    "engine",
    "features_matrix",
    "group_effects",
    "group_name",
    "inputs_name",
    "is_table",
    "labels_vector",
    "legible",
    "merge",
    "nearest",
    "neighbour_graph",
    "permutation_note",
    "read_part",
    "refuse_mixed_labels",
    "same_features",
    "seal",
    "shard_note",
    "staged",
    "tasks",
    "top_k_mask",
    "unwrapped",
    "write_part",
]
