"""Columns that a shard of a capture lacks because none of its images has a box, as one capture stores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from imblens.run._part import Part, readable
from imblens.run._run import Run

OF_BOXES = ("cam_iobb", "cam_ior", "cam_iou", "cam_pointing", "box_share", "view", "boxes", "cam")
NO_BOXES = "the images have no boxes."  # why a capture of such images has none of these columns
ONLY_TRAINING = "regions are counted on test images, and only training images have boxes."  # why it has no concepts


def missing_by_boxes(one: Run, other: Run) -> frozenset[str]:
    """The columns that only one of two shards may have: one compared maps with boxes where the other has no boxes."""
    stated = [run.meta.get("alignment") for run in (one, other)]
    if not all(isinstance(each, Mapping) for each in stated):
        return frozenset()
    splits = [None if each == {"skipped": NO_BOXES} else each.get("split", "") for each in stated if each is not None]
    return frozenset() if splits[0] == splits[1] or "" in splits else frozenset(OF_BOXES)


def alignment_of_all(shards: Sequence[Run]) -> Mapping[str, Any] | None:
    """What one capture of all shards states of maps and boxes: measured on test images wherever one of them has boxes."""
    stated = [run.meta["alignment"] for run in shards if isinstance(run.meta.get("alignment"), Mapping)]
    rank = {"test": 2, "train": 1}
    return max(stated, key=lambda one: (rank.get(one.get("split"), 0), one.get("map_size") is not None), default=None)


def types_of_all(shards: Sequence[Run], name: str) -> dict[str, Any]:
    """The columns of a split of the merged run, and their types in Arrow."""
    fullest = max((shard.splits[name] for shard in shards), key=lambda split: len(split.columns))
    measured = {(shard.meta.get("alignment") or {}).get("split") for shard in shards} - {None}
    whole = (alignment_of_all(shards) or {}).get("split")
    dropped = OF_BOXES if name in measured and name != whole else ()
    path = fullest.parts[0].table_path
    with readable(path):
        schema = pq.read_schema(path)
    return {column: schema.field(column).type for column in fullest.columns if column not in dropped}


def completed(table: pa.Table, types: Mapping[str, Any]) -> pa.Table:
    """Those columns of a table, in their order, with missing values where it lacks one."""
    known = set(table.column_names)
    return pa.table({name: table[name] if name in known else _missing(of, len(table)) for name, of in types.items()})


def fitted(part: Part, types: Mapping[str, Any]) -> Part:
    """A part with those columns; itself where it has them."""
    known = set(part.columns())
    if set(types) <= known and not (known - set(types)) & set(OF_BOXES):
        return part
    with readable(part.table_path):
        table = pq.read_table(part.table_path, columns=[name for name in types if name in known])
    return Part(part.features, part.labels, part.logits, completed(table, types).to_pandas())


def _missing(of: Any, n: int) -> Any:
    """N missing values: NaN in lists of one length, which are read as a matrix."""
    if pa.types.is_fixed_size_list(of) and pa.types.is_floating(of.value_type):
        nothing = np.full(n * of.list_size, np.nan, of.value_type.to_pandas_dtype())
        return pa.FixedSizeListArray.from_arrays(pa.array(nothing), of.list_size)
    return pa.nulls(n, of)
