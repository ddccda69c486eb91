"""The order of classes and the preparation of images: taken from where they are known, and stated."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from imblens.errors import InputError
from imblens.extraction import capture
from tests.extraction.networks import seeded

RNG = np.random.default_rng(12)
N = 24
Y = np.arange(N) % 3
IMAGES = RNG.integers(0, 256, (N, 6, 6, 3), dtype=np.uint8)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def network(channels: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


def prepared(mean: Any = MEAN, std: Any = STD) -> torch.Tensor:
    scaled = torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255
    return (scaled - torch.tensor(mean).reshape(-1, 1, 1)) / torch.tensor(std).reshape(-1, 1, 1)


class Normalised(Dataset[Any]):
    """A data set whose transforms end in a normalisation, as torchvision's are built."""

    def __init__(self) -> None:
        self.rows = prepared()
        normalise = SimpleNamespace(mean=torch.tensor(MEAN), std=list(STD), inplace=False)
        self.transform = SimpleNamespace(transforms=[SimpleNamespace(size=6), normalise])

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        return self.rows[i], int(Y[i])


@pytest.mark.parametrize("form", ["pretrained_cfg", "default_cfg", "object"])
def test_the_configuration_of_timm_is_used_and_stated(form: str) -> None:
    model = seeded(network)
    settings = {"mean": MEAN, "std": STD, "input_size": (3, 224, 224)}
    vars(model)["default_cfg" if form == "object" else form] = (
        SimpleNamespace(**settings) if form == "object" else settings
    )
    run = capture(model, train=(IMAGES, Y))
    np.testing.assert_allclose(run.train.logits, model(prepared()).detach(), atol=1e-4)
    assert any("the network's own configuration" in note and "0.4" in note for note in run.meta["notes"])
    vars(model)["pretrained_cfg"] = {**settings, "input_size": (3, 4, 4), "fixed_input_size": True}
    assert capture(model, train=(IMAGES, Y)).meta["preprocessing"]["size"] == [4, 4]
    plain = capture(model, train=(IMAGES, Y), preprocessing={"mean": 0, "std": 1})
    np.testing.assert_allclose(plain.train.logits, model(prepared((0, 0, 0), (1, 1, 1))).detach(), atol=1e-4)


@pytest.mark.parametrize(
    "given",
    [
        {"mean": MEAN, "std": STD, "input_size": (3, 6, 6), "crop_pct": 0.9, "interpolation": "bicubic"},
        SimpleNamespace(mean=list(MEAN), std=torch.tensor(STD), crop_size=[6], resize_size=[7]),
    ],
)
def test_data_configurations_are_read(given: Any) -> None:
    model = seeded(network)
    run = capture(model, train=(IMAGES, Y), preprocessing=given)
    np.testing.assert_allclose(run.train.logits, model(prepared()).detach(), atol=1e-4)
    assert run.meta["preprocessing"]["size"] == [6, 6]


def test_one_number_counts_for_every_channel() -> None:
    for channels in (1, 3):
        model = seeded(lambda channels=channels: network(channels))
        run = capture(model, train=(IMAGES, Y), preprocessing={"mean": 0.4, "std": 0.25})
        own = prepared((0.4,), (0.25,))
        own = own.mean(dim=1, keepdim=True) if channels == 1 else own
        np.testing.assert_allclose(run.train.logits, model(own).detach(), atol=1e-4)


def test_nothing_known_is_stated() -> None:
    notes = capture(seeded(network), train=(IMAGES, Y)).meta["notes"]
    assert any("mean 0, std 1: is that how it was trained?" in note for note in notes)


def test_the_transform_of_a_data_set_gives_images_back() -> None:
    model = seeded(network)
    for train in (Normalised(), DataLoader(Subset(Normalised(), range(N)), batch_size=5)):
        run = capture(model, train=train)
        np.testing.assert_allclose(run.train.logits, model(prepared()).detach(), atol=1e-4)
        assert run.train.preview_kind == "image" and "band_count" in run.train.columns
        assert run.meta["preprocessing"]["mean"] == pytest.approx(MEAN)


@pytest.mark.parametrize(
    ("classes", "outputs"),
    [
        (["ant", "bee", "cow"], ["cow", "ant", "bee"]),
        (["ant", "bee", "cow"], {0: "cow", 1: "ant", 2: "bee"}),
        ({0: "ant", 1: "bee", 2: "cow"}, {"cow": 0, "ant": 1, "bee": 2}),
        (["ant", "bee", "cow"], ["Cow", "ANT", "bee "]),
    ],
)
def test_names_of_labels_and_outputs_are_matched(classes: Any, outputs: Any) -> None:
    run = capture(seeded(network), train=(IMAGES, Y), classes=classes, outputs=outputs)
    assert run.classes == ("cow", "ant", "bee") and run.train.labels.tolist() == [(int(y) + 1) % 3 for y in Y]
    with pytest.raises(InputError, match="Use the same names"):
        capture(seeded(network), train=(IMAGES, Y), classes=classes, outputs=["cow", "ant", "fox"])


def separated(order: list[int], n: int = 30) -> Any:
    """A network whose outputs are in that order, and the inputs that it separates."""
    labels = torch.arange(n) % 3
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    with torch.no_grad():
        for layer, weight in zip(model, (torch.eye(3), torch.eye(3)[order]), strict=True):
            layer.weight.copy_(weight)
            layer.bias.zero_()
    return model, nn.functional.one_hot(labels, 3).float(), labels


def test_a_permutation_is_noticed_and_chance_is_not() -> None:
    model, x, labels = separated([1, 2, 0])
    assert any("order of classes seems wrong" in note for note in capture(model, train=(x, labels)).meta["notes"])
    model, x, labels = separated([0, 1, 2])
    assert "notes" not in capture(model, train=(x, labels)).meta
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(30, 3, generator=generator)
        notes = capture(model, train=(noise, labels)).meta.get("notes", [])
        assert not any("order of classes" in note for note in notes)


def test_one_output_for_more_than_two_classes_is_refused() -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 1)))
    with pytest.raises(InputError, match="has one output, and the labels hold 2: as in regression"):
        capture(model, train=(torch.randn(N, 4), Y))
