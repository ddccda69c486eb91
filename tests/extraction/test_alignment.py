"""Class activation maps against boxes: as Captum has them, as CAM has them, by hand, and with nothing disturbed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from imblens.data import ImageSplit
from imblens.extraction import KEPT, MEASURES, boxed, capture, encoded, mask_of, overlaps
from imblens.models import build_model
from tests.extraction.networks import Pair, Residual, Weighted, seeded, sequential
from tests.oracles.alignment_captum import class_map, overlap

RNG = np.random.default_rng(4)
H, W, N = 12, 10, 11
PIXELS = RNG.integers(0, 256, size=(N, H, W, 3), dtype=np.uint8)
LABELS = RNG.integers(0, 2, size=(N, 3))
LABELS[:3] = np.eye(3)


def whole_boxes(rng, n, *, classes=3, size=(H, W)):
    """Up to four boxes in whole pixels for each image; the second image has none."""
    found = []
    for i in range(n):
        k = 0 if i == 1 else int(rng.integers(0, 5))
        x0, y0 = rng.integers(0, size[1] - 2, k), rng.integers(0, size[0] - 2, k)
        x1 = np.minimum(size[1], x0 + rng.integers(1, 7, k))
        y1 = np.minimum(size[0], y0 + rng.integers(1, 7, k))
        found.append(np.column_stack([rng.integers(0, classes, k), x0, y0, x1, y1]).astype(np.float32))
    return found


BOXES = whole_boxes(RNG, N)


def images(labels=LABELS, boxes=BOXES, pixels=PIXELS):
    return ImageSplit.from_arrays(pixels, labels, boxes=boxes)


@pytest.mark.parametrize("colours", [True, False])
@pytest.mark.parametrize(("make", "layer"), [(sequential, "0"), (Residual, "body"), (Pair, "convolution")])
def test_as_captum_has_it_one_image_at_a_time(make, layer, colours) -> None:
    model = seeded(make)
    run = capture(model, train=images(), test=images(), concepts=None, colours=colours, batch_size=4)
    assert run.meta["alignment"]["layer"] == layer and run.meta["alignment"]["split"] == "test"
    assert "cam_iobb" not in run.train.columns
    found = np.stack([run.test.matrix(name) for name in MEASURES], axis=-1)  # (N, C, 5)
    for i, boxes in enumerate(BOXES):
        for c in range(3):
            own = boxes[boxes[:, 0] == c, 1:]
            if len(own):
                expected = overlap(class_map(model, layer, PIXELS[i], c), own.tolist(), (H, W))
                np.testing.assert_allclose(found[i, c], expected, atol=2e-5)
            else:
                assert np.isnan(found[i, c]).all()


class Keep(nn.Module):
    """A globally pooled network that keeps its last maps."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 7, 3), nn.ReLU(inplace=True), nn.Conv2d(7, 6, 3), nn.ReLU(inplace=True))
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        self.maps = self.body(x)
        return self.head(self.maps.mean(dim=(2, 3)))


def test_equal_to_cam_where_maps_are_pooled_globally() -> None:
    """CAM: the maps weighted by the head's row of the class (Zhou et al. 2016), here without any gradient."""
    model = seeded(Keep)
    run = capture(model, train=images(), concepts=None)
    with torch.no_grad():
        model(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255)
        cams = torch.einsum("bkhw,ck->bchw", model.maps, model.head.weight)
    low, high = cams.amin(dim=(2, 3), keepdim=True), cams.amax(dim=(2, 3), keepdim=True)
    cams = (cams - low) / (high - low)
    table = run.train.instances(["cam", "boxes"])
    height, width = run.meta["alignment"]["map_size"]
    assert run.meta["alignment"]["layer"] == "body" and (height, width) == (H - 4, W - 4)
    checked = 0
    for i, boxes in enumerate(BOXES):
        if not len(boxes):
            assert table["cam"][i] is None
            continue
        kept = np.frombuffer(table["cam"][i], np.uint8).reshape(-1, height, width) / 255
        for cam, c in zip(kept, np.unique(boxes[:, 0]).astype(int), strict=True):
            np.testing.assert_allclose(cam, cams[i, c].numpy(), atol=0.5 / 255 + 1e-5)
            checked += 1
    assert checked > 8


def test_by_hand() -> None:
    cam = torch.tensor([[[0.0, 0.5], [1.0, 0.5]]])  # strongest at the lower left
    pair = boxed([np.array([[0, 0, 1, 1, 2], [0, 0, 1, 1, 2]], np.float32)], 1, (2, 2))  # the lower left pixel, twice
    assert overlaps(cam, pair, (2, 2)).tolist() == [[1.0, 0.5, 0.5, 1.0, 0.25]]
    even = overlaps(torch.full((1, 2, 2), torch.nan), pair, (2, 2))
    assert np.isnan(even).all()


def test_a_map_that_is_the_box_is_perfect_and_its_complement_is_nothing() -> None:
    pair = boxed([np.array([[0, 2, 3, 7, 9]], np.float32)], 1, (H, W))
    mask = torch.from_numpy(mask_of(pair[0].ranges, (H, W))).double()[None]
    assert overlaps(mask, pair, (H, W))[0, :4].tolist() == [1, 1, 1, 1]
    assert overlaps(1 - mask, pair, (H, W))[0, :4].tolist() == [0, 0, 0, 0]


def test_batches_order_and_the_other_probes_do_not_change_it() -> None:
    model, order = seeded(sequential), RNG.permutation(N)
    plain = capture(model, train=images(), colours=False, concepts=None)
    for other in (
        capture(model, train=images(), batch_size=3),
        capture(model, train=images(LABELS[order], [BOXES[i] for i in order], PIXELS[order]), precision="bf16"),
    ):
        back = np.argsort(order) if other.meta["capture"]["precision"] == "bf16" else np.arange(N)
        for name in MEASURES:
            np.testing.assert_allclose(other.train.matrix(name)[back], plain.train.matrix(name), atol=1e-5)


def test_features_are_the_same_with_and_without() -> None:
    model = seeded(lambda: build_model("resnet32", 3))
    with_maps, without = (capture(model, train=images(), alignment=on, concepts=None) for on in (True, False))
    np.testing.assert_array_equal(with_maps.train.features, without.train.features)
    np.testing.assert_array_equal(with_maps.train.logits, without.train.logits)
    np.testing.assert_array_equal(with_maps.train.matrix("band_count"), without.train.matrix("band_count"))


def test_the_network_is_left_as_found() -> None:
    from tests.extraction.test_as_found import lived_in, portrait

    for make in (sequential, Residual, Pair):
        model = lived_in(make)
        before = portrait(model)
        capture(model, train=images(), test=images())
        after = portrait(model)
        assert {key for key in before if before[key] != after[key]} == set()


def test_boxes_that_cannot_count_are_left_out() -> None:
    odd = [
        np.array([[3, 0, 0, 4, 4], [-1, 0, 0, 4, 4], [0, 20, 0, 30, 4], [1, 5, 5, 5, 9]], np.float32),
        np.array([[0, -3, -3, 0.2, 0.2]], np.float32),  # a corner smaller than a pixel counts as one
    ]
    found = boxed(odd, 3, (H, W))
    assert [(pair.row, pair.label, pair.ranges.tolist()) for pair in found] == [(1, 0, [[0, 0, 1, 1]])]


def test_without_boxes_or_maps_there_is_a_reason() -> None:
    run = capture(seeded(sequential), train=(PIXELS, LABELS))
    assert run.meta["alignment"] == {"skipped": "the images have no boxes."} == run.meta["concepts"]
    flat = nn.Sequential(nn.Flatten(), nn.Linear(H * W * 3, 3))
    assert "no convolution" in capture(flat, train=images()).meta["alignment"]["skipped"]
    linear = capture(Weighted(torch.ones(3, 3, H, W)), train=images())
    assert "no convolution" in linear.meta["concepts"]["skipped"]


def test_a_cut_gradient_is_reported() -> None:
    class Cut(Keep):
        def forward(self, x):
            return self.head(self.body(x).mean(dim=(2, 3)).detach())

    run = capture(Cut(), train=images(), test=images())
    assert "gradient" in run.meta["alignment"]["skipped"]
    assert "concept_disjoint" in run.test.columns


def test_a_constant_map_is_unknown() -> None:
    model = seeded(Keep)
    with torch.no_grad():
        model.head.weight.zero_()
    run = capture(model, train=images(), concepts=None)
    assert np.isnan(run.train.matrix("cam_ior")).all()


def test_few_maps_are_kept_errors_first_and_survive_the_disk(tmp_path) -> None:
    n = 6 * KEPT
    pixels = RNG.integers(0, 256, size=(n, H, W, 3), dtype=np.uint8)
    labels = RNG.integers(0, 3, n)
    boxes = [np.array([[label, 1, 1, 5, 5]], np.float32) for label in labels]
    model = seeded(sequential)
    run = capture(model, train=images(labels, boxes, pixels), out=tmp_path / "run", batch_size=7)
    table = run.train.instances(["view", "boxes", "cam"])
    kept = table["view"].notna().to_numpy()
    wrong = run.train.logits.argmax(axis=1) != labels
    for label in range(3):
        own = np.flatnonzero(labels == label)
        later = [row for row in own[8:] if wrong[row]]
        np.testing.assert_array_equal(np.flatnonzero(kept & (labels == label)), sorted([*own[:8], *later[: KEPT - 8]]))
    assert (~wrong & ~kept).any() and (wrong & ~kept).any()
    row = table[kept].iloc[0]
    assert len(row["cam"]) == H * W and row["view"].startswith(b"\x89PNG")
    np.testing.assert_allclose(row["boxes"], [labels[kept][0], 0.1, 1 / 12, 0.5, 5 / 12], atol=1e-6)


def test_of_several_labels_images_that_miss_one_are_kept() -> None:
    n = 40
    labels = np.eye(3, dtype=np.uint8)[np.zeros(n, int)]
    boxes = [np.array([[0, 1, 1, 5, 5]], np.float32)] * n
    pixels = RNG.integers(0, 256, size=(n, H, W, 3), dtype=np.uint8)
    run = capture(seeded(sequential), train=images(labels, boxes, pixels), concepts=None, colours=False)
    kept = run.train.instances(["view"])["view"].notna().to_numpy()
    missed = run.train.logits[:, 0] <= 0
    np.testing.assert_array_equal(kept, [i < 8 or (missed[i] and 8 + missed[8:i].sum() < KEPT) for i in range(n)])


def test_large_images_are_kept_small() -> None:
    assert encoded(np.zeros((300, 500, 3), np.uint8)).startswith(b"\xff\xd8")


def test_a_val_split_is_read_without_looking() -> None:
    run = capture(seeded(sequential), train=images(), test=images(), val=images())
    assert run.val.columns == ("id",) and "cam_ior" in run.test.columns
    np.testing.assert_array_equal(run.val.features, run.test.features)
    np.testing.assert_array_equal(run.val.logits, run.test.logits)


class Functional(nn.Module):
    """Rectifies in a function before it pools, so that no module gives the maps that are pooled."""

    def __init__(self, *, rectify: nn.Module | None = None) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.rectify = rectify
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        maps = self.norm(self.body(x))
        maps = nn.functional.relu(maps, inplace=True) if self.rectify is None else self.rectify(maps)
        return self.fc(maps.mean(dim=(2, 3)))


def test_maps_that_a_function_rectifies_are_those_that_a_module_rectifies() -> None:
    whole = seeded(lambda: Functional(rectify=nn.ReLU()))
    split = Functional()
    split.load_state_dict(whole.state_dict())
    options = {"train": images(), "test": images(), "concepts": 0.05, "colours": False, "batch_size": 4}
    one, two = capture(whole, **options), capture(split, **options)
    assert (one.meta["alignment"]["layer"], two.meta["alignment"]["layer"]) == ("rectify", "norm")
    assert (one.meta["alignment"]["rectified"], two.meta["alignment"]["rectified"]) == (False, True)
    for name in (*MEASURES, "concept_disjoint", "concept_unique"):
        np.testing.assert_allclose(one.test.matrix(name), two.test.matrix(name), rtol=1e-6, equal_nan=True)
    np.testing.assert_array_equal(one.test.logits, two.test.logits)


def test_wide_networks_end_in_a_module() -> None:
    run = capture(
        build_model("wideresnet16_4", 3), train=images(), test=images(), concepts=None, colours=False, batch_size=8
    )
    assert run.meta["alignment"]["layer"] == "rectify"
