"""The neighbour graph of a large run, kept in its folder so that every command finds it."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import numpy as np

from imblens.base.files import write_atomic
from imblens.base.remote import COPIES
from imblens.errors import ImblensError
from imblens.run._neighbours import NeighbourGraph

FILE = "neighbours.npz"
STORED_FROM = 50_000  # training instances; below, a search takes less than reading is worth


def stored_graph(folder: Path) -> NeighbourGraph | None:
    """Return the graph that an earlier command kept in a run folder; None without one, or of other features."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as arrays:
            if str(arrays["key"]) != _key(folder):
                return None
            indices, distances = arrays["indices"].astype(np.int64), arrays["distances"]
            recall = float(arrays["recall"])
    except Exception:  # none there, damaged or of a later edition: it is searched again
        return None
    return NeighbourGraph(indices, distances, bool(np.isnan(recall)), None if np.isnan(recall) else recall)


def keep_graph(folder: Path, graph: NeighbourGraph) -> bool:
    """Keep a graph in a run folder, whole or not at all; False where that cannot be written to."""

    def put(file: BinaryIO) -> None:
        recall = np.nan if graph.recall is None else graph.recall
        small = graph.indices.astype(np.int32 if len(graph.indices) < 2**31 else np.int64)
        np.savez(file, key=_key(folder), indices=small, distances=graph.distances, recall=recall)

    try:
        write_atomic(folder / FILE, put)
        COPIES.push(only=folder / FILE)
    except (ImblensError, OSError):
        return False
    return True


def _key(folder: Path) -> str:
    """What identifies the training features of a run: the SHA-256 of their files, as run.json records them."""
    files = json.loads((folder / "run.json").read_text(encoding="utf-8"))["files"]
    known = {name: facts["sha256"] for name, facts in files.items() if name.startswith("train/") and "features" in name}
    return sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
