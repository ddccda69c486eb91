"""Whether a head is balanced: what is stated wins, what is known comes next, and else its training logits show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imblens.errors import InputError
from imblens.run import Run, head_balance

COUNTS = (900, 300, 90, 30)


def posterior_run(
    *, balanced: bool, counts: tuple[int, ...] = COUNTS, apart: float = 1.0, scale: float = 1.0, **more: Any
) -> Run:
    """Normal classes, with logits that are scale times the logarithm of their posterior: by class shares, or for equal ones."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    means = apart * np.eye(len(counts), 6)
    features = means[labels] + rng.normal(size=(len(labels), 6))
    prior = np.zeros(len(counts)) if balanced else np.log(np.maximum(counts, 1) / np.sum(counts))
    head = (scale * means, scale * (prior - (means**2).sum(axis=1) / 2))
    return Run.from_arrays(train=(features, labels), head=head, classes=list("abcdef")[: len(counts)], **more)


@pytest.mark.parametrize("scale", [1.0, 6.0])
@pytest.mark.parametrize("counts", [COUNTS, (900, 90), (900, 300, 90, 0, 30)])
@pytest.mark.parametrize("balanced", [True, False])
def test_a_head_is_judged_by_what_its_training_logits_lack(
    balanced: bool, counts: tuple[int, ...], scale: float
) -> None:
    found = head_balance(posterior_run(balanced=balanced, counts=counts, scale=scale))
    assert (found.balanced, found.source) == (balanced, "inferred")
    assert abs(found.missing - balanced) < 3 * found.error and 0 < found.error < 0.25
    assert ("Taken as balanced; state it" in found.sentence()) == balanced


def test_a_sample_of_the_training_instances_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = head_balance(posterior_run(balanced=True))
    monkeypatch.setattr("imblens.run._head_balance.MOST_ROWS", 400)
    part = head_balance(posterior_run(balanced=True))
    assert part.balanced and part.error > 1.3 * whole.error


def test_nothing_is_inferred_from_a_head_that_has_memorised_its_instances() -> None:
    for balanced in (True, False):
        found = head_balance(posterior_run(balanced=balanced, apart=12.0))
        assert (found.balanced, found.source) == (None, "unknown")
        assert found.error > 2 and found.sentence() == ""


def test_nothing_is_inferred_where_classes_are_of_similar_size_or_there_are_no_logits() -> None:
    even = posterior_run(balanced=True, counts=(100, 100, 80))
    bare = Run.from_arrays(train=(np.asarray(even.train.features), even.train.labels))
    several = Run.from_arrays(train=(np.zeros((4, 2)), [[1, 1], [0, 1], [0, 0], [0, 1]]), head=(np.eye(2), np.zeros(2)))
    for run in (even, bare, several):
        assert head_balance(run).source == "unknown" and np.isnan(head_balance(run).missing)


@pytest.mark.parametrize("stated", [True, False])
def test_a_statement_wins_over_training_and_inference(stated: bool) -> None:
    run = posterior_run(balanced=not stated, meta={"head_balanced": stated, "loss": "ce" if stated else "cb_ce"})
    found = head_balance(run)
    assert (found.balanced, found.source) == (stated, "stated")
    assert found.sentence() == ("Head balance: the head was stated to be balanced." if stated else "")


@pytest.mark.parametrize(
    ("meta", "by"),
    [
        ({"loss": "wbce"}, "wbce"),
        ({"loss": "ldam", "drw": True}, "deferred re-weighting"),
        ({"loss": "ce", "drw": False, "sampler": "class_balanced"}, "class-balanced sampling"),
        ({"treatment": {"name": "crt", "criterion": "balanced_accuracy"}, "head_balanced": False}, "crt"),
        (
            {
                "treatment": {
                    "name": "temperature",
                    "criterion": "balanced_nll",
                    "before": {"name": "crt", "criterion": "balanced_accuracy"},
                }
            },
            "crt",
        ),
    ],
)
def test_what_training_or_a_treatment_has_balanced_is_known(meta: dict[str, Any], by: str) -> None:
    found = head_balance(posterior_run(balanced=False, meta=meta))
    assert found.balanced and found.by == by and found.reason == f"{by} has balanced the head"


@pytest.mark.parametrize("loss", [{"loss": "ldam", "drw": False}, {"loss": "ce", "sampler": "natural"}, {}])
def test_other_trainings_leave_it_to_the_logits(loss: dict[str, Any]) -> None:
    assert head_balance(posterior_run(balanced=True, meta=loss)).source == "inferred"


def save(file: Path, **more: Any) -> Path:
    run = posterior_run(balanced=False)
    head = {"head_weight": run.head.weight, "head_bias": run.head.bias}
    np.savez(file, train_features=run.train.features, train_labels=run.train.labels, **head, **more)
    return file


@pytest.mark.parametrize("value", [True, 1, np.array([1])])
def test_arrays_may_state_it(tmp_path: Path, value: Any) -> None:
    run = Run.load(save(tmp_path / "arrays.npz", head_balanced=value))
    assert run.meta["head_balanced"] is True and head_balance(run).source == "stated"
    run.save(tmp_path / "run")
    assert head_balance(Run.load(tmp_path / "run")).source == "stated"
    assert head_balance(Run.load(save(tmp_path / "silent.npz"))).balanced is False


def test_a_statement_is_true_or_false(tmp_path: Path) -> None:
    for value in ("yes", 2, [1, 0]):
        with pytest.raises(InputError, match=r"head_balanced is "):
            Run.load(save(tmp_path / "arrays.npz", head_balanced=value))
    with pytest.raises(InputError, match="head_balanced is 'yes'"):
        posterior_run(balanced=True, meta={"head_balanced": "yes"})
