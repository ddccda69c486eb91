"""Norms of the head's rows: by hand, against SciPy, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from imblens.errors import NotApplicable
from imblens.lenses import weight_norms
from imblens.run import Run
from tests.lenses.made import TRAIN, make_run


def test_by_hand():
    weight = np.array([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]])
    run = Run.from_arrays(train=(np.eye(2)[[0, 0, 0, 1, 1, 0]], [0, 0, 0, 1, 1, 2]), head=(weight,))
    finding = weight_norms(run)
    assert finding.tables["weight_norms"]["norm"].tolist() == [5, 2, 1]
    assert finding.summary["largest_over_smallest"] == 5
    assert finding.summary["correlation_with_count"] == pytest.approx(1)
    assert "Largest weight norm: 0 (5.00), smallest: 2 (1.00)." in finding.sentence()


def test_against_scipy():
    run = make_run()
    finding = weight_norms(run)
    norms = [np.sqrt(sum(float(w) ** 2 for w in row)) for row in run.head.weight]
    np.testing.assert_allclose(finding.tables["weight_norms"]["norm"], norms)
    assert finding.summary["correlation_with_count"] == pytest.approx(spearmanr(TRAIN, norms).statistic)
    finding.charts()["weight_norms"].to_dict()


def test_what_has_no_answer_is_none():
    balanced = Run.from_arrays(train=(np.eye(3), [0, 1, 2]), head=(np.eye(3), np.zeros(3)))
    assert weight_norms(balanced).summary["correlation_with_count"] is None
    assert weight_norms(balanced).summary["largest_over_smallest"] == 1
    zero = Run.from_arrays(train=(np.eye(3), [0, 1, 1]), head=(np.diag([1.0, 2, 0]), np.zeros(3)))
    assert weight_norms(zero).summary["largest_over_smallest"] is None


def test_needs_a_head():
    with pytest.raises(NotApplicable, match="no head"):
        weight_norms(make_run(head=False))
