"""Heads retrained on 50,000 x 64 features: seconds, against scikit-learn's SGDClassifier and the target of 10 s.

The peer is the nearest public one on the same features, epochs and penalty; it trains one class against the rest, one
row at a time, where ours takes minibatches of the softmax.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from benchmarks.speed.eos import in_turns
from sklearn.linear_model import SGDClassifier

from imblens.treatments import Recipe, train_head

N, DIM, N_CLASSES, EPOCHS = 50_000, 64, 10, 10
LIMIT_S = 10.0
REPEATS = 3


def rows() -> list[dict[str, Any]]:
    """Return one row per comparison: the fastest of some runs, taken in turns."""
    rng = np.random.default_rng(0)
    labels = rng.integers(N_CLASSES, size=N)
    middles = rng.normal(size=(N_CLASSES, DIM))
    features = (0.6 * middles[labels] + rng.normal(size=(N, DIM))).astype(np.float32)

    def ours() -> None:
        train_head(features, labels, N_CLASSES)

    def balanced() -> None:
        train_head(features, labels, N_CLASSES, recipe=Recipe(balanced=True))

    def sgd() -> None:
        SGDClassifier(loss="log_loss", alpha=1e-3, max_iter=EPOCHS, tol=None, random_state=0).fit(features, labels)

    mine, even, peer = in_turns([ours, balanced, sgd], REPEATS)
    size = f"{N:,} x {DIM}, {N_CLASSES} classes, {EPOCHS} epochs"
    return [
        _row("head retrained", size, mine, "limit of 10 s", LIMIT_S, ">= 1"),
        _row("head retrained", size, mine, "scikit-learn SGDClassifier", peer, "-"),
        _row("head retrained, class-balanced", size, even, "limit of 10 s", LIMIT_S, ">= 1"),
    ]


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
