"""EOS sampling: against one instance at a time, with the neighbours known to both; and whole, against the script's way.

The loop is the plain way to write the algorithm: chances for every base, a weighted draw for every sample. The whole
row adds finding neighbours: ours by `neighbour_graph`, theirs by scikit-learn's NearestNeighbors.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from imblens.run import neighbour_graph
from imblens.treatments import EOS
from imblens.treatments._draw import draw_eos, interpolate

COUNTS = (5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50)  # CIFAR-10, exponential 100:1
DIM = 64
K = 10
REPEATS = 7
N_LOOP = 8  # the loop draws one in eight of the samples and is scaled up


def rows() -> list[dict[str, Any]]:
    """Return one row per comparison: the fastest of some runs."""
    features, labels = blobs()
    neighbours = neighbour_graph(features, K).indices
    wanted = {label: COUNTS[0] - count for label, count in enumerate(COUNTS) if count < COUNTS[0]}
    fewer = {label: count // N_LOOP for label, count in wanted.items()}

    def ours() -> None:
        interpolate(features, draw_eos(features, labels, neighbours, wanted, 0))

    def loop() -> None:
        eos_loop(features, labels, neighbours, fewer)

    def whole() -> None:
        EOS(K, random_state=0).fit_resample(features, labels)

    def search() -> None:
        NearestNeighbors(n_neighbors=K + 1).fit(features).kneighbors(features)

    mine = min(in_turns([ours], 20)[0] for _ in range(3))  # milliseconds: only runs in a row measure it
    slow, all_of_it, search_s = in_turns([loop, whole, search])
    slow *= N_LOOP
    size = f"{len(labels):,} x {DIM}, {sum(wanted.values()):,} samples, K = {K}"
    return [
        _row("EOS sampling", size, mine, "one instance at a time", slow, ">= 80"),
        _row("EOS, neighbours included", size, all_of_it, "scikit-learn and the loop", slow + search_s, "-"),
    ]


def blobs(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Overlapping normal classes, as unequal as CIFAR-10's exponential cut, in the order of nobody's labels."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(COUNTS)), COUNTS))
    middles = rng.normal(size=(len(COUNTS), DIM)).astype(np.float32)
    return (middles[labels] * 0.6 + rng.normal(size=(len(labels), DIM))).astype(np.float32), labels


def eos_loop(
    features: NDArray[Any], labels: NDArray[np.int64], neighbours: NDArray[np.int64], wanted: dict[int, int]
) -> NDArray[Any]:
    """Draw the samples one by one."""
    rng = np.random.default_rng(0)
    samples = []
    for label, n_samples in wanted.items():
        bases, chances = [], []
        for row in np.flatnonzero(labels == label):
            hostile = (labels[neighbours[row]] != label).astype(np.float64)
            if hostile.sum() > 0:
                bases.append(row)
                chances.append(hostile / hostile.sum())
        for _ in range(n_samples):
            which = rng.integers(len(bases))
            enemy = neighbours[bases[which]][rng.choice(len(chances[which]), p=chances[which])]
            samples.append(features[bases[which]] + rng.random() * (features[enemy] - features[bases[which]]))
    return np.array(samples)


def in_turns(functions: list[Callable[[], None]], repeats: int = REPEATS) -> list[float]:
    """Seconds of the fastest run of each, in turns so that all see the same machine; one round first to warm up."""
    taken: list[list[float]] = [[] for _ in functions]
    for round_number in range(repeats + 1):
        for function, found in zip(functions, taken, strict=True):
            start = time.perf_counter()
            function()
            if round_number:
                found.append(time.perf_counter() - start)
    return [min(found) for found in taken]


def _row(operation: str, size: str, ours_s: float, peer: str, peer_s: float, target: str) -> dict[str, Any]:
    return {
        "operation": operation,
        "size": size,
        "ours_s": ours_s,
        "peer": peer,
        "peer_s": peer_s,
        "ratio": peer_s / ours_s,
        "target": target,
    }


if __name__ == "__main__":
    for row in rows():
        print(row)
