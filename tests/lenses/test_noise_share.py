"""The share of wrong labels by likelihood, against a general optimiser, and how often its interval holds the share."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import poisson

from imblens.lenses.diagnosis.noise_share import share_with_interval

N, M = 800, 300
BASE = np.array([0.03, 0.02, 0.0, 0.05, 0.01])
SOURCE = np.array([[0.0, 0.1, 0.7, 0.1, 0.1]])


def test_the_most_likely_share_is_that_of_a_general_optimiser() -> None:
    trained, held = np.array([18, 14, 31, 34, 9]), np.array([9, 6, 1, 15, 3])

    def less_likely(values: np.ndarray) -> float:
        share, factor, base = values[0], values[1], values[2:]
        expected = N * (factor * base + share * SOURCE[0])
        return -float(poisson.logpmf(trained, expected).sum() + poisson.logpmf(held, M * base).sum())

    start = np.array([0.05, 0.9, *(held + 0.5) / M])
    found = minimize(less_likely, start, bounds=[(0, 1), (0.01, 1), *[(1e-9, 1)] * 5], options={"ftol": 1e-14})
    share, low, high = share_with_interval(trained, held, SOURCE, N, M)
    assert share == pytest.approx(found.x[0], abs=2e-3) and low < share < high


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_the_interval_holds_the_share_nearly_always(share: float) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        trained = rng.poisson(N * ((1 - share) * BASE + share * SOURCE[0]))
        found, low, high = share_with_interval(trained, rng.poisson(M * BASE), SOURCE, N, M)
        assert 0 <= low <= found <= high <= 1
        covered += low <= share <= high
    assert covered >= 93


def test_few_held_out_instances_leave_the_interval_wide() -> None:
    trained = np.array([24, 16, 28, 40, 8])
    widths = []
    for m in (60, 600, 6000):
        _, low, high = share_with_interval(trained, np.round(m * BASE).astype(int), SOURCE, N, m)
        widths.append(high - low)
    assert widths[0] > widths[1] > widths[2] > 0
