"""What is passed to imblens in Python by mistake: each gets a sentence that says what to pass, and no state is moved."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

import imblens
from imblens.errors import ImblensError, InputError, ShapeError
from imblens.run import Head, Run

torch = pytest.importorskip("torch")
nn = torch.nn
LABELS = np.repeat([0, 1, 2], (30, 12, 5))
FEATURES = np.random.default_rng(5).normal(size=(47, 6)) + LABELS[:, None]
RUN = Run.from_arrays(train=(FEATURES, LABELS))
NETWORK = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Linear(4, 3))


@pytest.mark.parametrize(
    ("call", "said", "hint"),
    [
        (lambda: imblens.audit("A.npz"), "the text 'A.npz'", "imblens.audit(imblens.Run.load('A.npz')"),
        (lambda: imblens.treat(Path("A.npz"), "crt"), "the path 'A.npz'", "imblens.treat(imblens.Run.load('A.npz')"),
        (lambda: imblens.audit(5), "a value of type int", "Run.load(PATH)"),
        (lambda: imblens.audit(RUN, lenses="archetype"), "no lens 'archetype'", "'archetypes'"),
        (lambda: Run.load(5), "a value of type int", "a run"),
        (lambda: imblens.capture(NETWORK, train=None), "train is None", "(inputs, labels)"),
        (lambda: imblens.capture(NETWORK, train="digits"), "the text 'digits'", "load_images('digits')"),
        (lambda: Run.from_arrays(train=(FEATURES, LABELS), head=5), "a value of type int", "head=model.fc"),
        (lambda: Run.from_arrays(train=(FEATURES, [[1], [1, 2]])), "train_labels has rows of different", "columns"),
    ],
)
def test_mistakes_are_reported_in_our_words(call: Any, said: str, hint: str) -> None:
    with pytest.raises(ImblensError) as told:
        call()
    assert isinstance(told.value, InputError)
    assert said in told.value.message and hint in told.value.hint


def test_one_name_is_a_list_of_one() -> None:
    assert list(imblens.audit(RUN, lenses="archetypes")) == ["archetypes"]
    assert list(imblens.audit(RUN, lenses=["archetypes", "feature_density"], skip="archetypes")) == ["feature_density"]


def test_a_layer_is_a_head() -> None:
    layer = nn.Linear(6, 3)
    for head in (layer, (layer.weight, layer.bias), Head(layer.weight.detach().numpy(), layer.bias.detach().numpy())):
        run = Run.from_arrays(train=(FEATURES, LABELS), head=head)
        np.testing.assert_array_equal(run.head.weight, layer.weight.detach().numpy())
        np.testing.assert_array_equal(run.head.bias, layer.bias.detach().numpy())
    assert not Run.from_arrays(train=(FEATURES, LABELS), head=nn.Linear(6, 3, bias=False)).head.bias.any()


@pytest.mark.parametrize("more", [(), (FEATURES[:, :3],)])
def test_a_transposed_head_is_seen(more: tuple[Any, ...]) -> None:
    with pytest.raises(
        ShapeError, match=r"shape \(6, 3\); 3 classes and 6 features need \(3, 6\)\. It looks transposed"
    ):
        Run.from_arrays(train=(FEATURES, LABELS, *more), head=(np.ones((6, 3)), np.ones(3)))


COLUMNS = {
    "array": LABELS[:, None],
    "tensor": torch.tensor(LABELS)[:, None],
    "frame": pd.DataFrame(LABELS),
    "lists": LABELS[:, None].tolist(),
    "floats": LABELS[:, None].astype(float),
    "sparse": csr_matrix(LABELS[:, None]),
    "text": LABELS.astype(str)[:, None],
    "objects": LABELS.astype(str).astype(object)[:, None],
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_of_labels_is_one_label_each(kind: str) -> None:
    run = Run.from_arrays(train=(FEATURES, COLUMNS[kind]), test=(FEATURES, LABELS.astype(run_kind(kind))))
    assert run.task == "multiclass" and run.train.labels.tolist() == LABELS.tolist() == run.test.labels.tolist()


def run_kind(kind: str) -> type:
    return str if kind in ("text", "objects") else int


def test_a_column_of_labels_with_logits_names_or_a_network() -> None:
    column = LABELS[:, None]
    assert Run.from_arrays(train=(FEATURES, column, FEATURES[:, :3])).train.labels.tolist() == LABELS.tolist()
    named = Run.from_arrays(train=(FEATURES, column.astype(str)), classes=["2", "1", "0"])
    assert named.train.labels.tolist() == (2 - LABELS).tolist()
    inputs = torch.tensor(FEATURES, dtype=torch.float32)
    captured = imblens.capture(NETWORK, train=(inputs, column), colours=False)
    assert captured.train.labels.tolist() == LABELS.tolist()
    with pytest.raises(InputError, match="there are 1 classes"):
        Run.from_arrays(train=(FEATURES, np.minimum(column, 1)), classes=["ill"])


UNMOVED = """
import random, warnings
import numpy as np
import imblens
warnings.simplefilter("ignore")
labels = np.repeat([0, 1, 2], (30, 12, 8))
features = np.random.default_rng(5).normal(size=(50, 6)) + labels[:, None]
run = imblens.Run.from_arrays(train=(features, labels), test=(features + 0.1, labels))
before = random.getstate(), [str(part) for part in np.random.get_state()]
for call in (
    lambda: imblens.audit(run),
    lambda: imblens.treat(run, "smote"),
    lambda: imblens.treat(run, "balanced_svm"),
    lambda: imblens.compare([run, imblens.treat(run, "crt")]),
):
    call()
    assert random.getstate() == before[0], "random"
    assert [str(part) for part in np.random.get_state()] == before[1], "numpy.random"
"""


def test_random_states_are_as_before_in_a_fresh_process() -> None:
    done = subprocess.run([sys.executable, "-c", UNMOVED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
