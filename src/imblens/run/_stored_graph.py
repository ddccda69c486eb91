"""The neighbour graph of a large run, kept in its folder so that every command finds it.

A run that a treatment made of it has the same training features, and so the same graph.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import numpy as np

from imblens.base.files import write_atomic
from imblens.base.remote import COPIES
from imblens.errors import ImblensError
from imblens.run._neighbours import NeighbourGraph
from imblens.run._part import mapped_file
from imblens.run._split import Split

FILE = "neighbours.npz"
STORED_FROM = 50_000  # training instances; below, a search takes less than reading is worth


def neighbours_of(
    train: Split, k: int, approximate: bool | None, progress: Callable[[str], object] | None
) -> NeighbourGraph:
    """`Split.neighbours`; the graph of a large training split is read from the folder of its features, or kept there."""
    folder = home(train) if len(train) >= STORED_FROM else None
    if folder is None:
        return train.neighbours(k, approximate=approximate, progress=progress)
    if train.searched is None:
        stored = stored_graph(folder)
        if stored is not None:
            train.use_neighbours(stored)
    before = train.searched
    found = train.neighbours(k, approximate=approximate, progress=progress)
    searched = train.searched
    if searched is not None and searched is not before:
        keep_graph(folder, searched)
    return found


def keep_graph_of(train: Split, folder: Path) -> None:
    """Keep the graph of a large training split, if it is known, in a run folder to which these features were written."""
    if len(train) < STORED_FROM:
        return
    source = home(train)
    if train.searched is not None:
        keep_graph(folder, train.searched)
    elif source is not None and source.resolve() != folder.resolve():
        _copy_graph(source, folder)


def home(train: Split) -> Path | None:
    """The run folder whose training features these are, all of them and in their order; None of others."""
    files = [mapped_file(part.features) for part in train.parts]
    if files[0] is None or len(files[0].parents) < 3:
        return None
    folder = files[0].parents[2]
    named = [folder / "train" / f"part-{number:05d}" / "features.npy" for number in range(len(files) + 1)]
    whole = files == named[:-1] and not named[-1].exists() and (folder / "run.json").exists()
    return folder if whole else None


def stored_graph(folder: Path) -> NeighbourGraph | None:
    """Return the graph that an earlier command kept in a run folder; None without one, or of other features."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as arrays:
            if str(arrays["key"]) != features_key(folder):
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
        np.savez(file, key=features_key(folder), indices=small, distances=graph.distances, recall=recall)

    try:
        write_atomic(folder / FILE, put)
        COPIES.push(only=folder / FILE)
    except (ImblensError, OSError):
        return False
    return True


def _copy_graph(source: Path, folder: Path) -> None:
    """Copy the graph that is kept in one run folder to another, if it is that of the features there."""
    try:
        with np.load(source / FILE, allow_pickle=False) as arrays:
            if str(arrays["key"]) != features_key(folder):
                return
        with (source / FILE).open("rb") as kept:
            write_atomic(folder / FILE, lambda file: shutil.copyfileobj(kept, file))
    except Exception:  # none there, damaged, or no space: it is searched again
        return


def features_key(folder: Path) -> str:
    """What identifies the training features of a run: the SHA-256 of their files, as run.json records them."""
    files = json.loads((folder / "run.json").read_text(encoding="utf-8"))["files"]
    known = {name: facts["sha256"] for name, facts in files.items() if name.startswith("train/") and "features" in name}
    return sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
