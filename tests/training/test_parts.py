"""Schedules, samplers, batches, augmentation, statistics, files."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from imblens.base.files import write_bytes
from imblens.data import ImageSet, ImageSplit
from imblens.errors import ImblensError, MissingError, StorageError
from imblens.training import (
    SCHEDULES,
    Aurocs,
    Batches,
    Recalls,
    TrainingPlan,
    augmentation,
    channel_statistics,
    draw_epoch,
    find_schedule,
    rare_classes,
    sampler_descriptions,
    schedule_descriptions,
    shrunk,
)
from imblens.workflows import train_and_capture


def test_the_long_schedule_is_the_papers() -> None:
    plan = find_schedule("cao200")
    rates = [plan.lr * plan.lr_share(epoch, 200) for epoch in range(200)]
    assert rates[:6] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1, 0.1])
    assert [rates[e] for e in (159, 160, 179, 180, 199)] == pytest.approx([0.1, 0.001, 0.001, 1e-5, 1e-5])
    assert (plan.momentum, plan.weight_decay, plan.batch_size, plan.pad, plan.flip) == (0.9, 2e-4, 128, 4, True)


def test_the_schedule_of_looking_is_the_papers() -> None:
    plan = find_schedule("looking50")
    assert (plan.optimizer, plan.lr, plan.weight_decay, plan.batch_size, plan.epochs) == ("adam", 4e-4, 1e-6, 512, 50)
    assert plan.flip and plan.window == (0.08, 1.0) and plan.jitter and plan.augment == "crop+flip+jitter"
    expected = [2e-4 * (1 + math.cos(math.pi * epoch / 50)) for epoch in range(51)]
    assert [plan.lr * plan.lr_share(epoch, 50) for epoch in range(51)] == pytest.approx(expected)


def test_jitter_changes_colours_and_crops_are_shares_of_the_side() -> None:
    torch.manual_seed(0)
    plan = find_schedule("looking50")
    grey = torch.rand(40, 1, 48, 64).expand(-1, 3, -1, -1).clone()
    result = augmentation(plan)(grey)
    assert result.shape == grey.shape and 0 <= result.min() and result.max() <= 1
    assert torch.equal(result[:, 0], result[:, 1])  # a grey image stays grey
    crop = next(iter(augmentation(find_schedule("short_adam"))))
    crop(grey)
    assert crop._crop.flags["padding"] == 6  # an eighth of 48


def test_looking_crops_before_it_resizes() -> None:
    """A window of an image that rises from left to right is a steeper or equal ramp, without zeros from padding."""
    torch.manual_seed(0)
    ramp = (0.5 + torch.arange(48.0) / 96).expand(60, 3, 48, 48).clone()
    plan = find_schedule("looking50").augmented("crop")
    found = augmentation(plan)(ramp)[:, 0, 24]  # (60, 48)
    assert found.shape[1] == 48 and 0.5 - 1e-4 <= found.min() and found.max() <= 0.99
    widths = (found[:, -1] - found[:, 0]) * 96 / 47  # share of the width that the window keeps
    assert 0.2 < widths.min() < 0.5 and 0.8 < widths.max() <= 1.01
    assert not len(augmentation(plan.augmented("none")))


def test_windows_are_taken_from_images_larger_than_the_input() -> None:
    """Stripes of a pixel are grey at half the size: a small window of the stored image still has them."""
    torch.manual_seed(0)
    stripes = (torch.arange(96) % 2.0).expand(40, 3, 96, 96).clone()
    plan = find_schedule("looking50").augmented("crop")
    found = augmentation(plan, (48, 48))(stripes)
    assert found.shape == (40, 3, 48, 48)
    assert found.std(dim=(1, 2, 3)).max() > 0.25
    halved = functional.interpolate(stripes, (48, 48), mode="bilinear", antialias=True)
    assert augmentation(plan)(halved).std(dim=(1, 2, 3)).max() < 0.05


def test_a_network_of_one_input_size_is_trained_on_larger_images(tmp_path: Path) -> None:
    """Flattened inputs: training, validation and capture all fail if images enter at another size than 10 x 10."""
    factory = "from torch import nn\ndef build(n):\n    return nn.Sequential(nn.Flatten(), nn.Linear(300, n))\n"
    (tmp_path / "net.py").write_text(factory)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3), dtype=np.uint8)
    splits = [ImageSplit.from_arrays(pixels[i::3], np.arange(10) % 2) for i in range(3)]
    images = ImageSet("noise", ("a", "b"), "multiclass", splits[0], val=splits[1], test=splits[2])
    plan = TrainingPlan(arch=f"{tmp_path / 'net.py'}:build", schedule="looking50", epochs=1, input_size=10)
    run, trained = train_and_capture(images, tmp_path / "out", plan, colours=False, thumbnails=False)
    assert trained.meta["preprocessing"]["size"] == [10, 10] and trained.meta["input_size"] == 10
    assert run.train.features.shape == (10, 300) and trained.log["split"].tolist() == ["val"]
    assert "input_size" not in TrainingPlan().record()  # trainings of earlier versions resume


def test_metrics_of_labels_are_aurocs_of_known_labels() -> None:
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(50, 4)).round(1), rng.integers(-1, 2, (50, 4))
    labels[:, 2] = np.where(labels[:, 2] > 0, -1, labels[:, 2])  # no known positive
    tally = Aurocs(4)
    for rows in (slice(0, 20), slice(20, 50)):
        tally.add(torch.tensor(logits[rows]), torch.tensor(labels[rows]))
    for c, found in enumerate(tally.values()):
        yes, no = logits[labels[:, c] == 1, c], logits[labels[:, c] == 0, c]
        pairs = (yes[:, None] > no) + 0.5 * (yes[:, None] == no)
        assert np.isnan(found) if c == 2 else found == pytest.approx(pairs.mean(), abs=1e-6)


def test_steps_move_along_with_the_number_of_epochs() -> None:
    for epochs in (20, 40, 400):
        stretched = [find_schedule("cao200").lr_share(epoch, epochs) for epoch in range(epochs)]
        assert stretched.count(1e-4) == pytest.approx(epochs / 10)
        assert stretched.count(0.01) == pytest.approx(epochs / 10)
    assert find_schedule("cao200").lr_share(3.99, 200) == find_schedule("cao200").lr_share(3, 200)


def test_one_cycle_rises_once_and_ends_at_zero() -> None:
    shares = np.array([find_schedule("short").lr_share(done, 12) for done in np.linspace(0, 12, 400)])
    peak = int(shares.argmax())
    assert shares.max() == pytest.approx(1, abs=0.02) and shares.min() >= 0 and shares[-1] == pytest.approx(0)
    assert (np.diff(shares[: peak + 1]) > 0).all() and (np.diff(shares[peak:]) < 0).all()


def test_small_sets_are_seen_more_often() -> None:
    plan = find_schedule("short")
    assert plan.epochs_for(97) == plan.epochs
    assert plan.epochs_for(3) == math.ceil(plan.least_steps / 3)
    assert find_schedule("cao200").epochs_for(1) == 200


def test_natural_order_is_every_image_once_and_differs_by_seed() -> None:
    labels = np.array([0, 0, 0, 2, 2, 1])
    orders = [draw_epoch(labels, "natural", n_classes=3, epoch=0, epochs=1, seed=seed) for seed in (5, 5, 6)]
    assert sorted(orders[0]) == list(range(6))
    assert (orders[0] == orders[1]).all() and (orders[0] != orders[2]).any()


@pytest.mark.parametrize(
    ("sampler", "epoch", "expected"),
    [
        ("class_balanced", 0, [1 / 3, 1 / 3, 1 / 3, 0]),
        ("square_root", 0, [10 / 13, 1 / 13, 2 / 13, 0]),
        ("progressive", 0, [100 / 105, 1 / 105, 4 / 105, 0]),
        ("progressive", 4, [1 / 3, 1 / 3, 1 / 3, 0]),
        ("progressive", 2, [0.5 * (100 / 105 + 1 / 3), 0.5 * (1 / 105 + 1 / 3), 0.5 * (4 / 105 + 1 / 3), 0]),
    ],
)
def test_samplers_draw_classes_as_in_the_paper(sampler: str, epoch: int, expected: list[float]) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [10_000, 100, 400]))  # none of class 3
    drawn = draw_epoch(labels, sampler, n_classes=4, epoch=epoch, epochs=5, seed=1)
    shares = np.bincount(labels[drawn], minlength=4) / len(labels)
    spread = 5 * np.sqrt(np.array(expected) * (1 - np.array(expected)) / len(labels))
    assert len(drawn) == len(labels) and (np.abs(shares - expected) <= spread).all()


def test_images_of_a_class_are_drawn_alike() -> None:
    labels = np.array([0] * 4 + [1] * 20_000)
    drawn = draw_epoch(labels, "class_balanced", n_classes=2, epoch=0, epochs=1, seed=0)
    counts = np.bincount(drawn[drawn < 4], minlength=4)
    assert counts.min() > 0.9 * counts.max()


def test_batches_hold_every_image_and_are_of_one_size() -> None:
    images = np.arange(13 * 2 * 3 * 3, dtype=np.uint8).reshape(13, 2, 3, 3)
    batches = Batches(images, np.arange(13), 6)
    batches.order = np.arange(13)[::-1]
    found = list(batches)
    assert len(batches) == 3 and [len(labels) for _, labels in found] == [5, 4, 4]
    assert torch.equal(torch.cat([p for p, _ in found]), torch.from_numpy(images[::-1].copy()))
    assert torch.cat([labels for _, labels in found]).tolist() == list(range(12, -1, -1))
    found[0][0].zero_()
    assert images[12].any()  # batches are copies


def test_augmented_images_are_windows_of_the_padded_image_or_its_mirror_image() -> None:
    torch.manual_seed(0)
    images = torch.rand(200, 3, 6, 5)
    result = augmentation(find_schedule("cao200"))(images)
    padded = functional.pad(images, (4, 4, 4, 4))
    seen = set()
    for i in range(200):
        places = [
            (y, x, mirrored)
            for mirrored in (False, True)
            for y in range(9)
            for x in range(9)
            if torch.equal(result[i].flip(2) if mirrored else result[i], padded[i, :, y : y + 6, x : x + 5])
        ]
        assert places
        if len(places) == 1:
            seen.add(places[0])
    assert {y for y, _, _ in seen} == {x for _, x, _ in seen} == set(range(9))
    assert {mirrored for *_, mirrored in seen} == {False, True}


def test_images_are_shrunk_only_when_there_is_enough_of_them() -> None:
    even = torch.full((2, 3, 32, 48), 0.3)
    torch.testing.assert_close(shrunk(even), torch.full((2, 3, 24, 36), 0.3))
    assert shrunk(even[:, :, :31]).shape == (2, 3, 31, 48)
    left = torch.zeros(1, 3, 32, 32)
    left[..., :16] = 1
    small = shrunk(left)
    assert (small[..., :11] > 0.99).all() and (small[..., 13:] < 0.01).all()


def test_statistics_of_channels_are_numpys() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 4, 3), dtype=np.uint8)
    mean, std = channel_statistics(pixels)
    np.testing.assert_allclose(mean, (pixels / 255).mean(axis=(0, 1, 2)), atol=1e-11)
    np.testing.assert_allclose(std, (pixels / 255).std(axis=(0, 1, 2)), atol=1e-11)


def test_which_classes_are_rare() -> None:
    assert rare_classes(np.array([5, 5, 5])).size == 0
    assert rare_classes(np.array([9, 2])).tolist() == [1]
    assert rare_classes(np.array([1, 2, 3, 4, 5, 6, 0])).tolist() == [6, 0]


def test_unknown_names() -> None:
    with pytest.raises(MissingError, match="Did you mean 'short'"):
        find_schedule("shrot")
    with pytest.raises(MissingError, match="Did you mean 'class_balanced'"):
        TrainingPlan(sampler="class_balance")
    assert set(schedule_descriptions()) == set(SCHEDULES)


def test_names_and_descriptions_need_no_torch() -> None:
    code = (
        "import sys; from imblens.training import TrainingPlan, sampler_descriptions, schedule_descriptions;"
        "assert schedule_descriptions() and sampler_descriptions(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "natural" in sampler_descriptions()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder" / "file"
    write_bytes(path, b"old")

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    for call in ("os.fsync", "pathlib.Path.replace", "tempfile.mkstemp"):
        with monkeypatch.context() as patch:
            patch.setattr(call, full)
            with pytest.raises(StorageError, match=r"disk full, .* MB free; nothing under that name was changed"):
                write_bytes(path, b"new")
        assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert issubclass(StorageError, ImblensError)


def test_recalls_of_very_many_classes_need_nothing_of_size_classes_squared() -> None:
    tally = Recalls(200_000)  # a count for every pair of classes would be 320 GB
    logits = torch.zeros(4, 200_000)
    logits[[0, 1, 2, 3], [5, 5, 7, 199_999]] = 1
    tally.add(logits[:3], torch.tensor([5, 7, 7]))
    tally.add(logits[3:], torch.tensor([199_999]))
    found = tally.values()
    assert found[[5, 7, 199_999]].tolist() == [1, 0.5, 1]
    assert np.isnan(found).sum() == 199_997
