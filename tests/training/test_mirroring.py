"""Sets whose mirrored images are not of their class are trained without mirroring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imblens.base.registry import Registry
from imblens.data import ImageSet, ImageSplit, drop_images, load_images, unmirrored
from imblens.errors import InputError
from imblens.synthesis import oversample_pixels
from imblens.training import SCHEDULES, TrainingPlan, train

FACTORY = """
from torch import nn
def build(n_classes):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, n_classes))
"""


@pytest.fixture
def plain() -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 6, 3), dtype=np.uint8)
    return ImageSet("letters", ("b", "d"), "multiclass", ImageSplit.from_arrays(pixels, [0, 1, 0] * 4))


def augment_of(images: ImageSet, **settings: Any) -> str | None:
    return TrainingPlan(**settings).for_images(images).augment


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_only_mirroring_is_left_out_of_a_schedule(name: str, plain: ImageSet) -> None:
    steps = SCHEDULES[name].augment
    assert "flip" in steps
    assert augment_of(plain, schedule=name) == steps
    letters = unmirrored(plain)
    assert augment_of(letters, schedule=name) == "+".join(step for step in steps.split("+") if step != "flip")
    used = TrainingPlan(schedule=name).for_images(letters).recipe
    whole = SCHEDULES[name]
    assert not used.flip and (used.pad, used.window, used.jitter) == (whole.pad, whole.window, whole.jitter)
    for typed in ("flip", "crop+flip", "none"):
        assert augment_of(letters, schedule=name, augment=typed) == typed


def test_a_schedule_without_augmentation_stays_as_it_is(plain: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = SCHEDULES["short"].augmented("none")
    monkeypatch.setattr("imblens.training._plan.SCHEDULES", Registry("schedule", {"short": bare}))
    assert TrainingPlan().note(unmirrored(plain)) == "" and augment_of(unmirrored(plain)) == "none"


def test_the_line_is_there_only_where_something_is_left_out(plain: ImageSet) -> None:
    letters = unmirrored(plain)
    assert "letters: images are not mirrored" in TrainingPlan().note(letters)
    assert TrainingPlan().note(plain) == TrainingPlan(augment="crop+flip").note(letters) == ""


def test_what_is_made_of_digits_is_not_mirrored_either(tmp_path: Path) -> None:
    digits = load_images("digits", profile="step:10")
    (tmp_path / "drop.csv").write_text(f"id\n{digits.train.ids[0]}\n")
    made = [digits, digits.resized((16, 16)), drop_images(digits, tmp_path / "drop.csv")]
    made += [oversample_pixels(digits, "random"), digits.with_profile("exp:2", 1)]
    assert [augment_of(one) for one in made] == ["crop"] * len(made)
    assert augment_of(load_images("shapes")) == "crop+flip"


def test_a_training_that_mirrored_is_resumed_with_the_option_that_the_refusal_names(
    plain: ImageSet, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text(FACTORY)
    settings: dict[str, Any] = {
        "arch": f"{tmp_path / 'net.py'}:build",
        "epochs": 1,
        "precision": "32-true",
        "batch_size": 4,
    }
    out, letters = tmp_path / "run", unmirrored(plain)
    train(plain, out=out, progress=False, **settings)  # what an earlier version did with letters too
    with pytest.raises(InputError, match=r"had augment 'crop\+flip', and 'crop' is requested") as refused:
        train(letters, out=out, progress=False, resume=True, **settings)
    assert "--augment crop+flip" in refused.value.hint
    again = train(letters, out=out, progress=False, resume=True, augment="crop+flip", **settings)
    assert again.meta["augment"] == "crop+flip"
    fresh = train(letters, out=out, progress=False, force=True, **settings)
    assert fresh.meta["augment"] == "crop"
