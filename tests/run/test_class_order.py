"""A wrong order of classes, also among very many."""

from __future__ import annotations

import numpy as np
import pytest

from imblens.run import Run, permutation_note


def run(order: np.ndarray, right: float = 0.9) -> Run:
    """Classes of four test instances; output `order[c]` is the largest for that share of class c."""
    n = len(order)
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(n), 4)
    predicted = np.where(rng.random(len(labels)) < right, order[labels], rng.integers(0, n, len(labels)))
    logits = np.zeros((len(labels), n), np.float32)
    logits[np.arange(len(labels)), predicted] = 1
    features = rng.normal(size=(len(labels), 2)).astype(np.float32)
    return Run.from_arrays(train=(features, labels), test=(features, labels, logits))


@pytest.mark.parametrize("n_classes", [6, 1_500])
def test_a_permutation_is_reported(n_classes: int) -> None:
    order = np.roll(np.arange(n_classes), 1)
    note = permutation_note(run(order).test)
    listed = ", ".join(str(i) for i in [*range(1, n_classes), 0][:10])
    more = " and 1,490 more" if n_classes > 10 else ""
    assert note is not None and f"outputs are {listed}{more}." in note


def test_neither_a_right_order_nor_a_weak_network_is() -> None:
    assert permutation_note(run(np.arange(40)).test) is None
    assert permutation_note(run(np.arange(40), right=0.1).test) is None
    assert permutation_note(run(np.roll(np.arange(40), 1), right=0.1).test) is None


def test_classes_without_test_instances_take_what_is_left() -> None:
    made = run(np.array([1, 2, 0, 3, 4, 5]), right=1.0)
    kept = made.test.labels < 3
    few = Run.from_arrays(
        train=(made.train.features, made.train.labels),
        test=tuple(
            np.repeat(values[kept], 4, axis=0) for values in (made.test.features, made.test.labels, made.test.logits)
        ),
    )
    assert "outputs are 2, 0, 1, 3, 4, 5." in str(permutation_note(few.test))
