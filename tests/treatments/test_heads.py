"""crt, refit, tau_norm, lws, ncm, logit_adjustment, temperature: formulas on numbers, effects on runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import check_grad, minimize
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from imblens.errors import ImblensWarning, NotApplicable
from imblens.run import Run
from imblens.treatments import treat
from tests.treatments._runs import balanced_accuracy, blobs, blobs_run


def test_logit_adjustment_by_hand() -> None:
    run = blobs_run((80, 20), dim=2)
    better = treat(run, "logit_adjustment", tau=1.5)
    np.testing.assert_array_equal(better.head.weight, run.head.weight)
    np.testing.assert_allclose(better.head.bias - run.head.bias, -1.5 * np.log([0.8, 0.2]), rtol=1e-5)


def test_logit_adjustment_of_an_absent_class_is_reported() -> None:
    features, labels = blobs((40, 10))
    head = (np.ones((3, 6)), np.zeros(3))
    run = Run.from_arrays(train=(features, labels), head=head, classes=["a", "b", "c"])
    with pytest.warns(ImblensWarning, match="no training instance of c; adjusted as the rarest"):
        better = treat(run, "logit_adjustment", tau=1)
    np.testing.assert_allclose(better.head.bias, -np.log([0.8, 0.2, 0.2]), rtol=1e-5)


def test_adjusting_a_balanced_head_again_is_reported() -> None:
    better = treat(blobs_run(), "crt")
    with pytest.warns(ImblensWarning, match="crt has balanced this head already"):
        twice = treat(better, "logit_adjustment", tau=1)
    assert twice.meta["treatment"]["before"]["name"] == "crt"


def test_adjusting_a_head_that_is_balanced_by_statement_or_inference_is_reported() -> None:
    with pytest.warns(ImblensWarning, match="logit_adjustment: the head was stated to be balanced; adjusting"):
        treat(blobs_run(meta={"head_balanced": True}), "logit_adjustment", tau=1)
    arrays = blobs((900, 400, 180, 70), apart=0.6)
    bare = Run.from_arrays(train=arrays, head=treat(Run.from_arrays(train=arrays), "refit").head)
    with pytest.warns(ImblensWarning, match="the head is inferred to be balanced from its training logits; adjusting"):
        treat(bare, "logit_adjustment", tau=1)


def test_temperature_by_hand() -> None:
    run = blobs_run()
    better = treat(run, "temperature", temperature=4)
    np.testing.assert_allclose(better.test.logits, run.test.logits / 4, rtol=1e-5)
    np.testing.assert_array_equal(better.test.predictions, run.test.predictions)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_tau_norm_by_hand(tau: float) -> None:
    run = blobs_run()
    better = treat(run, "tau_norm", tau=tau)
    old = np.linalg.norm(run.head.weight, axis=1)
    new = np.linalg.norm(better.head.weight, axis=1)
    np.testing.assert_allclose(new / new[0], (old / old[0]) ** (1 - tau), rtol=1e-5)
    np.testing.assert_allclose(new.mean(), old.mean(), rtol=1e-5)
    np.testing.assert_allclose(better.head.weight / new[:, None], run.head.weight / old[:, None], atol=1e-6)
    assert not better.head.bias.any()


def test_tau_norm_of_a_dead_row_is_refused_by_name() -> None:
    run = blobs_run()
    weight = run.head.weight.copy()
    weight[2] = 0
    run = blobs_run(head=(weight, run.head.bias))
    with pytest.raises(NotApplicable, match="weight for class 'cat' is zero"):
        treat(run, "tau_norm", tau=1)


def test_lws_learns_factors_that_minimise_the_balanced_loss() -> None:
    run = blobs_run(seed=2)
    better = treat(run, "lws")
    factors = np.array(list(better.meta["treatment"]["facts"]["factors"].values()))
    np.testing.assert_allclose(factors.mean(), 1, rtol=1e-6)
    np.testing.assert_allclose(better.head.weight, run.head.weight * factors[:, None], rtol=1e-4)
    np.testing.assert_allclose(better.head.bias, run.head.bias * factors, rtol=1e-4, atol=1e-6)
    logits = run.head(np.asarray(run.train.features)).astype(np.float64)
    labels = run.train.labels

    def loss(factor: Any) -> float:
        scaled = logits * factor
        nll = np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(labels)), labels]
        return np.mean([nll[labels == c].mean() for c in range(4)]) + 0.005 * ((factor - 1) ** 2).sum()

    slow = minimize(loss, np.ones(4), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10, "maxiter": 5000}).x
    np.testing.assert_allclose(factors, slow / slow.mean(), rtol=5e-3)


def test_ncm_answers_as_the_nearest_class_mean() -> None:
    run = blobs_run(seed=3)
    shifted = Run.from_arrays(
        train=(run.train.features + 7, run.train.labels), test=(run.test.features + 7, run.test.labels)
    )
    expected = NearestCentroid().fit(run.train.features, run.train.labels).predict(run.test.features)
    np.testing.assert_array_equal(treat(run, "ncm").test.predictions, expected)
    np.testing.assert_array_equal(treat(shifted, "ncm").test.predictions, expected)
    variance = np.mean([(run.train.features[run.train.labels == c] ** 2).sum() for c in range(4)])
    assert variance > 0
    logits = np.asarray(treat(run, "ncm").test.logits, dtype=np.float64)
    means = np.stack([run.train.features[run.train.labels == c].mean(axis=0) for c in range(4)]).astype(np.float64)
    spread = np.mean((run.train.features - means[run.train.labels]) ** 2)
    squared = ((run.test.features[:, None] - means) ** 2).sum(axis=2)
    expected_logits = -squared / (2 * spread)
    np.testing.assert_allclose(
        logits - logits.mean(axis=1, keepdims=True),
        expected_logits - expected_logits.mean(axis=1, keepdims=True),
        atol=1e-3,
    )


def test_ncm_of_an_absent_class_is_refused_by_name() -> None:
    features, labels = blobs((40, 10))
    run = Run.from_arrays(train=(features, labels), classes=["a", "b", "c"], head=(np.ones((3, 6)), np.zeros(3)))
    with pytest.raises(NotApplicable, match="class 'c' has no training instance"):
        treat(run, "ncm")


@pytest.mark.parametrize("l2", [0.05, 2.0])
def test_refit_is_the_minimum_with_the_prior_taken_out(l2: float) -> None:
    run = blobs_run(seed=4)
    features, labels = run.train.features.astype(np.float64) + 3, run.train.labels
    shifted = blobs_run(seed=4, train=(features, labels), test=None, head=None)
    centred = features - features.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=1).mean())
    solved = LogisticRegression(C=1 / l2, tol=1e-9, max_iter=2000, solver="newton-cg").fit(centred / scale, labels)
    expected = solved.decision_function(centred / scale) - np.log(np.bincount(labels) / len(labels))
    logits = treat(shifted, "refit", l2=l2).head(features).astype(np.float64)
    np.testing.assert_allclose(
        logits - logits.mean(axis=1, keepdims=True), expected - expected.mean(axis=1, keepdims=True), atol=2e-3
    )


def test_refit_never_predicts_a_class_it_has_not_seen() -> None:
    features, labels = blobs((40, 0, 10))
    run = Run.from_arrays(train=(features, labels), classes=["a", "b", "c"])
    with pytest.warns(ImblensWarning, match="no training instance of b; the new head never predicts it"):
        better = treat(run, "refit")
    far = 100 * np.random.default_rng(0).normal(size=(500, 6))
    assert set(better.head(far).argmax(axis=1)) == {0, 2}


def test_refit_chooses_its_penalty_on_request() -> None:
    record = treat(blobs_run((300, 60, 20, 12)), "refit", l2="auto").meta["treatment"]
    assert record["options"]["l2"] == record["chosen"]["options"]["l2"] in (0.02, 0.1, 0.5, 2.5)


@pytest.mark.parametrize("name", ["crt", "refit", "ncm", "eos", "random", "smote"])
def test_without_a_head_these_work(name: str) -> None:
    train, test = blobs((60, 20, 9)), blobs((20, 20, 20), seed=5)
    run = Run.from_arrays(train=train, test=test)
    options = {"k_neighbors": 5} if name == "eos" else {}
    better = treat(run, name, **options)
    assert better.head is not None
    assert balanced_accuracy(better) > 0.6


@pytest.mark.parametrize("name", ["tau_norm", "lws", "logit_adjustment", "temperature"])
def test_without_a_head_these_state_so(name: str) -> None:
    run = Run.from_arrays(train=blobs((60, 20, 9)))
    with pytest.raises(
        NotApplicable, match=rf"{name} changes the network's own head, and this run has none.*refit, crt, ncm"
    ):
        treat(run, name)


@pytest.mark.parametrize("name", ["logit_adjustment", "crt", "refit", "lws", "random", "eos", "ncm"])
def test_rare_classes_gain_on_test(name: str) -> None:
    run = blobs_run((400, 90, 40, 25), seed=1)
    assert balanced_accuracy(treat(run, name)) > balanced_accuracy(run) + 0.02


def test_lws_descends_along_the_slope_of_its_loss_and_keeps_factors_positive(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def noted(loss: Any, start: Any, **options: Any) -> Any:
        asked.append((loss, options["bounds"]))
        return minimize(loss, start, **options)

    monkeypatch.setattr("scipy.optimize.minimize", noted)
    treat(blobs_run(seed=2), "lws")
    (loss, bounds), *_ = asked
    for at in np.random.default_rng(0).uniform(0.2, 3, (5, 4)):
        assert check_grad(lambda factor: loss(factor)[0], lambda factor: loss(factor)[1], at) < 1e-5
    assert all(low > 0 for low, _ in bounds)
