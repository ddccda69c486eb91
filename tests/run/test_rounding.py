"""Features that float32 would blur are centred in float64; the head and `install` follow; constants stay constants."""

from __future__ import annotations

import numpy as np
import pytest

from imblens import Run
from imblens.errors import InputError

RNG = np.random.default_rng(11)
LABELS = np.repeat([0, 1, 2], (40, 15, 5))
FEATURES = RNG.normal(size=(60, 4)) + LABELS[:, None]
TEST = FEATURES[::2] + 0.1
WEIGHT, BIAS = RNG.normal(size=(3, 4)), RNG.normal(size=3)


def test_a_large_offset_is_centred_and_the_head_follows() -> None:
    far = np.array([1e6, 0, 0, 1e8])
    weight = WEIGHT * [1, 1, 1, 1e-2]
    run = Run.from_arrays(
        train=(FEATURES + far, LABELS), test=(TEST + far, LABELS[::2]), head=(weight, BIAS), classes=list("abc")
    )
    mean = FEATURES.mean(axis=0) * (far > 0)
    np.testing.assert_allclose(run.train.features, FEATURES - mean, atol=1e-6)
    np.testing.assert_allclose(run.test.features, TEST - mean, atol=1e-6)
    np.testing.assert_allclose(run.test.logits, (TEST + far) @ weight.T + BIAS, rtol=1e-6, atol=0.1)
    np.testing.assert_allclose(run.meta["centre"], mean + far)
    assert run.meta["notes"] == [
        "2 features with a large offset centred: the training mean was subtracted in float64 (0, 3)."
    ]


def test_install_adds_the_offset_back() -> None:
    torch = pytest.importorskip("torch")
    far = 4096.0
    layer = torch.nn.Linear(4, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(WEIGHT))
    expected = layer.bias.detach().numpy().copy()
    run = Run.from_arrays(train=((FEATURES * 1e-3 + far), LABELS), head=layer)
    assert "centre" in run.meta
    fresh = run.install(torch.nn.Linear(4, 3))
    np.testing.assert_allclose(fresh.bias.detach().numpy(), expected, atol=4 * far * 2**-23)


def test_values_that_differ_by_rounding_are_one_value() -> None:
    features = FEATURES.copy()
    features[:, 2] = 1 + 2.3e-16 * RNG.integers(-1, 2, 60)
    run = Run.from_arrays(train=(features, LABELS))
    assert len(set(run.train.features[:, 2].tolist())) == 1
    np.testing.assert_array_equal(run.train.features[:, :2], FEATURES[:, :2].astype(np.float32))
    assert run.meta["notes"] == ["1 feature constant up to rounding stored as one value (2)."]


def test_an_offset_of_one_split_only_is_refused() -> None:
    with pytest.raises(InputError, match=r"test_features column 1 varies by .* from its training mean"):
        Run.from_arrays(train=(FEATURES, LABELS), test=(TEST + np.array([0, 1e7, 0, 0]), LABELS[::2]))


def test_float32_features_are_not_changed() -> None:
    far = (FEATURES + 1e6).astype(np.float32)
    assert Run.from_arrays(train=(far, LABELS)).train.features is far


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (LABELS, {0: "cat", 1: "dog", 2: "emu"}),
        (LABELS, {"2": "emu", "0": "cat", "1": "dog"}),
        (LABELS, {"cat": 0, "dog": 1, "emu": 2}),
        (LABELS * 300 + 5, {605: "emu", 5: "cat", 305: "dog"}),
        (np.array(["x", "y", "z"])[LABELS], {"x": "cat", "y": "dog", "z": "emu"}),
        (np.array(["cat", "dog", "emu"])[LABELS], {0: "cat", 1: "dog", 2: "emu"}),
        (LABELS.astype(float), {0: "cat", 1: "dog", 2: "emu"}),
    ],
)
def test_classes_by_value(labels: np.ndarray, classes: dict) -> None:
    run = Run.from_arrays(train=(FEATURES, labels, FEATURES[:, :3]), classes=classes)
    assert run.classes == ("cat", "dog", "emu") and run.train.labels.tolist() == LABELS.tolist()
    assert run.meta["notes"] == ["Classes are in the order of the keys of classes: cat, dog, emu."]
    with pytest.raises(InputError, match="'9', which classes does not name"):
        Run.from_arrays(train=(FEATURES, np.full(60, 9)), classes=classes)


def test_the_order_of_text_labels_is_stated() -> None:
    run = Run.from_arrays(train=(FEATURES, np.array(["dog", "ant", "cat"])[LABELS]))
    assert run.meta["notes"] == ["Classes are the values of the labels, in sorted order: ant, cat, dog."]
