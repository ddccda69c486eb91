"""Prediction sets: by hand, against the definition, and coverage over many splits."""

from __future__ import annotations

import numpy as np
import pytest

from imblens.decisions import SET_METHODS, conformal_quantile, fit_sets, needed_for, set_coverage
from imblens.errors import InputError, MissingError, ShapeError
from tests.decisions.runs import head, sample

COUNTS = (400, 160, 80, 40)


def logits(features: np.ndarray) -> np.ndarray:
    weight, bias = head()
    return features @ weight.T + bias


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_the_quantile_is_the_order_statistic_of_the_definition() -> None:
    values = np.random.default_rng(0).permutation(37).astype(float)
    for coverage in (0.5, 0.8, 0.9, 0.95, 0.973):
        rank = next((k for k in range(1, 38) if k >= 38 * coverage - 1e-9), None)
        assert conformal_quantile(values, coverage) == (np.inf if rank is None else rank - 1)
    assert conformal_quantile(values, 0.99) == np.inf
    for coverage in (0.8, 0.9, 0.95, 0.99):
        n = needed_for(coverage)
        assert np.isfinite(conformal_quantile(np.zeros(n), coverage))
        assert np.isinf(conformal_quantile(np.zeros(n - 1), coverage))


def test_thresholds_are_those_of_the_formulas() -> None:
    features, y = sample(COUNTS, 1)
    z = logits(features)
    p = softmax(z)
    true = -p[np.arange(len(y)), y]
    pooled = np.sort(true)[int(np.ceil((len(y) + 1) * 0.9)) - 1]
    own = [np.sort(true[y == c])[int(np.ceil(((y == c).sum() + 1) * 0.9)) - 1] for c in range(4)]
    assert fit_sets(z, y, method="marginal").thresholds == pytest.approx(np.full(4, pooled))
    assert fit_sets(z, y, method="class").thresholds == pytest.approx(own)
    found = fit_sets(z, y, method="interpolated", tau=0.3).thresholds
    assert found == pytest.approx(0.3 * np.array(own) + 0.7 * pooled)
    prior = np.array([0.7, 0.2, 0.07, 0.03])
    rule = fit_sets(z, y, method="prevalence", prior=10 * prior)
    ratio = np.sort(p[np.arange(len(y)), y] / prior[y])[::-1]
    assert rule(z).tolist() == (p / prior >= ratio[int(np.ceil((len(y) + 1) * 0.9)) - 1] - 1e-12).tolist()


def test_a_class_without_enough_instances_is_in_every_set_and_named() -> None:
    features, y = sample((100, 50, 30, 5), 2)
    rule = fit_sets(logits(features), y, method="class", coverage=0.9)
    assert rule.too_few.tolist() == [False, False, False, True]
    assert rule(logits(features))[:, 3].all()
    table = set_coverage(rule, logits(features), y)
    assert table["guaranteed"].tolist() == [True, True, True, False] and table["coverage"][3] == 1


@pytest.mark.parametrize("method", SET_METHODS)
def test_coverage_is_as_promised_over_100_splits(method: str) -> None:
    overall, of_class = [], []
    for seed in range(100):
        features, y = sample(COUNTS, seed)
        z, half = logits(features), np.arange(len(y)) % 2 == 0
        rule = fit_sets(z[half], y[half], method=method, coverage=0.9, prior=np.array(COUNTS))
        sets = rule(z[~half])
        covered = sets[np.arange(len(sets)), y[~half]]
        overall.append(covered.mean())
        of_class.append([covered[y[~half] == c].mean() for c in range(4)])
    mean = np.mean(of_class, axis=0)
    if method in ("marginal", "prevalence"):
        assert 0.895 <= np.mean(overall) <= 0.915
    if method == "class":
        assert (mean >= 0.89).all() and (mean[:3] <= 0.93).all()
    if method == "interpolated":
        assert np.mean(overall) >= 0.85


def test_multi_label_sets_state_the_recall_of_each_label() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(60):
        y = (rng.random((1200, 3)) < [0.5, 0.3, 0.1]).astype(int)
        z = 2.0 * y - 1 + rng.normal(size=y.shape)
        rule = fit_sets(z[:600], y[:600], coverage=0.8)
        sets = rule(z[600:])
        found.append([sets[y[600:, c] == 1, c].mean() for c in range(3)])
    assert np.mean(found, axis=0) == pytest.approx([0.8] * 3, abs=0.03)


def test_bad_options_are_refused() -> None:
    z, y = np.zeros((6, 4)), np.arange(6) % 4
    with pytest.raises(MissingError, match="no kind of prediction set 'clas'"):
        fit_sets(z, y, method="clas")
    with pytest.raises(InputError, match="not between 0 and 1"):
        fit_sets(z, y, coverage=90)
    with pytest.raises(InputError, match="share of every class"):
        fit_sets(z, y, method="prevalence", prior=np.array([1, 1, 0, 1]))
    with pytest.raises(ShapeError, match="5 labels"):
        fit_sets(z, y[:5])
