"""The neighbour graph of a large run, kept in its folder so that every command finds it.

A run that a treatment made of it has the same training features, and so the same graph.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from os import fspath
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imblens.base.archives import open_arrays
from imblens.base.files import write_atomic
from imblens.base.remote import COPIES
from imblens.errors import ImblensError
from imblens.run._neighbours import Approximate, NeighbourGraph
from imblens.run._part import mapped_file
from imblens.run._split import Split

FILE = "neighbours.npz"
STORED_FROM = 50_000  # training instances; below, a search takes less than reading is worth
ROWS = 16  # of a file that are compared with what was mapped


class Home(NamedTuple):
    """The folder of a run, and what identifies the training features that were read from it."""

    folder: Path
    key: str


def neighbours_of(
    train: Split, k: int, approximate: Approximate, progress: Callable[[str], object] | None
) -> NeighbourGraph:
    """`Split.neighbours`; the graph of a large training split is read from the folder of its features, or kept there."""
    place = home(train) if len(train) >= STORED_FROM else None
    if place is None:
        return train.neighbours(k, approximate=approximate, progress=progress)
    known = train.searched
    if known is None or known.k < min(k, len(train) - 1):
        stored = _stored_graph(place, k)
        if stored is not None and (known is None or stored.k > known.k):
            train.use_neighbours(stored)
    before = train.searched
    found = train.neighbours(k, approximate=approximate, progress=progress)
    searched = train.searched
    if searched is not None and searched is not before:
        _keep_graph(place, searched)
    return found


def keep_graph_of(train: Split, folder: Path) -> None:
    """Keep the graph of a large training split, if it is known, in a run folder to which these features were written.

    The file beside the features is copied where there is one: of it, only the first columns may be in memory.
    """
    if len(train) < STORED_FROM:
        return
    source = home(train)
    copied = source is not None and source.folder.resolve() != folder.resolve() and _copy_graph(source.folder, folder)
    if not copied and train.searched is not None:
        _keep_graph(Home(folder, _features_key(folder)), train.searched)


def home(train: Split) -> Home | None:
    """The run folder whose training features these are, all of them and in their order; None of others.

    Another run may have been written to the folder since these features were mapped: then it is None too.
    """
    files = [mapped_file(part.features) for part in train.parts]
    if files[0] is None or len(files[0].parents) < 3:
        return None
    folder = files[0].parents[2]
    named = [folder / "train" / f"part-{number:05d}" / "features.npy" for number in range(len(files) + 1)]
    if files != named[:-1] or named[-1].exists():
        return None
    try:
        key = _features_key(folder)  # before rows are compared: what is written from here on has another one
        if not all(map(_unchanged, named, (part.features for part in train.parts))):
            return None
    except (OSError, ValueError, KeyError):  # the folder is gone, or being written
        return None
    return Home(folder, key)


def _unchanged(file: Path, mapped: NDArray[Any]) -> bool:
    """Whether a file still holds what was mapped, by its shape and some rows."""
    now = np.load(fspath(file), mmap_mode="r", allow_pickle=False)
    rows = np.linspace(0, len(mapped) - 1, min(len(mapped), ROWS)).astype(int)
    return now.shape == mapped.shape and np.array_equal(now[rows], mapped[rows])


def _stored_graph(place: Home, k: int) -> NeighbourGraph | None:
    """Return up to k neighbours of the graph that an earlier command kept in a run folder; None without one, or of other
    features."""
    try:
        with open_arrays(place.folder / FILE, mapped=True) as arrays:
            if str(arrays.read("key")) != place.key:
                return None
            indices, distances = arrays.columns("indices", k).astype(np.int64), arrays.columns("distances", k)
            recall = float(arrays.read("recall"))
    except Exception:  # none there, damaged or of a later edition: it is searched again
        return None
    return NeighbourGraph(indices, distances, bool(np.isnan(recall)), None if np.isnan(recall) else recall)


def _keep_graph(place: Home, graph: NeighbourGraph) -> None:
    """Keep a graph in a run folder, whole or not at all; not where that cannot be written to."""

    def put(file: BinaryIO) -> None:
        recall = np.nan if graph.recall is None else graph.recall
        small = graph.indices.astype(np.int32 if len(graph.indices) < 2**31 else np.int64)
        np.savez(file, key=place.key, indices=small, distances=graph.distances, recall=recall)

    with suppress(ImblensError, OSError):
        write_atomic(place.folder / FILE, put)
        COPIES.push(only=place.folder / FILE)


def _copy_graph(source: Path, folder: Path) -> bool:
    """Copy the graph that is kept in one run folder to another; False where there is none of the features there."""
    try:
        with np.load(source / FILE, allow_pickle=False) as arrays:
            if str(arrays["key"]) != _features_key(folder):
                return False
        with (source / FILE).open("rb") as kept:
            write_atomic(folder / FILE, lambda file: shutil.copyfileobj(kept, file))
        COPIES.push(only=folder / FILE)
    except Exception:  # none there, damaged, or no space: it is searched again
        return False
    return True


def _features_key(folder: Path) -> str:
    """What identifies the training features of a run: the SHA-256 of their files, as run.json records them."""
    files = json.loads((folder / "run.json").read_text(encoding="utf-8"))["files"]
    known = {name: facts["sha256"] for name, facts in files.items() if name.startswith("train/") and "features" in name}
    return sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
