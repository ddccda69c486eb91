"""Training a generator with Lightning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imblens import training
from imblens.errors import ImblensError
from imblens.synthesis._games import Game
from imblens.synthesis._networks import Canvas

Draw = Callable[[np.random.Generator], NDArray[np.int64]]
_GENERATED_AT_ONCE = 256


class GameBatches:
    """A batch for every step: (images, labels) of the rows that `draw` returns."""

    def __init__(
        self, pixels: NDArray[np.uint8], labels: NDArray[np.int64], canvas: Canvas, draw: Draw, steps: int, seed: int
    ) -> None:
        self._pixels, self._labels, self._canvas, self._draw = pixels, labels, canvas, draw
        self._steps, self._seed = steps, seed

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng(self._seed)
        for _ in range(self._steps):
            rows = self._draw(rng)
            yield self._canvas.inputs(self._pixels[rows]), torch.from_numpy(self._labels[rows])


def fit_game(game: Game, batches: GameBatches, name: str) -> dict[str, list[float]]:
    """Train a game on the fastest device available, and move it to the CPU, in evaluation mode.

    Returns:
        The mean of each loss over the first and over the last tenth of the steps.

    Raises:
        ImblensError: a loss became infinite or NaN.
        KeyboardInterrupt: the user stopped it.
    """
    training.fit(game.train(), batches)
    game.cpu().eval()
    tenth = max(1, len(game.history) // 10)
    means = {}
    for loss in game.history[0]:
        values = [row[loss] for row in game.history]
        means[loss] = [round(float(np.mean(part)), 5) for part in (values[:tenth], values[-tenth:])]
        if not math.isfinite(means[loss][1]):
            raise ImblensError(
                f"{name} diverged: the loss of its {loss} is {means[loss][1]}.", hint="Try a smaller learning_rate."
            )
    return means


def in_parts(make: Callable[[Tensor], Tensor], values: Tensor, canvas: Canvas) -> NDArray[np.uint8]:
    """Return the images that `make` generates from values (n, ...), in parts to limit memory."""
    with torch.no_grad():
        parts = [canvas.pixels(make(part)) for part in torch.split(values, _GENERATED_AT_ONCE)]
    return np.concatenate(parts)
