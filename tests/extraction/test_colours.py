"""The colour probe: by hand, against Captum one image at a time, laws and edges."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from imblens.data import load_images
from imblens.extraction import BANDS, Probe, ProbeBatch, band_columns, capture, salient_pixels, top_pixels
from imblens.models import build_model
from tests.extraction.networks import Residual, Weighted, seeded, sequential

NAMES = list(BANDS)
RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 256, size=(9, 6, 5, 3), dtype=np.uint8)
LABELS = [0, 1, 2, 0, 0, 0, 1, 0, 2]


def test_by_hand_the_colours_under_the_largest_weights_count() -> None:
    """A linear network: its gradient is its weight, whatever the image. 4 x 5 pixels, so the top two count."""
    weight = torch.full((2, 3, 4, 5), 0.01)
    weight[0, 0, 1, 2] = -3.0  # absolute value counts, and one channel is enough
    weight[0, 2, 3, 4] = 2.0
    weight[1, 1, 0, 0] = 5.0
    weight[1, 0, 0, 1] = 4.0
    image = np.full((4, 5, 3), 255, dtype=np.uint8)
    image[1, 2] = (20, 20, 20)
    image[3, 4] = (200, 40, 40)
    image[0, 0] = (60, 150, 60)
    image[0, 1] = (58, 158, 66)
    model = Weighted(weight)
    with torch.no_grad():
        model.head.bias.copy_(torch.tensor([100.0, 0.0]))  # class 0 is the answer
    first = capture(model, train=(image[None].repeat(2, 0), [0, 1]))
    with torch.no_grad():
        model.head.bias.copy_(torch.tensor([0.0, 100.0]))
    second = capture(model, train=(image[None].repeat(2, 0), [0, 1]))

    counts = dict(zip(NAMES, first.train.matrix("band_count")[0].tolist(), strict=True))
    assert {name: n for name, n in counts.items() if n} == {"black": 1, "red": 1}
    counts = dict(zip(NAMES, second.train.matrix("band_count")[1].tolist(), strict=True))
    assert {name: n for name, n in counts.items() if n} == {"green": 2}
    rgb = second.train.matrix("band_rgb")[1].reshape(14, 3)
    assert rgb[NAMES.index("green")].tolist() == [118, 308, 126]
    assert rgb.sum() == 118 + 308 + 126
    assert first.meta["colours"]["bands"]["white"] == "#ffffff"
    assert first.meta["colours"]["top"] == 0.1


@pytest.mark.parametrize(("pixels", "k"), [(1, 1), (4, 1), (20, 2), (26, 3), (1024, 102)])
def test_a_tenth_of_the_pixels_counts(pixels: int, k: int) -> None:
    chosen = top_pixels(torch.rand(3, pixels) + 0.1)
    assert chosen.sum(dim=1).tolist() == [k, k, k]


def test_of_equal_pixels_the_first_count_and_zero_never_does() -> None:
    flat = torch.ones(1, 30)
    assert top_pixels(flat).nonzero()[:, 1].tolist() == [0, 1, 2]
    steps = torch.tensor([[1.0, 5, 5, 2, 5, 5] + [0.0] * 24])
    assert top_pixels(steps).nonzero()[:, 1].tolist() == [1, 2, 4]
    sparse = torch.zeros(1, 30)
    sparse[0, 7] = 1e-30
    assert top_pixels(sparse).nonzero()[:, 1].tolist() == [7]
    assert top_pixels(torch.zeros(2, 30)).sum() == 0


def test_band_sums_are_exact_integers() -> None:
    pixels = RNG.integers(0, 256, size=(3, 7, 4, 3), dtype=np.uint8)
    chosen = RNG.random((3, 28)) < 0.4
    columns = band_columns(pixels, chosen)
    assert columns["band_count"].sum(axis=1).tolist() == chosen.sum(axis=1).tolist()
    expected = np.where(chosen.reshape(3, 7, 4, 1), pixels, 0).sum(axis=(1, 2))
    assert columns["band_rgb"].reshape(3, 14, 3).sum(axis=1).tolist() == expected.tolist()
    everything = band_columns(pixels, np.ones((3, 28), dtype=bool))
    assert everything["band_count"].tolist() == columns["band_present"].tolist()
    assert columns["band_present"].sum(axis=1).tolist() == [28, 28, 28]


class Chosen(Probe):
    """Keeps the salient pixels themselves."""

    name = "chosen"
    gradient = True

    def update(self, batch: ProbeBatch) -> dict[str, np.ndarray]:
        return {"chosen": salient_pixels(batch)}

    def describe(self) -> dict[str, str]:
        return {"what": "salient pixels"}


@pytest.mark.parametrize("make", [sequential, Residual])
def test_as_captum_has_it_one_image_at_a_time(make: type) -> None:
    model = seeded(make)
    run = capture(model, train=(IMAGES, LABELS), probes=[Chosen()])
    expected = _captum_pixels(model, IMAGES)
    np.testing.assert_array_equal(run.train.matrix("chosen"), expected)
    counts = band_columns(IMAGES, expected)
    np.testing.assert_array_equal(run.train.matrix("band_count"), counts["band_count"])
    assert run.meta["chosen"] == {"what": "salient pixels"}


def test_as_captum_has_it_on_real_images(real_data: Path) -> None:
    test = load_images(real_data / "cifar10-lt").test
    assert test is not None
    images = test.subset(np.arange(0, len(test), 10))  # a thousand
    model = seeded(lambda: build_model("smallnet", 10))
    run = capture(model, train=images, probes=[Chosen()], colours=False)
    expected = _captum_pixels(model, images.array())
    assert expected.sum() == len(images) * 102
    assert (run.train.matrix("chosen") & expected).sum() >= 0.999 * expected.sum()


def test_batches_do_not_change_what_counts() -> None:
    model = seeded(sequential)
    whole = capture(model, train=(IMAGES, LABELS)).train.matrix("band_count")
    pieces = capture(model, train=(IMAGES, LABELS), batch_size=2).train.matrix("band_count")
    assert np.abs(whole.astype(int) - pieces).sum() <= 2


def test_order_of_images_is_their_rows_order() -> None:
    model, order = seeded(sequential), np.array([4, 0, 8, 2, 6, 1, 7, 3, 5])
    straight = capture(model, train=(IMAGES, LABELS)).train.matrix("band_rgb")
    turned = capture(model, train=(IMAGES[order], np.array(LABELS)[order])).train.matrix("band_rgb")
    np.testing.assert_array_equal(straight[order], turned)


def test_a_network_that_does_not_look_leaves_no_counts() -> None:
    model = Weighted(torch.zeros(2, 3, 6, 5))
    run = capture(model, train=(IMAGES, np.array(LABELS) % 2))
    assert run.train.matrix("band_count").sum() == 0


def test_tensors_have_no_colours_unless_the_preprocessing_is_known() -> None:
    model = seeded(sequential)
    rules = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}
    mean, std = torch.tensor(rules["mean"])[:, None, None], torch.tensor(rules["std"])[:, None, None]
    tensors = (torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255 - mean) / std
    unknown = capture(model, train=(tensors, LABELS))
    assert "the images behind the inputs, and so their colours, are unknown" in unknown.meta["colours"]["skipped"]
    assert "band_count" not in unknown.train.columns and "thumbnail" not in unknown.train.columns
    known = capture(model, train=(tensors, LABELS), preprocessing=rules)
    images = capture(model, train=(IMAGES, LABELS), preprocessing=rules)
    np.testing.assert_array_equal(known.train.matrix("band_rgb"), images.train.matrix("band_rgb"))
    assert known.train.instances(["thumbnail"]).equals(images.train.instances(["thumbnail"]))


def test_wrong_preprocessing_is_not_believed() -> None:
    tensors = torch.randn(9, 3, 6, 5)
    run = capture(seeded(sequential), train=(tensors, LABELS), preprocessing={"mean": [0.5] * 3, "std": [0.5] * 3})
    assert "skipped" in run.meta["colours"]


def test_a_network_without_gradient_is_captured_without_colours() -> None:
    class Cut(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.head(x.mean(dim=(2, 3)).detach())
            return logits

    run = capture(Cut(), train=(IMAGES, LABELS))
    assert run.meta["colours"] == {"skipped": "the gradient between input and logits is cut (detached)."}
    assert run.train.features.shape == (9, 3)


def test_vectors_have_no_colours() -> None:
    run = capture(torch.nn.Linear(4, 3), train=(RNG.normal(size=(9, 4)), LABELS))
    assert run.meta["colours"]["skipped"].startswith("the inputs have shape (4,)")


def _captum_pixels(model: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """The top tenth by Captum's Saliency, one image at a time, the pixels sorted rather than thresholded."""
    attribution = pytest.importorskip("captum.attr", reason="captum is not installed")
    was_training, model = model.training, model.eval()

    def logits(x: torch.Tensor) -> torch.Tensor:
        answer = model(x.clone())
        return answer["logits"] if isinstance(answer, dict) else answer

    found = []
    for image in images:
        tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            target = int(logits(tensor).argmax())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of setting requires_grad
            slope = attribution.Saliency(logits).attribute(tensor, target=target, abs=True)
        saliency = slope[0].amax(dim=0).flatten().numpy()
        k = max(1, round(0.1 * saliency.size))
        order = np.argsort(-saliency, kind="stable")[:k]
        chosen = np.zeros(saliency.size, dtype=bool)
        chosen[order[saliency[order] > 0]] = True
        found.append(chosen)
    model.train(was_training)
    return np.array(found)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (4, 5, 7), (4, 5)])
def test_batch_normalisation_keeps_its_numbers_and_its_gradient(shape: tuple[int, ...], affine: bool) -> None:
    from imblens.extraction.frozen_norm import FrozenNorms

    kind = {4: torch.nn.BatchNorm2d, 3: torch.nn.BatchNorm1d, 2: torch.nn.BatchNorm1d}[len(shape)]
    norm = kind(5, affine=affine, eps=0.01).requires_grad_(False).eval()
    norm.running_mean.copy_(torch.randn(5))
    norm.running_var.copy_(torch.rand(5) + 0.1)
    x, weights = torch.randn(shape, requires_grad=True), torch.randn(shape)
    plain = norm(x)
    with FrozenNorms():
        ours = norm(x)
    assert torch.equal(plain, ours)
    expected = torch.autograd.grad((plain * weights).sum(), x)[0]
    torch.testing.assert_close(torch.autograd.grad((ours * weights).sum(), x)[0], expected)
    norm.train()
    with FrozenNorms():
        torch.testing.assert_close(norm(x), norm(x))  # batch statistics: left alone


def test_colours_do_not_change_the_features() -> None:
    model = seeded(lambda: build_model("resnet32", 3))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    with_colours = capture(model, train=(IMAGES, LABELS))
    without = capture(model, train=(IMAGES, LABELS), colours=False)
    np.testing.assert_array_equal(with_colours.train.features, without.train.features)
    np.testing.assert_array_equal(with_colours.train.logits, without.train.logits)
