"""Two processes on gloo end with the weights of one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from imblens.data import ImageSet, ImageSplit
from imblens.errors import ImblensError, InputError
from imblens.training import TrainingPlan, train

FACTORY = """
from torch import nn
def build(n_classes):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, n_classes)
    )
"""


@pytest.fixture(scope="module")
def images() -> ImageSet:
    """37 training images, an odd number, so that shares of a batch differ; validation images too."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (50, 10, 8, 3), dtype=np.uint8)
    labels = np.repeat([0, 1, 2], [20, 11, 6])
    split = ImageSplit.from_arrays(pixels[:37], rng.permutation(labels))
    return ImageSet(
        "noise", ("a", "b", "c"), "multiclass", split, val=ImageSplit.from_arrays(pixels[37:], np.arange(13) % 3)
    )


@pytest.fixture
def arch(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(FACTORY)
    return f"{tmp_path / 'net.py'}:build"


@pytest.mark.thorough  # starts five processes
@pytest.mark.slow
def test_two_processes_have_the_weights_of_one(
    images: ImageSet, arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    plan = {
        "arch": arch,
        "epochs": 3,
        "batch_size": 13,
        "augment": "crop+flip",
        "precision": "32-true",
        "loss": "weighted_ce",
    }
    one = train(images, TrainingPlan(**plan), out=tmp_path / "one", progress=False)
    two = train(images, TrainingPlan(**plan, devices=2), out=tmp_path / "two", progress=False)
    for name, value in one.model.state_dict().items():
        torch.testing.assert_close(two.model.state_dict()[name], value, atol=2e-5, rtol=1e-4)
    assert two.meta["devices"] == 2 and "devices" not in one.meta and not two.model.training
    columns = ["epoch", "split", "balanced_accuracy", "lr"]
    assert two.log["split"].tolist() == ["val"] * 3
    pd.testing.assert_frame_equal(two.log[columns], one.log[columns], check_dtype=False, atol=0.1)
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"checkpoints", "log.csv", "model.safetensors"}
    (tmp_path / "net.py").write_text(FACTORY.replace("n_classes)\n", "n_classes + float('nan'))\n"))
    with pytest.raises(ImblensError):
        train(images, TrainingPlan(**plan, devices=2), out=tmp_path / "three", progress=False)


def test_devices_that_are_not_there_are_refused(
    images: ImageSet, arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    plain = {"arch": arch, "out": tmp_path / "run", "progress": False}
    with pytest.raises(
        InputError, match=r"3 devices were asked for, and this machine has 2 processor cores. .*--devices 2"
    ):
        train(images, devices=3, **plain)
    with pytest.raises(InputError, match="batches of 1 images cannot be split over 2 devices"):
        train(images, devices=2, batch_size=1, **plain)
    with pytest.raises(InputError, match="eos reads the features of a whole batch"):
        train(images, devices=2, eos=True, **plain)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(InputError, match=r"2 devices were asked for, and this machine has 1 GPU. Leave out --devices"):
        train(images, devices=2, **plain)
    with pytest.raises(InputError, match="devices=0 is not allowed"):
        TrainingPlan(devices=0)
    assert not (tmp_path / "run").exists()
    assert json.dumps(TrainingPlan(devices=2).record())
