"""Base, enemy and step of every synthetic instance of EOS, without a loop over instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imblens.base.wording import listed
from imblens.resampling._numeric import class_seeds
from imblens.run import nearest

Direction = Literal["toward", "away"]
Indexing = Literal["exact", "released"]
BLOCK = 1024  # samples computed at a time
NAMED = 10  # classes that a note names


@dataclass(frozen=True)
class Draw:
    """Where synthetic instances come from: sample = features[base] + r (features[enemy] - features[base]).

    Attributes:
        label: (n,) class of each sample, 0 to C - 1.
        base: (n,) row of the minority instance a sample starts from.
        enemy: (n,) row it is drawn toward.
        r: (n,) how far, in [0, 1).
        bases: instances that can serve as base, by over-sampled class.
        alone: over-sampled classes without an enemy among the neighbours.
    """

    label: NDArray[np.int64]
    base: NDArray[np.int64]
    enemy: NDArray[np.int64]
    r: NDArray[np.float64]
    bases: Mapping[int, int]
    alone: tuple[int, ...]


def draw_eos(
    features: NDArray[Any],
    labels: NDArray[np.int64],
    neighbours: NDArray[np.int64],
    wanted: Mapping[int, int],
    seed: int,
    indexing: Indexing = "exact",
) -> Draw:
    """Choose base, enemy and r of every synthetic instance; see `EOS`.

    Args:
        features: (N, D); read only for classes without an enemy among their neighbours.
        labels: (N,) 0 to C - 1.
        neighbours: (N, K) rows of the nearest other instances, nearest first.
        wanted: instances to draw, by class.
        seed: from which every class gets a stream of its own.
        indexing: "exact" or "released".
    """
    columns: list[tuple[NDArray[Any], ...]] = []
    bases: dict[int, int] = {}
    alone: list[int] = []
    streams = class_seeds(labels, seed)
    order, begins = np.argsort(labels, kind="stable"), np.concatenate([[0], np.cumsum(np.bincount(labels))])
    for label, n_wanted in wanted.items():
        if n_wanted == 0:
            continue
        members = order[begins[label] : begins[label + 1]]
        near = neighbours[members]  # (n_c, K)
        is_enemy = labels[near] != label
        n_enemies = np.count_nonzero(is_enemy, axis=1)  # (n_c,)
        if n_enemies.any():
            if indexing == "released":  # the place before the first neighbour is the instance itself
                near = np.concatenate([members[:, None], near[:, :-1]], axis=1)
            targets = near[is_enemy]  # every enemy, member by member
        else:
            alone.append(label)
            n_enemies = np.ones(len(members), dtype=np.int64)
            others = np.flatnonzero(labels != label)
            targets = others[
                nearest(features[others], features[members], 1)[0][:, 0]
            ]  # of each member the nearest enemy
        first = np.cumsum(n_enemies) - n_enemies  # where a member's enemies begin in targets
        usable = np.flatnonzero(n_enemies)
        u, v, r = np.random.default_rng(streams[label]).random((n_wanted, 3)).T
        chosen = usable[(u * len(usable)).astype(np.int64)]
        enemy = targets[first[chosen] + (v * n_enemies[chosen]).astype(np.int64)]
        columns.append((np.full(n_wanted, label), members[chosen], enemy, r))
        bases[label] = len(usable)
    if not columns:
        none = np.empty(0, dtype=np.int64)
        return Draw(none, none, none, np.empty(0), bases, ())
    drawn = [np.concatenate(column) for column in zip(*columns, strict=True)]
    return Draw(drawn[0], drawn[1], drawn[2], drawn[3], bases, tuple(alone))


def interpolate(features: NDArray[Any], draw: Draw, direction: Direction = "toward") -> NDArray[Any]:
    """Return the (n, D) synthetic features, in the features' dtype."""
    n, dim = len(draw.base), features.shape[1]
    synthetic = np.empty((n, dim), features.dtype)
    scratch = np.empty((min(n, BLOCK), dim), features.dtype)
    step = draw.r.astype(features.dtype)[:, None]
    if direction == "away":
        step = -step
    for low in range(0, n, BLOCK):  # blocks that stay in the cache: three times faster than whole arrays
        part = synthetic[low : low + BLOCK]
        start = scratch[: len(part)]
        np.take(features, draw.enemy[low : low + BLOCK], axis=0, out=part, mode="clip")
        np.take(features, draw.base[low : low + BLOCK], axis=0, out=start, mode="clip")
        part -= start
        part *= step[low : low + BLOCK]
        part += start
    return synthetic


def isolated_note(draw: Draw, names: Sequence[Any], labels: NDArray[np.int64], k: int) -> tuple[str, ...]:
    """Name the classes without an enemy among their neighbours; one sentence each, or one for all of many."""
    raise_k = "Raise k_neighbors, or (in Python) leave {} out of sampling_strategy."
    if len(draw.alone) > NAMED:
        return (
            f"EOS: {len(draw.alone):,} classes ({listed([names[label] for label in draw.alone], NAMED)}) have no enemy among "
            f"the {k} nearest neighbours of their instances, so each was paired with its nearest enemy beyond them. "
            f"{raise_k.format('these classes')}",
        )
    counts = np.bincount(labels)
    return tuple(
        f"EOS: class {names[label]!r} has no enemy among the {k} nearest neighbours of its "
        f"{counts[label]} instances, so each was paired with its nearest enemy beyond them. "
        f"{raise_k.format('the class')}"
        for label in draw.alone
    )
