"""EOS sampling: against one instance at a time, with the neighbours known to both; and whole, against the script's way.

The loop is the plain way to write the algorithm: chances for every base, a weighted draw for every sample. The whole
row adds finding neighbours: ours by `neighbour_graph`, theirs by scikit-learn's NearestNeighbors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from benchmarks.speed._measure import in_turns, row
from imblens.resampling import EOS, draw_eos, interpolate
from imblens.run import neighbour_graph

COUNTS = (5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50)  # CIFAR-10, exponential 100:1
DIM = 64
K = 10
REPEATS = 5
N_LOOP = 8  # the loop draws one in eight of the samples and is scaled up


def rows() -> list[dict[str, Any]]:
    """Return one row per comparison."""
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

    mine = in_turns([ours], 20)[0]  # milliseconds: runs in a row, else memory being handed out is what is measured
    slow, all_of_it, search_s = in_turns([loop, whole, search], REPEATS)
    slow = slow * N_LOOP
    size = f"{len(labels):,} x {DIM}, {sum(wanted.values()):,} samples, K = {K}"
    return [
        row("EOS sampling", size, mine, "one instance at a time", slow, ">= 80"),
        row("EOS, neighbours included", size, all_of_it, "scikit-learn and the loop", slow + search_s, "-"),
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
        for member in np.flatnonzero(labels == label):
            hostile = (labels[neighbours[member]] != label).astype(np.float64)
            if hostile.sum() > 0:
                bases.append(member)
                chances.append(hostile / hostile.sum())
        for _ in range(n_samples):
            which = rng.integers(len(bases))
            enemy = neighbours[bases[which]][rng.choice(len(chances[which]), p=chances[which])]
            samples.append(features[bases[which]] + rng.random() * (features[enemy] - features[bases[which]]))
    return np.array(samples)
