"""Interventions at capture: what is removed, by hand; a network that uses a frame, one that does not; cost and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from imblens.data import ImageSplit
from imblens.errors import NotApplicable
from imblens.extraction import CUES, capture, without
from imblens.extraction._shortcuts import Shortcuts
from imblens.lenses import diagnosis, shortcuts
from tests.extraction.networks import Weighted

SIDE, N = 20, 30
BORDER = 3  # pixels: 15% of 20


class Counting(Weighted):
    """Counts the images that it sees."""

    seen = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        return super().forward(x)


def images(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey noise; class 1 has a green frame and a dark middle, which both tell it apart."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], N)
    pixels = np.repeat(rng.integers(100, 140, (2 * N, SIDE, SIDE, 1)), 3, axis=3).astype(np.uint8)
    inner = pixels[N:, BORDER:-BORDER, BORDER:-BORDER].copy()
    pixels[N:] = (40, 200, 60)
    pixels[N:, BORDER:-BORDER, BORDER:-BORDER] = inner
    pixels[N:, 8:12, 8:12] = 0
    return pixels, labels


def reader_of(where: str) -> Counting:
    """A network whose two logits differ by the green above red at the border, or by the darkness of the middle."""
    weight = torch.zeros(2, 3, SIDE, SIDE)
    if where == "border":
        frame = torch.ones(SIDE, SIDE)
        frame[BORDER:-BORDER, BORDER:-BORDER] = 0
        weight[1, 1], weight[1, 0] = frame, -frame
    else:
        weight[1, :, 8:12, 8:12] = -1.0
    model = Counting(weight)
    with torch.no_grad():
        model.head.bias.copy_(torch.tensor([0.0, -30.0 if where == "border" else 12.0]))
    return model


def captured(model: nn.Module, **options: object):
    return capture(model, train=images(0), test=images(1), classes=["plain", "framed"], **options)


def test_a_class_that_lives_by_its_frame_is_found() -> None:
    run = captured(reader_of("border"))
    assert run.test is not None and run.test.correct.all()
    table = shortcuts(run).tables["shortcuts"].set_index(["class", "cue"])
    framed = table.loc[("framed", "border")]
    assert framed["accuracy"] == 1 and framed["accuracy_without"] == 0 and framed["drop_low"] > 0.8
    assert framed["explained"] == pytest.approx(1, abs=0.05)
    assert table.loc[("plain", "border"), "drop"] == 0
    assert table.loc[("framed", "colour"), "band"] == "green" and table.loc[("framed", "colour"), "drop"] == 1
    lines = shortcuts(run).lines()
    assert set(lines) == {"framed"} and "falls from 100% to 0%" in lines["framed"]
    first = diagnosis(run).tables["diagnosis"].groupby("class").head(1).set_index("class")
    assert first.loc["framed", "cause"] == "shortcut" and first.loc["plain", "cause"] != "shortcut"
    assert not diagnosis(run).tables["diagnosis"]["cause"].isin(["shortcut_colours"]).any()


def test_a_network_that_ignores_the_frame_is_not_accused() -> None:
    run = captured(reader_of("middle"))
    assert run.test is not None and run.test.correct.all()
    table = shortcuts(run).tables["shortcuts"].set_index(["class", "cue"])
    assert table.loc[("framed", "border"), "drop"] == 0
    assert table.loc[("framed", "border"), "logit_change"] == pytest.approx(0, abs=1e-3)
    assert "framed" not in {name for name in shortcuts(run).lines() if "border" in shortcuts(run).lines()[name]}


def test_surroundings_of_boxes_are_removed() -> None:
    pixels, labels = images(2)
    box = [[1, BORDER, BORDER, SIDE - BORDER, SIDE - BORDER]]
    split = ImageSplit.from_arrays(pixels, labels, boxes=[box if label else np.empty((0, 5)) for label in labels])
    run = capture(
        reader_of("border"), train=split, test=split, classes=["plain", "framed"], alignment=False, concepts=None
    )
    table = shortcuts(run).tables["shortcuts"].set_index(["class", "cue"])
    assert table.loc[("framed", "surroundings"), "accuracy_without"] == 0
    assert ("plain", "surroundings") not in table.index  # it has no boxes


def test_an_object_that_fills_its_box_keeps_its_outline_without_the_surroundings() -> None:
    rng = np.random.default_rng(0)
    labels, dark = np.repeat([0, 1], N), slice(5, 15)
    pixels = np.repeat(rng.integers(120, 180, (2 * N, SIDE, SIDE, 1)), 3, axis=3).astype(np.uint8)
    pixels[N:, dark, dark] = 20
    weight = torch.zeros(2, 3, SIDE, SIDE)
    weight[1, :, 2:18, 2:18] = 100 / (256 - 100)  # around the object
    weight[1, :, dark, dark] = -1.0
    model = Weighted(weight)
    with torch.no_grad():
        model.head.bias.copy_(torch.tensor([0.0, -60.0]))  # darker than what is around it by a fifth
    boxes = [[[1, 5, 5, 15, 15]] if label else np.empty((0, 5)) for label in labels]
    split = ImageSplit.from_arrays(pixels, labels, boxes=boxes)
    run = capture(model, train=split, test=split, classes=["plain", "dark"], alignment=False, concepts=None)
    row = shortcuts(run).tables["shortcuts"].set_index(["class", "cue"]).loc[("dark", "surroundings")]
    assert row["accuracy"] == 1 and row["accuracy_without"] == 1


def test_the_fill_of_surroundings_is_of_each_image_alone() -> None:
    """A class that is in every training image has no others; the images of another class in its batch are filled as ever."""
    probe = Shortcuts(2, "test")
    probe._total, probe._n_total = np.array([6.0]), 3
    probe._own_total, probe._n_own = np.array([[6.0], [2.0]]), np.array([3, 1])
    images, inside = torch.full((2, 1, 8, 8), 5.0), np.zeros((2, 8, 8), bool)
    inside[:, 2:6, 2:6] = True
    images[:, :, ~inside[0]] = 9.0
    filled = probe._alone(images, inside, np.array([0, 1]))
    assert filled[1, 0, 0, 0] == 2.0  # (6 - 2) / (3 - 1)
    assert filled[0].equal(without(images, inside)[0])
    assert Shortcuts(2, "test")._alone(images, inside, np.array([0, 1])).equal(without(images, inside))


def test_a_network_in_bfloat16_is_tried() -> None:
    run = captured(reader_of("border").to(torch.bfloat16))
    assert set(shortcuts(run).tables["shortcuts"]["cue"]) >= {"border", "tint"}


def test_cost_is_at_most_four_passes_over_the_sample() -> None:
    plain, tried = reader_of("border"), reader_of("border")
    captured(plain, shortcuts=False, colours=False)
    captured(tried, colours=False)
    trial = 4  # one image for each split, and the first instances again
    assert tried.seen - plain.seen <= 2 * N * len(CUES) + 16 * trial
    assert "cut_class" not in captured(reader_of("border"), shortcuts=False).test.columns


def test_the_fill_comes_from_what_stays() -> None:
    pixels = torch.full((1, 3, 16, 16), 5.0)
    pixels[:, :, :4] = 100.0
    keep = np.ones((1, 16, 16), bool)
    keep[:, :4] = False
    assert torch.allclose(without(pixels, keep), torch.full_like(pixels, 5.0), atol=0.01)
    nothing = np.zeros((1, 16, 16), bool)
    assert without(pixels, nothing).equal(pixels)
    half = without(torch.rand(2, 1, 64, 48), np.repeat(np.arange(48)[None, None] < 24, 64, axis=1).repeat(2, axis=0))
    assert half.shape == (2, 1, 64, 48) and half.isfinite().all() and half.max() <= 1


def test_what_cannot_be_changed_is_skipped_with_the_reason() -> None:
    tensors = torch.randn(12, 3, 10, 10)
    network = nn.Sequential(nn.Flatten(), nn.Linear(300, 2))
    run = capture(network, train=(tensors, [0, 1] * 6), test=(tensors, [0, 1] * 6))
    with pytest.raises(NotApplicable, match="preprocessing"):
        shortcuts(run)
    small = np.zeros((6, 4, 4, 3), np.uint8)
    run = capture(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), train=(small, [0, 1] * 3))
    assert "fewer than 8 pixels" in run.meta["shortcuts"]["skipped"]


def test_multi_label_images_are_sampled_for_their_labels() -> None:
    pixels, labels = images(3)
    both = np.stack([np.ones_like(labels), labels], axis=1).astype(np.uint8)
    run = capture(reader_of("border"), train=(pixels, both), test=(pixels, both), classes=["any", "framed"])
    table = shortcuts(run).tables["shortcuts"].set_index(["class", "cue"])
    assert table.loc[("framed", "border"), "image_count"] + table.loc[("any", "border"), "image_count"] == 2 * N
    assert table.loc[("framed", "border"), "accuracy"] == 1 and table.loc[("framed", "border"), "accuracy_without"] == 0
