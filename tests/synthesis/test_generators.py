"""Generators: the laws of every over-sampler, and the training of each."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from imblens.data import ImageSet, digits
from imblens.errors import ImblensError, InputError
from imblens.synthesis import (
    GENERATORS,
    Autoencoder,
    Canvas,
    ClassGame,
    ConvexGame,
    Decoder,
    Encoder,
    GameBatches,
    class_gaussians,
    find_oversampler,
    fit_game,
    oversample_pixels,
)
from imblens.training import quiet_lightning
from tests.synthesis.images import colours

NAMES = [generator.name for generator in GENERATORS]
TRAINED = [  # long enough to be judged
    pytest.param(name, marks=[pytest.mark.thorough] * (name in ("cgan", "bagan", "deepsmote"))) for name in NAMES
]
FEW: dict[str, int] = {"width": 4, "batch_size": 8, "latent": 4, "steps": 3}
ENOUGH: dict[str, dict[str, Any]] = {
    "deepsmote": {"steps": 300},
    "bagan": {"steps": 100, "autoencoder_steps": 300, "game_learning_rate": 0.0003},
    "cgan": {"steps": 60},
    "gamo": {"steps": 100},
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small lose more to waiting for the second thread than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def few(name: str) -> dict[str, int]:
    return {**FEW, "autoencoder_steps": 2} if name == "bagan" else FEW


@cache
def small_digits() -> ImageSet:
    return digits().resized((8, 8))


@cache
def balanced_digits(name: str) -> ImageSet:
    options: dict[str, Any] = {"width": 16, "batch_size": 32, "learning_rate": 0.001, **ENOUGH[name]}
    return oversample_pixels(small_digits(), name, **options)


@pytest.mark.parametrize("name", NAMES)
def test_originals_stay_classes_are_balanced_and_test_is_left_alone(name: str, tmp_path: Path) -> None:
    given, lines = colours(), []
    before = given.train.array().copy()
    made = oversample_pixels(given, name, random_state=3, out=tmp_path, progress=lines.append, **few(name))
    assert made.test is given.test and made.val is given.val
    assert (given.train.array() == before).all() and (made.train.array()[:36] == before).all()
    assert made.train.array().dtype == np.uint8 and made.train.array().shape == (60, 8, 6, 3)
    assert made.train.labels[:36].tolist() == given.train.labels.tolist()
    assert made.class_counts.tolist() == [20, 20, 20]
    record = made.source["oversample"]
    assert json.loads(json.dumps(record)) == record and record["synthetic"] == 24
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.npz", "samples.png"]
    assert " to " in lines[0] and "generated in" in lines[-1]


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_and_nothing_global_moves(name: str) -> None:
    def made(seed: int) -> np.ndarray:
        return oversample_pixels(colours(), name, random_state=seed, **few(name)).train.array()

    torch.manual_seed(1)
    state = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    first = made(5)
    assert state == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    torch.manual_seed(2)
    assert (first == made(5)).all() and (first != made(6)).any()


@pytest.mark.parametrize("name", TRAINED)
def test_losses_of_what_is_to_be_reproduced_fall(name: str) -> None:
    losses = balanced_digits(name).source["oversample"]["facts"]["loss"]
    if name == "deepsmote":
        assert losses["reconstruction"][1] < 0.5 * losses["reconstruction"][0]
        assert losses["penalty"][1] < losses["penalty"][0]
    elif name == "bagan":
        assert losses["autoencoder"][1] < 0.5 * losses["autoencoder"][0]
        assert losses["discriminator"][1] < 0.95 * losses["discriminator"][0]
    elif name == "gamo":
        assert losses["classifier"][1] < 0.9 * losses["classifier"][0]
    else:
        assert list(losses) == list("123456789")
        assert all(np.isfinite(list(of_class.values())).all() for of_class in losses.values())


@pytest.mark.parametrize("name", TRAINED)
def test_images_of_a_class_are_taken_for_that_class(name: str) -> None:
    """A classifier of held-out real digits names them right far more often than chance (0.1), in most classes."""
    real, made = small_digits(), balanced_digits(name)
    assert real.test is not None
    judge = LogisticRegression(max_iter=300).fit(real.test.array().reshape(len(real.test), -1) / 255, real.test.labels)
    new, labels = made.train.array()[len(real.train) :], made.train.labels[len(real.train) :]
    right = judge.predict(new.reshape(len(new), -1) / 255) == labels
    by_class = np.array([right[labels == label].mean() for label in range(1, 10)])
    assert right.mean() > 0.4, by_class
    assert (by_class > 0.1).sum() >= 7, by_class


@pytest.mark.parametrize("name", ["deepsmote", "bagan", "cgan"])
def test_images_of_a_class_differ(name: str) -> None:
    made = balanced_digits(name)
    new, labels = made.train.array()[len(small_digits().train) :], made.train.labels[len(small_digits().train) :]
    for label in (1, 2, 3):
        assert len(np.unique(new[labels == label].reshape((labels == label).sum(), -1), axis=0)) > 10


def test_almost_identical_images_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClassGame, "noise", lambda self, n, size: torch.zeros(n, size))
    made = oversample_pixels(colours(), "cgan", **FEW)
    assert "class 'green', 'blue' are almost identical" in made.notes[-1]
    assert made.source["oversample"]["facts"]["spread"] == {"green": 0.0, "blue": 0.0}
    spread = balanced_digits("deepsmote").source["oversample"]["facts"]["spread"]
    assert list(spread) == list("123456789") and all(0.05 < share < 1.1 for share in spread.values())


def test_grey_images_stay_grey_and_odd_sizes_are_kept() -> None:
    assert balanced_digits("deepsmote").train.greyscale
    for height, width in ((1, 1), (5, 9), (17, 30), (64, 33)):
        pixels = np.random.default_rng(0).integers(0, 256, (3, height, width, 3), dtype=np.uint8)
        canvas = Canvas(pixels)
        inputs = canvas.inputs(pixels)
        assert inputs.shape == (3, 3, canvas.height, canvas.width) and inputs.abs().max() <= 1
        assert (canvas.pixels(inputs) == pixels).all()
        encodings = Encoder(canvas, 4, 5)(inputs)
        assert encodings.shape == (3, 5) and Decoder(canvas, 4, 5)(encodings).shape == inputs.shape


def test_what_leaves_the_range_ends_at_black_or_white() -> None:
    canvas = Canvas(np.zeros((1, 2, 2, 3), np.uint8))
    outputs = torch.tensor([[[[-3.0, -1.0], [1.0, 7.0]]]])
    assert canvas.pixels(outputs)[0, :, :, 0].tolist() == [[0, 0], [255, 255]]


def test_gamo_makes_convex_combinations() -> None:
    canvas = Canvas(colours().train.array())
    members = {2: torch.stack([torch.full((3, 8, 6), value) for value in (-0.5, 0.1, 0.4)])}
    game = ConvexGame(members, 3, canvas, 4, 4, 0.001)
    with torch.no_grad():
        game.units["2"].bias[:] = torch.tensor([0.0, 1000.0, 0.0])
        torch.testing.assert_close(game.make(torch.tensor([2, 2])), members[2][[1, 1]])
        game.units["2"].bias[:] = 0
        made = game.make(torch.full((50,), 2))
    assert made.min() >= -0.5 and made.max() <= 0.4
    assert made.std(dim=(1, 2, 3)).max() < 1e-6  # each image is flat, as its members are


def test_bagans_gaussians_have_the_moments_of_a_class() -> None:
    rng = np.random.default_rng(0)
    encodings = np.concatenate([rng.normal(size=(400, 3)) @ rng.normal(size=(3, 3)) + 5, rng.normal(size=(1, 3))])
    means, spreads = class_gaussians(encodings.astype(np.float32), np.repeat([0, 1], [400, 1]), 2)
    np.testing.assert_allclose(means[0], encodings[:400].mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(spreads[0] @ spreads[0].T, np.cov(encodings[:400], rowvar=False), rtol=1e-3, atol=1e-4)
    assert (spreads[1] == 0).all()


def test_deepsmotes_penalty_is_the_papers_or_the_released_one() -> None:
    """With one image in the batch the shuffle changes nothing, and both ask for the same."""
    canvas = Canvas(colours().train.array())
    images = canvas.inputs(colours().train.array()[:12])
    found = {}
    for penalty in ("paper", "released"):
        torch.manual_seed(0)
        game = Autoencoder(canvas, 4, 4, 0.001, penalty)
        game.move = lambda player, loss: loss  # type: ignore[method-assign]
        torch.manual_seed(1)
        found[penalty] = game.play(images, torch.zeros(12))
    torch.manual_seed(1)
    order = torch.randperm(6)
    with torch.no_grad():
        decoded = game.decoder(game.encoder(images[6:]))
        expected = (decoded[order] - images[6:]).square().mean()
        released = (decoded - images[6:]).square().mean()
    torch.testing.assert_close(found["paper"]["penalty"].detach(), expected)
    torch.testing.assert_close(found["released"]["penalty"].detach(), released)
    assert found["paper"]["reconstruction"] == found["released"]["reconstruction"]


@pytest.mark.parametrize("name", NAMES)
def test_a_class_of_one_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} needs 2 images of a class, and 'blue' has 1"):
        oversample_pixels(colours((20, 9, 1)), name, **few(name))
    assert oversample_pixels(colours((9, 9, 2)), name, **few(name)).class_counts.tolist() == [9, 9, 9]


def test_divergence_is_an_error() -> None:
    class Diverging(Autoencoder):
        def play(self, images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"reconstruction": torch.tensor(float("nan"))}

    given = colours().train
    canvas = Canvas(given.array())
    batches = GameBatches(given.array(), given.labels, canvas, lambda rng: np.arange(4), 3, 0)
    with quiet_lightning(), pytest.raises(ImblensError, match="mine diverged: the loss of its reconstruction is nan"):
        fit_game(Diverging(canvas, 4, 4, 0.001), batches, "mine")


def test_stopped_by_the_user_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: Any, images: torch.Tensor, labels: torch.Tensor) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Autoencoder, "play", stop)
    with pytest.raises(KeyboardInterrupt):
        oversample_pixels(colours(), "bagan", out=tmp_path / "o", **few("bagan"))
    assert not (tmp_path / "o").exists()


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match=r"steps='0' is not allowed\. Give a whole number of 1 or more"):
        find_oversampler("cgan").check({"steps": "0"})
    with pytest.raises(InputError, match=r"penalty='mine' is not allowed\. Give 'paper' or 'released'"):
        find_oversampler("deepsmote").check({"penalty": "mine"})
