"""Archetypes, the adversary matrix and feature density: against plain loops, with the neighbours known to both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed._measure import in_turns, row
from imblens.lenses.adversaries import neighbour_forecast
from imblens.lenses.archetypes import instance_archetypes
from imblens.run import NeighbourGraph, Run, TopKCounts

COUNTS = (5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50)  # CIFAR-10, exponential 100:1
TOP = 10
ROUNDS = 30


def rows() -> list[dict[str, Any]]:
    """Return one row per comparison."""
    return [*of_neighbours(), *of_features(64), *of_features(512)]


def of_neighbours() -> list[dict[str, Any]]:
    """Archetypes and adversary matrix."""
    run = made(64)
    labels, wrong = run.train.labels, ~run.train.correct
    graph = run.neighbours(5)
    near, unused = graph.indices, [forgetful(run, graph) for _ in range(ROUNDS + 2)]

    def codes() -> NDArray[np.int8]:
        return instance_archetypes(unused.pop(), 5)  # a run keeps what was computed

    def codes_loop() -> NDArray[np.int8]:
        found = np.empty(len(labels), np.int8)
        for i, row_of in enumerate(near):
            same = sum(labels[row_of] == labels[i])
            found[i] = 0 if same >= 4 else 1 if same >= 2 else 2 if same == 1 else 3
        return found

    def matrix() -> NDArray[np.int64]:
        return neighbour_forecast(run, 5).counts.toarray()

    def matrix_loop() -> NDArray[np.int64]:
        counts = np.zeros((len(COUNTS), len(COUNTS)), np.int64)
        enough = [np.count_nonzero(wrong & (labels == c)) >= 10 for c in range(len(COUNTS))]
        for i in range(len(labels)):
            if wrong[i] or not enough[labels[i]]:
                for j in near[i]:
                    if labels[j] != labels[i]:
                        counts[labels[i], labels[j]] += 1
        return counts

    assert np.array_equal(codes(), codes_loop())
    assert np.array_equal(matrix(), matrix_loop())
    size = f"{len(labels):,} x 64"
    mine, loop, forecast, forecast_loop = in_turns([codes, codes_loop, matrix, matrix_loop], ROUNDS)
    return [
        row("archetypes, graph given", size, mine, "loop over instances", loop, ">= 80"),
        row("adversary matrix, graph given", size, forecast, "loop over instances", forecast_loop, ">= 8"),
    ]


def of_features(dim: int) -> list[dict[str, Any]]:
    """Feature density of all classes."""
    run = made(dim)
    features, labels = run.train.features, run.train.labels
    wide = features.astype(np.float64)
    strongest = [np.argsort(-wide[labels == c].mean(axis=0), kind="stable")[:TOP] for c in range(len(COUNTS))]

    def ours() -> NDArray[np.int64]:
        return run.train.reduce(lambda: TopKCounts(len(COUNTS), dim, TOP))

    def loop() -> NDArray[np.int64]:
        counts = np.zeros((len(COUNTS), dim), np.int64)
        for values, label in zip(wide, labels, strict=True):
            for feature in np.argsort(-values, kind="stable")[:TOP]:
                counts[label, feature] += 1
        return counts

    def a_reference_at_a_time() -> NDArray[np.int64]:
        found = np.zeros((len(COUNTS), len(COUNTS), TOP), np.int64)
        for reference, of_reference in enumerate(strongest):
            for other in range(len(COUNTS)):
                top = np.argsort(wide[labels == other], axis=1)[:, ::-1][:, :TOP]
                for place, feature in enumerate(of_reference):
                    found[reference, other, place] = np.where(top == feature, 1, 0).flatten().sum()
        return found

    counts = ours()
    assert np.array_equal(counts, loop())
    size = f"{len(labels):,} x {dim}"
    mine, slow, slower = in_turns([ours, loop, a_reference_at_a_time], 5)
    return [
        row("feature density, all classes", size, mine, "loop over instances", slow, "-"),
        row(
            "feature density, all classes",
            size,
            mine,
            "one class after another, as the paper's code",
            slower,
            ">= 15" if dim == 64 else ">= 80",
        ),
    ]


def forgetful(run: Run, graph: NeighbourGraph) -> Run:
    """The run with its neighbours, and nothing else computed."""
    copied = replace(run, train=replace(run.train))
    copied.train.use_neighbours(graph)
    return copied


def made(dim: int) -> Run:
    """Overlapping normal classes and a head of their means: features without ties."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(COUNTS)), COUNTS))
    middles = rng.normal(size=(len(COUNTS), dim)) * 0.4
    features = (middles[labels] + rng.normal(size=(len(labels), dim))).astype(np.float32)
    return Run.from_arrays(train=(features, labels), head=(middles, -(middles**2).sum(axis=1) / 2))
