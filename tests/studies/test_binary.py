"""The binary task of LOOKING: one output, whose class is the positive one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imblens.data import ImageSet, ImageSplit, finding_or_none
from imblens.errors import InputError
from imblens.lenses import alignment, ranking
from imblens.losses import build_loss
from imblens.run import Run
from imblens.studies._measures import ranks
from imblens.workflows import train_and_capture
from tests.training.test_train import one_thread

__all__ = ["one_thread"]  # a fixture


def split(n: int, seed: int) -> ImageSplit:
    rng = np.random.default_rng(seed)
    labels = np.stack([rng.permutation(n) < share * n for share in (0.3, 0.2)], axis=1).astype(np.uint8)
    pixels = rng.integers(10, 120, (n, 16, 16, 3))
    boxes: list[Any] = []
    for i, row in enumerate(labels):
        boxes.append([[c, 2 + 6 * c, 3, 8 + 6 * c, 9] for c in np.flatnonzero(row)])
        for c in np.flatnonzero(row):
            pixels[i, 3:9, 2 + 6 * c : 8 + 6 * c] += 120
    return ImageSplit.from_arrays(pixels.astype(np.uint8), labels, boxes=boxes)


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return finding_or_none(ImageSet("spots", ("left", "right"), "multilabel", split(80, 0), test=split(40, 1)))


def test_a_network_of_one_output_is_trained_and_captured(images: ImageSet, tmp_path: Path) -> None:
    from imblens.training import TrainingPlan

    plan = TrainingPlan(arch="tdensenet_small", epochs=6, batch_size=16)
    run, trained = train_and_capture(images, tmp_path / "out", plan, colours=False, thumbnails=False)
    assert trained.meta["loss"] == "bce" and trained.meta["schedule"] == "short_adam"
    assert sum(p.numel() for p in trained.model.head.parameters()) == 108 + 1  # type: ignore[union-attr, operator]
    assert run.classes == ("no finding", "finding") and run.task == "multiclass"
    assert np.array_equal(run.test.logits[:, 0], np.zeros(len(run.test)))  # type: ignore[union-attr]
    assert trained.log["balanced_accuracy"].between(0, 1).all()
    boxes = alignment(run).tables["alignment"].set_index("class")
    assert boxes.loc["finding", "image_count"] == images.test.labels.sum()  # type: ignore[union-attr]
    assert boxes.loc["no finding", "image_count"] == 0
    values, table = ranks(run), ranking(run).tables["ranking"]
    assert values["probability"] == pytest.approx(table["mean_probability"][1])
    assert values["auroc"] == pytest.approx(table["auroc"][1])


def test_the_probability_rises_with_the_logits() -> None:
    """Two mirrored outputs gave a mean near 0.5 whatever was added."""
    rng = np.random.default_rng(0)
    labels, z = np.repeat([0, 1], [30, 10]), rng.normal(size=40)
    found = []
    for added in (0.0, 1.5, 3.0):
        logits = np.stack([0 * z, z + added], axis=1)
        arrays = (rng.normal(size=(40, 3)), labels, logits)
        run = Run.from_arrays(
            train=arrays, test=arrays, classes=["healthy", "unhealthy"], meta={"head": {"one_logit": True}}
        )
        found.append(ranks(run)["probability"])
        assert found[-1] == pytest.approx(np.mean(1 / (1 + np.exp(-z - added))), abs=1e-6)
    assert found[0] < found[1] < found[2]  # type: ignore[operator]


def test_losses_of_one_output_are_the_papers() -> None:
    """LOOKING, eq. 2, with N+ = 1 and N- = 3, at p = 1/2 for a positive and p = 3/4 for a negative."""
    logits, targets = torch.tensor([[0.0], [math.log(3)]]), torch.tensor([[1], [0]])
    log2, log4 = math.log(2), math.log(4)
    expected = {
        "bce": (log2 + log4) / 2,
        "wbce": (3 / 4 * log2 + 1 / 4 * log4) / 2,
        "focal_bce": (0.25 * 0.5**2 * log2 + 0.75 * 0.75**2 * log4) / 2,  # alpha 0.25 is not cancelled
    }
    for name, value in expected.items():
        loss = build_loss(name, [1], negative_counts=[3])
        assert loss(logits, targets).item() == pytest.approx(value, rel=1e-6)
    beta = 0.9999
    weight = (1 - beta) / (1 - beta), (1 - beta) / (1 - beta**3)
    value = (weight[0] * 0.5**2 * log2 + weight[1] * 0.75**2 * log4) / 2
    assert build_loss("cb_focal_bce", [1], negative_counts=[3])(logits, targets).item() == pytest.approx(
        value, rel=1e-4
    )


def test_more_classes_need_a_loss_for_classes(tmp_path: Path) -> None:
    from imblens.training import check_training

    pixels = np.zeros((6, 8, 8, 3), np.uint8)
    three = ImageSet("three", ("a", "b", "c"), "multiclass", ImageSplit.from_arrays(pixels, [0, 0, 1, 1, 2, 2]))
    with pytest.raises(InputError, match="'bce' is for multi-label data"):
        check_training(three, loss="bce", out=tmp_path / "out")
    two = ImageSet("two", ("a", "b"), "multiclass", ImageSplit.from_arrays(pixels, [0, 0, 0, 1, 1, 1]))
    assert check_training(two, loss="bce", out=tmp_path / "out")["features"] == 64
    with pytest.raises(InputError, match="remix mixes labels of single-label losses"):
        check_training(two, loss="bce", remix=True, out=tmp_path / "out")
