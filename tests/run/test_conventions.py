"""Arrays of other libraries, and other conventions for labels and logits, give the right run and a note."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from imblens import Run
from imblens.errors import InputError, ShapeError

RNG = np.random.default_rng(5)
FEATURES = RNG.normal(size=(12, 4)).astype(np.float32)
LABELS = np.arange(12) % 3


@pytest.mark.parametrize(
    "features",
    [
        sparse.csr_array(FEATURES),
        np.matrix(FEATURES),
        np.ma.masked_array(FEATURES),
        FEATURES.tolist(),
        pd.DataFrame(FEATURES),
    ],
)
def test_features_of_other_kinds(features: object) -> None:
    np.testing.assert_allclose(Run.from_arrays(train=(features, LABELS)).train.features, FEATURES)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_tensors_of_any_dtype(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(4, 3).to(getattr(torch, dtype))
    run = Run.from_arrays(train=(torch.tensor(FEATURES).to(getattr(torch, dtype)), LABELS), head=layer)
    np.testing.assert_allclose(run.train.features, FEATURES, rtol=0.01, atol=0.01)
    np.testing.assert_allclose(run.head.weight, layer.weight.detach().float().numpy())


@pytest.mark.parametrize("labels", [LABELS.astype(object), pd.Categorical(LABELS), pd.Series(LABELS).astype("Int64")])
def test_labels_of_other_kinds(labels: object) -> None:
    assert Run.from_arrays(train=(FEATURES, labels)).train.labels.tolist() == LABELS.tolist()


def test_ragged_and_masked_arrays_are_refused_in_one_sentence() -> None:
    with pytest.raises(ShapeError, match="train_features has rows of different lengths"):
        Run.from_arrays(train=([[1.0], [1.0, 2.0]], [0, 1]))
    with pytest.raises(InputError, match="masked entries"):
        Run.from_arrays(train=(np.ma.masked_greater(FEATURES, 0), LABELS))


def test_one_hot_labels_are_single_labels_unless_the_task_is_stated() -> None:
    hot = np.eye(3, dtype=int)[LABELS]
    run = Run.from_arrays(train=(FEATURES, hot))
    assert run.task == "multiclass" and run.train.labels.tolist() == LABELS.tolist()
    assert "one-hot" in run.meta["notes"][0]
    assert Run.from_arrays(train=(FEATURES, hot), task="multilabel").task == "multilabel"
    hot[0] = 1
    assert Run.from_arrays(train=(FEATURES, hot)).task == "multilabel"


def test_probabilities_are_converted_to_logits() -> None:
    logits = RNG.normal(size=(12, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    run = Run.from_arrays(train=(FEATURES, LABELS, p))
    np.testing.assert_allclose(np.exp(run.train.logits), p, rtol=1e-5)
    assert "probabilities" in run.meta["notes"][0]
    assert "notes" not in Run.from_arrays(train=(FEATURES, LABELS, logits)).meta


def test_unlabelled_test_instances_are_left_out() -> None:
    labels = LABELS.copy()
    labels[[2, 5]] = -1
    run = Run.from_arrays(train=(FEATURES, LABELS), test=(FEATURES, labels), classes=["a", "b", "c"])
    np.testing.assert_array_equal(run.test.features, np.delete(FEATURES, [2, 5], axis=0))
    assert run.meta["notes"] == ["test: 2 instances with label -1 (unlabelled) left out."]
    with pytest.raises(InputError, match="-1"):
        Run.from_arrays(train=(FEATURES, labels))


def test_text_labels_with_logits_need_the_order_of_the_classes() -> None:
    text = np.array(["x", "y", "z"])[LABELS]
    with pytest.raises(InputError, match=r"Pass classes=\[\.\.\.\] in the order of the logit columns"):
        Run.from_arrays(train=(FEATURES, text, FEATURES[:, :3]))


def test_the_task_can_be_stated(tmp_path: Path) -> None:
    hot = np.eye(3, dtype=int)[LABELS]
    assert Run.from_arrays(train=(FEATURES, hot)).task == "multiclass"
    assert Run.from_arrays(train=(FEATURES, hot), task="multilabel").task == "multilabel"
    for labels, task, words in ((LABELS, "multilabel", "single labels"), (1 - hot, "multiclass", "not single labels")):
        with pytest.raises(InputError, match=words):
            Run.from_arrays(train=(FEATURES, labels), task=task)
    with pytest.raises(InputError, match="task='multi' is not allowed"):
        Run.from_arrays(train=(FEATURES, hot), task="multi")
    np.savez(tmp_path / "a.npz", train_features=FEATURES, train_labels=hot)
    run = Run.load(tmp_path / "a.npz", task="multilabel")
    assert run.task == "multilabel"
    with pytest.raises(InputError, match="is multilabel, not multiclass"):
        Run.load(run.save(tmp_path / "run"), task="multiclass")


def test_one_logit_for_two_classes() -> None:
    z = RNG.normal(size=(12, 1)).astype(np.float32)
    for logits in (z, 1 / (1 + np.exp(-z))):
        run = Run.from_arrays(train=(FEATURES, LABELS % 2, logits))
        np.testing.assert_allclose(run.train.logits, np.hstack([0 * z, z]), atol=1e-4)
        assert "One logit z was taken as two classes with logits (0, z)." in run.meta["notes"]
    weight = RNG.normal(size=(1, 4)).astype(np.float32)
    run = Run.from_arrays(train=(FEATURES, LABELS % 2), head=(weight, [0.5]))
    np.testing.assert_allclose(run.train.logits[:, 1], FEATURES @ weight[0] + 0.5, atol=1e-4)


def test_names_in_numeric_order_alike_or_without_order() -> None:
    run = Run.from_arrays(train=(FEATURES, np.array(["10", "9", "2"])[LABELS]))
    assert run.classes == ("2", "9", "10") and run.train.labels[:3].tolist() == [2, 1, 0]
    notes = Run.from_arrays(train=(FEATURES, np.array(["cat", "Cat ", "dog"])[LABELS])).meta["notes"]
    assert any("differ only in case or blanks" in note for note in notes)
    with pytest.raises(InputError, match="classes is a set"):
        Run.from_arrays(train=(FEATURES, LABELS), classes={"a", "b", "c"})
    predictions = Run.from_arrays(train=(FEATURES, LABELS, np.eye(3)[LABELS]))
    assert any("hold only 0 and 1, as predictions do" in note for note in predictions.meta["notes"])
