"""Renumics Spotlight: one Parquet file with what is known, the image or the text, and the embedding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from imblens.exports._job import Job
from imblens.exports._parquet import blocks_of, features_of, write_blocks
from imblens.exports._select import names

TEXTS = ("id", "split", "class", "predicted", "adversary", "archetype", "suggested")


def write_spotlight(job: Job, out: Path) -> Path:
    """Write instances.parquet: the columns of `Audit.instances`, suggested, image or text, and embedding (D numbers).

    Class names of a multi-label run are joined by commas. An image is the PNG of the stored thumbnail, a path or an address.

    References:
        Renumics Spotlight, data loading: Parquet; dtypes Image, Embedding.
    """
    return write_blocks(out / "instances.parquet", _blocks(job))


def _blocks(job: Job) -> Iterator[dict[str, Any]]:
    start = 0
    for block in blocks_of(job.table, job.run.dim):
        found: dict[str, Any] = {
            name: pa.array([", ".join(names(value)) or None for value in block[name]], pa.string()) for name in TEXTS
        }
        found["correct"] = pa.array(block["correct"], pa.bool_(), from_pandas=True)
        for name in ("confidence", "suspect_score"):
            found[name] = pa.array(block[name].astype("float64"), pa.float64(), from_pandas=True)
        shown = job.media.shown[start : start + len(block)]
        if job.media.kind == "thumbnail":
            found["image"] = pa.array(shown, pa.binary())
        elif job.media.kind != "id":
            column = "image" if job.media.are_images else "text"
            found[column] = pa.array([None if value is None else str(value) for value in shown], pa.string())
        found["embedding"] = features_of(job.run, block)
        start += len(block)
        yield found
