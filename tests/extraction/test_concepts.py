"""Concepts: thresholds against exact quantiles, regions against SciPy, and what must not count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from imblens.data import ImageSplit
from imblens.errors import InputError
from imblens.extraction import ChannelHistogram, boxed, capture, concepts_in_boxes
from tests.extraction.networks import seeded
from tests.extraction.test_alignment import BOXES, LABELS, PIXELS, H, Keep, W, images, whole_boxes
from tests.oracles.concepts_loop import count, exact_thresholds

RNG = np.random.default_rng(8)


def smooth(n, channels, h, w, *, rng=RNG, rectified=True):
    maps = ndimage.gaussian_filter(rng.normal(size=(n, channels, h, w)), (0, 0, 1, 1))
    return (np.maximum(maps, 0) if rectified else maps).astype(np.float32)


def histogram(*pieces):
    found = ChannelHistogram(pieces[0].shape[1])
    for piece in pieces:
        found.update(piece)
    return found


@pytest.mark.parametrize("share", [0.5, 0.04, 0.01, 0.001])
@pytest.mark.parametrize("kind", ["rectified", "signed", "wide", "whole"])
def test_thresholds_are_the_exact_quantiles(kind, share) -> None:
    rng = np.random.default_rng(3)
    values = {
        "rectified": lambda: np.maximum(rng.normal(0.5, 1, (31, 6, 5, 7)), 0),
        "signed": lambda: rng.normal(-0.3, 1, (31, 6, 5, 7)) * np.array([1e-4, 1, 1e3, 1, 50, 1e-2])[:, None, None],
        "wide": lambda: np.exp(rng.normal(0, 6, (31, 6, 5, 7))),
        "whole": lambda: rng.integers(-3, 9, (31, 6, 5, 7)),
    }[kind]().astype(np.float32)
    found, exact = histogram(values).thresholds(share), exact_thresholds(values, share)
    least = values.min(axis=(0, 2, 3))
    silent = exact == least  # these get the next larger float
    np.testing.assert_allclose(found[~silent], exact[~silent], rtol=5e-4)
    assert (found[silent] == np.nextafter(least[silent], np.float32(np.inf))).all()


def test_batches_in_any_order_give_the_whole() -> None:
    maps = smooth(20, 5, 6, 4, rectified=False)
    whole = histogram(maps).thresholds(0.03)
    pieces = [maps[a:b] for a, b in ((0, 1), (1, 8), (8, 13), (13, 20))]
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]):
        merged = histogram(*(pieces[i] for i in order))
        assert merged.thresholds(0.03).tolist() == whole.tolist() and merged.n_values == 20 * 24


def test_scaling_by_a_power_of_two_scales_thresholds() -> None:
    maps = smooth(6, 4, 8, 8)
    assert (histogram(np.ldexp(maps, 5)).thresholds(0.02) == np.ldexp(histogram(maps).thresholds(0.02), 5)).all()


def test_dead_and_silent_channels() -> None:
    maps = np.zeros((4, 4, 5, 5), np.float32)
    maps[:, 1] = 2.5  # always the same: dead, as is channel 0
    maps[2, 2, 2, 2] = 1e-6  # silent but for one spot, rarer than the share
    maps[:, 3] = RNG.random((4, 5, 5))
    found = histogram(maps)
    thresholds = found.thresholds(0.1)
    assert found.dead.tolist() == [True, True, False, False]
    assert np.isinf(thresholds[:2]).all() and 0 < thresholds[2] < 1e-40
    everywhere = boxed([np.array([[0, 0, 0, 20, 20]], np.float32)] * 4, 1, (20, 20))
    disjoint, unique = concepts_in_boxes(maps[:, :3], thresholds[:3], everywhere, (20, 20))
    assert disjoint.tolist() == [0, 0, 1, 0] == unique.tolist()


@pytest.mark.parametrize(
    ("maps_size", "size"),
    [((7, 7), (40, 52)), ((14, 14), (112, 112)), ((6, 9), (6, 9)), ((11, 10), (6, 5)), ((1, 4), (8, 31)), ((5, 1), (9, 4))],
)  # fmt: skip
@pytest.mark.parametrize("rectified", [True, False])
def test_regions_are_scipys(maps_size, size, rectified) -> None:
    rng = np.random.default_rng(sum(maps_size))
    maps = smooth(9, 12, *maps_size, rng=rng, rectified=rectified)
    boxes = whole_boxes(rng, 9, classes=4, size=size)
    total = 0
    for share in (0.3, 0.05):
        thresholds = exact_thresholds(maps, share)
        if rectified:
            thresholds = np.maximum(thresholds, 1e-30)
        pairs = boxed(boxes, 4, size)
        disjoint, unique = concepts_in_boxes(maps, thresholds, pairs, size)
        expected = count(maps, thresholds, boxes, size)
        for pair, *found in zip(pairs, disjoint.tolist(), unique.tolist(), strict=True):
            assert tuple(found) == expected[pair.row][pair.label]
        assert len(pairs) == sum(map(len, expected))
        total += disjoint.sum()
    assert total > 20


def test_noise_makes_regions_that_merge_late() -> None:
    """Combs, spirals and rings: regions that a scan meets as several before they turn out to be one."""
    rng = np.random.default_rng(1)
    maps = rng.random((3, 40, 25, 27)).astype(np.float32)
    boxes = whole_boxes(rng, 3, size=(25, 27))
    boxes[1] = np.array([[2, 0, 0, 27, 25]], np.float32)
    thresholds = np.full(40, 0.42)  # near percolation
    pairs = boxed(boxes, 3, (25, 27))
    disjoint, _ = concepts_in_boxes(maps, thresholds, pairs, (25, 27))
    expected = count(maps, thresholds, boxes, (25, 27))
    assert disjoint.tolist() == [expected[pair.row][pair.label][0] for pair in pairs]


def test_a_hole_is_no_concept() -> None:
    ring = np.zeros((1, 1, 9, 9), np.float32)
    ring[0, 0, 1:8, 1:8] = 1
    ring[0, 0, 3:6, 3:6] = 0
    in_the_hole = boxed([np.array([[0, 4, 4, 5, 5]], np.float32)], 1, (9, 9))
    around = boxed([np.array([[0, 0, 0, 9, 9]], np.float32)], 1, (9, 9))
    assert [int(v[0]) for v in concepts_in_boxes(ring, np.array([0.5]), in_the_hole, (9, 9))] == [0, 0]
    assert [int(v[0]) for v in concepts_in_boxes(ring, np.array([0.5]), around, (9, 9))] == [1, 1]


def test_two_boxes_of_a_class_count_a_region_once_and_two_classes_each() -> None:
    bar = np.zeros((1, 1, 3, 9), np.float32)
    bar[0, 0, 1] = 1
    boxes = [np.array([[0, 0, 0, 2, 3], [0, 6, 0, 9, 3], [1, 3, 0, 5, 3]], np.float32)]
    disjoint, unique = concepts_in_boxes(bar, np.array([0.5]), boxed(boxes, 2, (3, 9)), (3, 9))
    assert disjoint.tolist() == [1, 1] == unique.tolist()


def test_more_classes_in_a_image_than_bits_in_a_word() -> None:
    maps = smooth(1, 6, 8, 8)
    boxes = [np.array([[c, c % 8, c // 16, c % 8 + 1, c // 16 + 1] for c in range(100)], np.float32)]
    pairs = boxed(boxes, 100, (8, 8))
    thresholds = exact_thresholds(maps, 0.4)
    expected = count(maps, thresholds, boxes, (8, 8))[0]
    disjoint, unique = concepts_in_boxes(maps, thresholds, pairs, (8, 8))
    assert list(zip(disjoint.tolist(), unique.tolist(), strict=True)) == [expected[c] for c in range(100)]


def test_captured_counts_are_the_slow_ones() -> None:
    model = seeded(Keep)
    train = ImageSplit.from_arrays(RNG.integers(0, 256, (30, H, W, 3), dtype=np.uint8), np.arange(30) % 3)
    test = ImageSplit.from_arrays(PIXELS, LABELS.argmax(axis=1), boxes=BOXES)
    run = capture(model, train=train, test=test, concepts=0.05, batch_size=4)
    assert "concept_disjoint" not in run.train.columns
    assert run.meta["concepts"] | {"dead_channels": 0} == {
        "layer": "body", "rectified": False, "split": "test", "share": 0.05,
        "channels": 6, "dead_channels": 0, "values": 30 * (H - 4) * (W - 4),
    }  # fmt: skip
    with torch.no_grad():
        model(torch.from_numpy(train.array()).permute(0, 3, 1, 2).float() / 255)
        thresholds = histogram(model.maps.numpy()).thresholds(0.05)
        model(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255)
    expected = count(model.maps.numpy(), thresholds, BOXES, (H, W))
    disjoint, unique = run.test.matrix("concept_disjoint"), run.test.matrix("concept_unique")
    for i, counts in enumerate(expected):
        for c in range(3):
            if c in counts:
                assert (disjoint[i, c], unique[i, c]) == counts[c]
            else:
                assert np.isnan([disjoint[i, c], unique[i, c]]).all()


def test_batches_do_not_matter() -> None:
    model = seeded(lambda: nn.Sequential(Keep()))
    one, two = (capture(model, train=images(), test=images(), batch_size=b) for b in (3, 11))
    np.testing.assert_array_equal(one.test.matrix("concept_disjoint"), two.test.matrix("concept_disjoint"))


def test_boxes_on_training_images_only() -> None:
    run = capture(seeded(Keep), train=images(), test=(PIXELS, LABELS))
    assert "only training images have boxes" in run.meta["concepts"]["skipped"]
    assert "cam_iobb" in run.train.columns and run.meta["alignment"]["split"] == "train"


@pytest.mark.parametrize("share", [0, 1, -0.1, "much"])
def test_a_share_that_cannot_be(share) -> None:
    with pytest.raises(InputError, match="capture: concepts="):
        capture(seeded(Keep), train=images(), concepts=share)
