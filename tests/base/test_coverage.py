"""A small version of `benchmarks.science.coverage`: intervals by group cover, intervals by instance do not."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.science.coverage import (
    auroc_cell,
    called_weak,
    change_cell,
    flagged_classes,
    macro_auroc_cell,
    mean_change_cell,
    recall_cell,
)
from benchmarks.science.coverage_ranking import cell


@pytest.mark.parametrize(("cell", "value"), [(recall_cell, 0.8), (change_cell, 0.5), (auroc_cell, 0.8)])
def test_intervals_by_group_cover(cell, value) -> None:
    rng = np.random.default_rng(11)
    cells = np.array([cell(rng, 150, n, kind, value, 0.3) for n in (5, 20) for kind in ("equal", "unequal")])
    by_group, by_instance = cells.mean(axis=0)
    assert by_group >= 0.93
    assert by_instance < 0.85


def test_intervals_of_means_cover_though_classes_share_instances_or_groups() -> None:
    for case in ((200, False, True), (20, True, True)):  # labels of an instance, labels of a group's instances
        reported, independent = mean_change_cell(np.random.default_rng(3), 50, *case, 0.9)
        assert reported >= 0.9
        assert independent < 0.75
    reported, _ = mean_change_cell(np.random.default_rng(3), 50, 20, True, False, 0.9)  # classes spread over groups
    assert reported >= 0.9
    for alike in (0.5, 0.9):  # six groups whose labels are ranked perfectly in many draws
        reported, _ = macro_auroc_cell(np.random.default_rng(3), 50, 6, alike)
        assert reported >= 0.92


@pytest.mark.parametrize(("n", "grouped", "kind"), [(10, True, 2), (20, True, 1), (100, False, 0)])
def test_intervals_of_changes_of_ranking_cover_with_few_groups_and_few_positives(n, grouped, kind) -> None:
    tally = cell(12, [5, n], n, grouped, 0.05, (0.95, 0.97), kind)
    for name in ("average precision", "change of AUROC", "change of average precision", "recall at the threshold"):
        assert np.mean([held for held, _ in tally[name]]) >= 0.9


def test_false_flags_are_as_rare_as_the_report_states() -> None:
    assert 20 * 0.025 * 0.4 < flagged_classes(2000) < 20 * 0.025 * 1.6
    assert called_weak(200) <= 0.05
