"""Offsets, tiny scales, constant columns and 100,000 instances against exact sums."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from imblens.lenses import adversaries, archetypes, calibration, generalization_gap, label_suspects
from imblens.run import ClassMoments, Run
from tests.oracles.class_lenses_loop import fisher

RNG = np.random.default_rng(3)
LABELS = np.repeat([0, 1, 2], (40, 25, 12))
OF_TEST = np.repeat([0, 1, 2], 12)
CENTRES = RNG.normal(size=(3, 5)) * 2
# Sixteenths below 8: an offset of 2^20 is exact in float32, too.
FEATURES, TEST = (
    np.clip(np.round((CENTRES[of] + RNG.normal(size=(len(of), 5))) * 16) / 16, -8, 8) for of in (LABELS, OF_TEST)
)


def run_of(change=lambda rows: rows):
    logits = [-((rows[:, None] - CENTRES) ** 2).sum(2) for rows in (FEATURES, TEST)]
    return Run.from_arrays(train=(change(FEATURES), LABELS, logits[0]), test=(change(TEST), OF_TEST, logits[1]))


@pytest.mark.parametrize("offset", [2.0**20, -(2.0**20), np.array([2.0**20, 0, 0, -(2.0**18), 3.0])])
@pytest.mark.parametrize("lens", [archetypes, adversaries, generalization_gap, label_suspects])
def test_an_offset_changes_no_distance(lens, offset):
    # Rows are stored as float32 after their centre was subtracted.
    one, two = lens(run_of()), lens(run_of(lambda rows: rows + offset))
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(table, two.tables[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("power", [-20, -40])
@pytest.mark.parametrize("lens", [archetypes, adversaries, label_suspects])
def test_a_tiny_scale_changes_no_rank(lens, power):
    one, two = lens(run_of()), lens(run_of(lambda rows: np.ldexp(rows, power)))
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(table, two.tables[name], rtol=1e-9)


def exact_moments(values):
    """Mean and population variance with fractions: no rounding but the last."""
    known = [Fraction(float(v)) for v in values]
    mean = sum(known) / len(known)
    return float(mean), float(sum((v - mean) ** 2 for v in known) / len(known))


@pytest.mark.parametrize(
    "column",
    [
        RNG.normal(size=3000) + 1e6,
        RNG.normal(size=3000) * 1e-12,
        RNG.normal(size=3000) * 1e-12 + 1e-3,
        np.where(RNG.random(3000) < 0.5, np.float32(0.1), np.nextafter(np.float32(0.1), np.float32(1))),
        np.full(3000, 1 / 3),
    ],
    ids=["offset", "tiny", "tiny with an offset", "constant up to rounding", "constant"],
)
def test_moments_are_exact(column):
    labels = np.arange(3000) % 3
    rows = column.astype(np.float32)[:, None]
    split = Run.from_arrays(train=(rows, labels)).train
    found = split.reduce(lambda: ClassMoments(3, 1))
    for label in range(3):
        mean, variance = exact_moments(rows[labels == label, 0])
        assert found.mean[label, 0] == pytest.approx(mean, rel=1e-14)
        assert found.variance[label, 0] == pytest.approx(variance, rel=1e-12, abs=0)


def test_100_000_instances_are_summed_exactly():
    labels = np.arange(100_000) % 3
    rows = (RNG.normal(size=(100_000, 2)) + 1e6).astype(np.float32)
    found = Run.from_arrays(train=(rows, labels)).train.reduce(lambda: ClassMoments(3, 2))
    wide = rows.astype(float)
    for label in range(3):
        for d in range(2):
            values = wide[labels == label, d]
            mean = math.fsum(values) / len(values)
            assert found.mean[label, d] == pytest.approx(mean, rel=1e-14)
            assert found.variance[label, d] == pytest.approx(math.fsum((values - mean) ** 2) / len(values), rel=1e-11)


def test_the_calibration_error_of_100_000_instances():
    labels = np.arange(100_000) % 3
    logits = RNG.normal(size=(100_000, 3)) + np.eye(3)[labels]
    one = np.zeros((3, 1))
    split = (np.zeros((100_000, 1)) + labels[:, None], labels, logits.astype(np.float32).astype(float))
    found = calibration(Run.from_arrays(train=(one, [0, 1, 2]), test=split)).summary["ece"]
    logits = split[2] - split[2].max(1, keepdims=True)
    confidence = 1 / np.exp(logits).sum(1)
    bins = np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14)
    right = logits.argmax(1) == labels
    expected = math.fsum(abs(math.fsum(confidence[bins == b] - right[bins == b])) for b in range(15)) / len(labels)
    assert found == pytest.approx(expected, rel=1e-6)


def test_fisher_on_columns_that_are_constant_up_to_rounding():
    noisy = np.where(RNG.random((77, 2)) < 0.5, np.float32(0.1), np.nextafter(np.float32(0.1), np.float32(1)))
    rows = np.hstack([FEATURES, noisy]).astype(np.float32)
    found = adversaries(Run.from_arrays(train=(rows, LABELS), test=(rows, LABELS))).tables["adversaries"]
    of_first = found[(found["class"] == found["class"].iloc[0])].set_index("adversary")["fisher"].dropna()
    ratios = {str(k): fisher(rows, LABELS, 0, k) for k in (1, 2)}
    total = sum(ratios.values())
    for name, share in of_first.items():
        assert share == pytest.approx(ratios[str(name).removeprefix("class ")] / total, rel=1e-9)
