"""Generative over-samplers: networks that are trained to generate images. Torch is imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.extras import require
from imblens.base.options import Option
from imblens.run import Run
from imblens.synthesis._base import Oversampler, Synthetic, Task
from imblens.treatments import resample

if TYPE_CHECKING:
    from imblens.synthesis._fit import Draw

_RATE = Option("learning_rate", 0.0002, "of Adam.", "float", low=1e-7, high=1)
_LOW_SPREAD = 0.25
_LATENT = Option("latent", 64, "size of the latent vector.", "int", low=2, high=4096)
_COMMON = (
    Option("width", 16, "channels of the first layer of each network.", "int", low=4, high=512),
    Option("batch_size", 32, "images in a step.", "int", low=4),
)


def _steps(default: int, of_what: str = "") -> Option:
    return Option("steps", default, f"steps of training{of_what}.", "int", low=1)


def deepsmote(task: Task) -> Synthetic:
    """Train an autoencoder on all images; SMOTE between encodings of a class; decode.

    loss = |D(E(x)) - x|^2 + |D(P E(c)) - c|^2, c of one class drawn again each step, P a shuffle of their encodings.
    """
    import torch

    from imblens.synthesis._fit import GameBatches, fit_game, in_parts
    from imblens.synthesis._games import Autoencoder
    from imblens.synthesis._networks import Canvas

    options, canvas = task.options, Canvas(task.pixels)
    game = Autoencoder(canvas, options["width"], options["latent"], options["learning_rate"], options["penalty"])
    draw = _half_of_one_class(task.labels, options["batch_size"])
    losses = fit_game(
        game, GameBatches(task.pixels, task.labels, canvas, draw, options["steps"], task.seed), "deepsmote"
    )
    task.progress(f"deepsmote: {_loss_text(losses)}")
    encodings = _encoded(game.encoder, canvas, task.pixels)
    run = Run.from_arrays(train=(encodings, task.labels), classes=task.classes)
    found = resample(run, "smote", random_state=task.seed)
    pixels = in_parts(game.decoder, torch.from_numpy(found.new), canvas)
    return Synthetic(pixels, found.new_labels, {"loss": losses, **found.facts}, found.notes)


def bagan(task: Task) -> Synthetic:
    """Train an autoencoder on all images, start the game from its halves, draw from a Gaussian for each class."""
    from imblens.synthesis._fit import GameBatches, fit_game, in_parts
    from imblens.synthesis._games import Autoencoder, BalancingGame
    from imblens.synthesis._networks import Canvas

    options, canvas = task.options, Canvas(task.pixels)
    draw = _evenly(len(task.labels), options["batch_size"])
    start = Autoencoder(canvas, options["width"], options["latent"], options["learning_rate"])
    first = GameBatches(task.pixels, task.labels, canvas, draw, options["autoencoder_steps"], task.seed)
    losses = {"autoencoder": fit_game(start, first, "bagan")["reconstruction"]}
    task.progress(f"bagan: {_loss_text(losses)}")
    encodings = _encoded(start.encoder, canvas, task.pixels)
    means, spreads = class_gaussians(encodings, task.labels, len(task.classes))
    game = BalancingGame(start, means, spreads, canvas, options["width"], options["game_learning_rate"])
    second = GameBatches(task.pixels, task.labels, canvas, draw, options["steps"], task.seed + 1)
    losses |= fit_game(game, second, "bagan")
    task.progress(f"bagan: {_loss_text(losses)}")
    labels, asked = _asked(task)
    return Synthetic(in_parts(game.make, asked, canvas), labels, {"loss": losses})


def cgan(task: Task) -> Synthetic:
    """Train a generator and a discriminator for each class that is to grow, on images of that class."""
    from imblens.synthesis._fit import GameBatches, fit_game, in_parts
    from imblens.synthesis._games import ClassGame
    from imblens.synthesis._networks import Canvas

    options, canvas = task.options, Canvas(task.pixels)
    labels, asked = _asked(task)
    pixels, losses = [], {}
    for label in sorted(task.wanted):
        members = np.flatnonzero(task.labels == label)
        draw = _evenly(len(members), options["batch_size"])
        game = ClassGame(canvas, options["width"], options["latent"], options["learning_rate"])
        batches = GameBatches(
            task.pixels[members], task.labels[members], canvas, draw, options["steps"], task.seed * 1000 + label
        )
        losses[task.classes[label]] = fit_game(game, batches, f"cgan of {task.classes[label]!r}")
        task.progress(f"cgan: class {task.classes[label]!r}, {_loss_text(losses[task.classes[label]])}")
        pixels.append(in_parts(game.make, asked[asked == label], canvas))
    return Synthetic(np.concatenate(pixels), labels, {"loss": losses})


def gamo(task: Task) -> Synthetic:
    """Train a generator of convex combinations of a class's images against a classifier and a discriminator."""
    from imblens.synthesis._fit import GameBatches, fit_game, in_parts
    from imblens.synthesis._games import ConvexGame
    from imblens.synthesis._networks import Canvas

    options, canvas = task.options, Canvas(task.pixels)
    rng = np.random.default_rng([task.seed, 7])
    members = {}
    for label in task.wanted:
        rows = np.flatnonzero(task.labels == label)
        if len(rows) > options["members"]:
            rows = np.sort(rng.permutation(rows)[: options["members"]])
        members[label] = canvas.inputs(task.pixels[rows])
    game = ConvexGame(members, len(task.classes), canvas, options["width"], options["latent"], options["learning_rate"])
    draw = _evenly(len(task.labels), options["batch_size"])
    losses = fit_game(game, GameBatches(task.pixels, task.labels, canvas, draw, options["steps"], task.seed), "gamo")
    task.progress(f"gamo: {_loss_text(losses)}")
    labels, asked = _asked(task)
    return Synthetic(in_parts(game.make, asked, canvas), labels, {"loss": losses})


def _trained(make: Callable[[Task], Synthetic]) -> Callable[[Task], Synthetic]:
    """Run a method under its seed; restore random states and torch's settings, and suppress Lightning's messages."""

    def guarded(task: Task) -> Synthetic:
        require("train", "generators")
        from imblens.training import left_as_found, quiet_lightning, seed_everything

        with ExitStack() as stack:
            stack.enter_context(left_as_found())
            stack.enter_context(quiet_lightning())
            seed_everything(task.seed)
            synthetic = make(task)
        spread = _spread(task, synthetic)
        alike = [repr(name) for name, share in spread.items() if share < _LOW_SPREAD]
        note = (
            f"Synthetic images of class {', '.join(alike)} are almost identical: their spread is below "
            f"{_LOW_SPREAD:.0%} of that of real ones. More steps or another learning_rate may help."
        )
        return replace(
            synthetic, facts={**synthetic.facts, "spread": spread}, notes=(*synthetic.notes, *[note] * bool(alike))
        )

    return guarded


def _spread(task: Task, synthetic: Synthetic) -> dict[str, float]:
    """Return the spread of the synthetic images of each class relative to that of its real ones.

    Spread is the standard deviation of pixels within the class. Classes whose real images are all equal, or with fewer
    than two synthetic ones, are left out.
    """
    spread = {}
    for label in sorted(task.wanted):
        real = task.pixels[task.labels == label].std(axis=0).mean()
        new = synthetic.pixels[synthetic.labels == label]
        if real > 0 and len(new) > 1:
            spread[task.classes[label]] = round(float(new.std(axis=0).mean() / real), 3)
    return spread


def _evenly(n: int, size: int) -> Draw:
    """Return a draw of `size` of n rows, each as likely as the others, so that batches follow the data."""
    return lambda rng: rng.integers(n, size=size)


def _half_of_one_class(labels: NDArray[np.int64], size: int) -> Draw:
    """Return a draw whose second half is of one class, every class as likely."""
    classes = np.unique(labels)
    members = {label: np.flatnonzero(labels == label) for label in classes.tolist()}

    def draw(rng: np.random.Generator) -> NDArray[np.int64]:
        of_class = members[int(rng.choice(classes))]
        return np.concatenate([rng.integers(len(labels), size=size // 2), rng.choice(of_class, size=size - size // 2)])

    return draw


def _asked(task: Task) -> tuple[NDArray[np.int64], Any]:
    """Return (m,) the class of each image to make, as an array and as a tensor."""
    import torch

    labels = np.repeat(sorted(task.wanted), [task.wanted[label] for label in sorted(task.wanted)]).astype(np.int64)
    return labels, torch.from_numpy(labels)


def _encoded(encoder: Any, canvas: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (N, latent) encodings."""
    import torch

    with torch.no_grad():
        parts = [encoder(canvas.inputs(pixels[low : low + 256])).numpy() for low in range(0, len(pixels), 256)]
    return np.concatenate(parts)


def class_gaussians(encodings: NDArray[np.float32], labels: NDArray[np.int64], n_classes: int) -> tuple[Any, Any]:
    """Return means (C, latent) and square roots of covariances (C, latent, latent) as tensors."""
    import torch

    size = encodings.shape[1]
    means, spreads = np.zeros((n_classes, size)), np.zeros((n_classes, size, size))
    for label in np.unique(labels):
        of_class = encodings[labels == label].astype(np.float64)
        means[label] = of_class.mean(axis=0)
        if len(of_class) > 1:
            values, vectors = np.linalg.eigh(np.cov(of_class, rowvar=False))
            spreads[label] = vectors * np.sqrt(np.maximum(values, 0))
    return torch.from_numpy(means).float(), torch.from_numpy(spreads).float()


def _loss_text(losses: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {first:.3g} to {last:.3g}" for name, (first, last) in losses.items())


def _declare(
    name: str, purpose: str, paper: str, make: Callable[[Task], Synthetic], *options: Option, rate: Option = _RATE
) -> Oversampler:
    return Oversampler(name, purpose, paper, (*options, *_COMMON, rate), _trained(make))


GENERATORS = (
    _declare(
        "deepsmote", "SMOTE between encodings of an autoencoder, decoded to images; blurry, fast and stable.",
        "Dablain, Krawczyk and Chawla 2022, DeepSMOTE: Fusing Deep Learning and SMOTE for Imbalanced Data",
        deepsmote, _steps(600), _LATENT,
        Option(
            "penalty", "paper", "target of shuffled encodings of a class: the images in their original order, or, in the "
            "released code, the image of each encoding.", "text", words=("paper", "released"),
        ),
    ),
    _declare(
        "bagan", "One generator of all classes, initialised from an autoencoder, against a discriminator of classes.",
        "Mariani et al. 2018, BAGAN: Data Augmentation with Balancing GAN",
        bagan, Option("autoencoder_steps", 400, "steps of the autoencoder, before.", "int", low=1),
        Option(
            "game_learning_rate", 0.00005, "of Adam in the game; learning_rate is the autoencoder's.", "float",
            low=1e-7, high=1,
        ),
        _steps(400), _LATENT,
    ),
    _declare(
        "cgan", "A generator and a discriminator for each class, trained on its images: time grows with the classes.",
        "Dong et al. 2022, SA-CGAN, as Dablain et al. 2022 (EOS) describe it; Mirza and Osindero 2014",
        cgan, _steps(300, " for each class"), _LATENT,
    ),
    _declare(
        "gamo", "Convex combinations of images of a class, hard for a classifier yet realistic to a discriminator.",
        "Mullick, Datta and Das 2019, Generative Adversarial Minority Oversampling",
        gamo, _steps(400), _LATENT,
        Option("members", 512, "most images of a class to combine.", "int", low=2),
    ),
)  # fmt: skip
