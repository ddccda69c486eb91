"""Whether two runs hold the same instances, and whether they see them with the same features and so the same neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.run._split import Split
from imblens.run._stored_graph import FILE, home, keep_graph_of


def same_features(first: Split, second: Split) -> bool:
    """Whether two splits hold the same features of the same instances, as a run and its treated run do."""
    if first.dim != second.dim or len(first) != len(second):
        return False
    if len(first.parts) == len(second.parts) and all(
        one.features is other.features for one, other in zip(first.parts, second.parts, strict=True)
    ):
        return True
    one, other = (split.parts[0].features[:1] for split in (first, second))
    if one.shape == other.shape and not np.array_equal(one, other):
        return False  # seen without reading all
    places = [home(split) for split in (first, second)]
    if places[0] is not None and places[1] is not None and places[0].key == places[1].key:
        return True
    return bool(np.array_equal(first.features, second.features))


def share_graph(first: Split, second: Split) -> None:
    """Let a training split use the graph that was searched for another one of the same features, and keep it there too."""
    if first.searched is None or second.searched is not None or not same_features(first, second):
        return
    second.use_neighbours(first.searched)
    place = home(second)
    if place is not None and not (place.folder / FILE).exists():
        keep_graph_of(second, place.folder)


def common_rows(first: Split, second: Split) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Positions in both splits of the instances with one id; None where such a pair differs in its label."""
    where = {name: row for row, name in enumerate(second.ids.tolist())}
    pairs = [(row, where[name]) for row, name in enumerate(first.ids.tolist()) if name in where]
    if not pairs:
        return None
    mine, theirs = np.array(pairs).T
    if first.multilabel != second.multilabel or first.classes != second.classes:
        return None
    return (mine, theirs) if np.array_equal(first.labels[mine], second.labels[theirs]) else None
