"""Expansive over-sampling one instance at a time, as the paper's Algorithm 2 reads: slow, and independent of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def eos_loop(
    features: NDArray[Any],
    labels: NDArray[np.int64],
    neighbours: NDArray[np.int64],
    wanted: dict[int, int],
    rng: np.random.Generator,
    *,
    released: bool = False,
) -> list[tuple[int, int, int, float, NDArray[Any]]]:
    """Return (class, base, enemy, r, sample) of every synthetic instance.

    With `released`, the drawn place is looked up in a list that begins with the instance itself.
    """
    found = []
    n_neighbours = neighbours.shape[1]
    for label, n_samples in wanted.items():
        bases, chances = [], []
        for row in range(len(labels)):
            if labels[row] != label:
                continue
            enemy_here = [float(labels[other] != label) for other in neighbours[row]]
            if sum(enemy_here) > 0:
                bases.append(row)
                chances.append([value / sum(enemy_here) for value in enemy_here])
        for _ in range(n_samples):
            which = int(rng.choice(len(bases)))
            place = int(rng.choice(n_neighbours, p=chances[which]))
            listed = [bases[which], *neighbours[bases[which]]] if released else list(neighbours[bases[which]])
            enemy = int(listed[place])
            r = float(rng.random())
            sample = features[bases[which]] + r * (features[enemy] - features[bases[which]])
            found.append((label, bases[which], enemy, r, sample))
    return found
