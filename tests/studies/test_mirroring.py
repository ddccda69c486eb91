"""Networks of studies on sets whose mirrored images are not of their class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imblens.data import ImageSet, ImageSplit
from imblens.errors import MissingError
from imblens.run import Run
from imblens.studies._data import Data
from imblens.studies._networks import Network
from imblens.studies._planted_images import TRAINING, PlantedImages
from imblens.studies._store import Store
from imblens.training import TrainingPlan


def two_letters() -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 6, 3), dtype=np.uint8)
    return ImageSet("letters", ("b", "d"), "multiclass", ImageSplit.from_arrays(pixels, [0, 1, 0] * 4))


def key_of(data: Data, **options: str) -> dict[str, object]:
    return Network(data, {"arch": "smallnet", **options}, (), 0, ("none",), ("accuracy",)).key()


def test_a_study_finds_its_stored_networks_unless_they_would_be_trained_differently() -> None:
    cifar = Data(name="CIFAR-10", public="cifar10", source="/sets/cifar")
    asked = {"public": "cifar10", "source": "/sets/cifar"}
    assert key_of(cifar) == {"data": asked, "options": {"arch": "smallnet"}, "seed": 0}
    svhn = Data(name="SVHN", public="svhn", source="/sets/svhn", train={"augment": "crop"})
    assert "mirrored" not in key_of(svhn, augment="crop")
    for digits in (svhn, Data(name="d", source="digits")):
        assert key_of(digits)["mirrored"] is False


def test_a_source_that_is_not_there_is_named_without_an_option_of_other_commands(tmp_path: Path) -> None:
    source = str(tmp_path / "nowhere")
    with pytest.raises(MissingError, match="nowhere") as refused:
        Data(name="CIFAR-10", public="cifar10", source=source).load()
    assert "--root" not in str(refused.value)


def test_a_network_without_augmentation_is_not_the_one_with_that_of_its_schedule() -> None:
    cifar = Data(name="CIFAR-10", public="cifar10", source="/sets/cifar")
    assert key_of(cifar, augment="none") != key_of(cifar)
    assert key_of(cifar, oversample="none") == key_of(cifar)


def test_a_copy_of_svhn_in_another_layout_is_not_mirrored_by_a_study(tmp_path: Path) -> None:
    split = two_letters().train
    np.savez(
        tmp_path / "copy.npz", train_images=split.array(), train_labels=split.labels, test_images=split.array(),
        test_labels=split.labels,
    )  # fmt: skip
    for public, expected in (("svhn", "crop"), ("cifar10", "crop+flip")):
        images = Data(name="copy", public=public, source=str(tmp_path / "copy.npz")).load()
        assert TrainingPlan().for_images(images).augment == expected


@pytest.mark.parametrize(("source", "settings"), [("digits", {**TRAINING, "augment": "crop"}), ("/sets/x", TRAINING)])
def test_causes_are_planted_in_digits_without_mirroring(
    source: str, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[TrainingPlan] = []
    run = Run.from_arrays(train=(np.zeros((4, 2)), [0, 1, 0, 1]))

    def note(images: ImageSet, folder: Path, plan: TrainingPlan, **_: object) -> tuple[Run, None]:
        seen.append(plan)
        assert folder == Store(tmp_path, tmp_path).network(key)
        return run, None

    monkeypatch.setattr("imblens.studies._planted_images.train_and_capture", note)
    key = {"data": "mine", "source": source, "together": ["frame"], "seed": 0, "most": [250, 100]}
    key |= {"training": settings, "which": "planted"}
    job = PlantedImages("mine", source, ("frame",), 0, advice=False)
    assert job._fitted(Store(tmp_path, tmp_path), two_letters(), two_letters().train, "planted") is run
    assert seen == [TrainingPlan(seed=0, **settings)]
