"""The store between network and lenses: splits of features, labels and logits, in memory or on disk."""

from imblens.base.files import claim, release, sha256, write_atomic, write_text
from imblens.base.versions import versions
from imblens.run._check import legible
from imblens.run._copies import copies
from imblens.run._engine import ENGINES, engine
from imblens.run._neighbours import NeighbourGraph, nearest, neighbour_graph
from imblens.run._run import Head, Run
from imblens.run._split import Part, Split
from imblens.run._store import (
    finish,
    load,
    open_npz,
    read_member,
    read_part,
    save,
    seal,
    staged,
    write_into,
    write_part,
)
from imblens.run.statistics import (
    Batch,
    ClassMoments,
    ClassRange,
    Confusion,
    Moments,
    Range,
    Statistic,
    TopKCounts,
    top_k_mask,
)

__all__ = [
    "ENGINES",
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
    "claim",
    "copies",
    "engine",
    "finish",
    "legible",
    "load",
    "nearest",
    "neighbour_graph",
    "open_npz",
    "read_member",
    "read_part",
    "release",
    "save",
    "seal",
    "sha256",
    "staged",
    "top_k_mask",
    "versions",
    "write_atomic",
    "write_into",
    "write_part",
    "write_text",
]
