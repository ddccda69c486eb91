"""Heads retrained on 50,000 x 64 features: seconds, against scikit-learn's SGDClassifier and the target of 10 s.

The peer is the nearest public one on the same features, epochs and penalty; it trains one class against the rest, one
row at a time, where ours takes minibatches of the softmax.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import SGDClassifier

from benchmarks.speed._measure import in_turns, row
from imblens.treatments import Recipe, train_head

N, DIM, N_CLASSES, EPOCHS = 50_000, 64, 10, 10
LIMIT_S = 10.0
REPEATS = 3


def rows() -> list[dict[str, Any]]:
    """Return one row per comparison; the times of a row were taken in turns."""
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
        row("head retrained", size, mine, "limit of 10 s", LIMIT_S, ">= 1"),
        row("head retrained", size, mine, "scikit-learn SGDClassifier", peer, "-"),
        row("head retrained, class-balanced", size, even, "limit of 10 s", LIMIT_S, ">= 1"),
    ]
