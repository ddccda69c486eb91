"""Multinomial regression on many features: one copy in memory, and the same minimum in float32."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from imblens.base import blocks, logistic


def drawn(n: int, dim: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_classes, n)
    means = rng.normal(size=(n_classes, dim))
    return (3 * means[labels] + 5 * rng.normal(size=(n, dim)) + 7).astype(np.float32), labels


@pytest.mark.parametrize("wide", [2**30, 0])
def test_the_features_are_held_once(monkeypatch: pytest.MonkeyPatch, wide: int) -> None:
    features, labels = drawn(20_000, 100, 2)
    monkeypatch.setattr(logistic, "WIDE", wide)
    monkeypatch.setattr(blocks, "BLOCK_NUMBERS", 2**16)
    logistic.fit_logistic(features[:50], labels[:50], 2, l2=0.5, iterations=1)  # imports
    tracemalloc.start()
    logistic.fit_logistic(features, labels, 2, l2=0.5, iterations=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    held = features.nbytes * (2 if wide else 1)
    assert held < peak < 1.3 * held


def test_many_features_are_held_in_float32_with_the_same_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = drawn(400, 12, 4)
    weight, bias = logistic.fit_logistic(features, labels, 4, l2=0.5)
    monkeypatch.setattr(logistic, "WIDE", 0)
    assert logistic._scaled(features)[0].dtype == np.float32
    less, moved = logistic.fit_logistic(features, labels, 4, l2=0.5)
    assert not np.array_equal(weight, less)
    np.testing.assert_allclose(less, weight, atol=1e-4 * np.abs(weight).max())
    np.testing.assert_allclose(moved, bias, atol=1e-4 * np.abs(bias).max())
