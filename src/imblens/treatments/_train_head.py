"""A linear head trained on stored features: minibatch descent in plain NumPy, seconds on one core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks
from imblens.base.progress import tracked
from imblens.errors import InputError
from imblens.run import Head

HELD = 2**32  # bytes of the scaled features up to which they are held; beyond, rows are scaled as they are drawn
CHUNK = 64  # minibatches gathered at a time


@dataclass(frozen=True)
class Recipe:
    """How a head is trained.

    The defaults train on features centred and divided by their root-mean-square distance from the centre (folded back
    into weight and bias), so that one learning rate serves any network and the result does not depend on the features'
    unit, offset or orientation. Rate and penalty were chosen by `cross_validated` on training features of several
    networks. With a penalty the loss has one minimum, which ten epochs come near from any start.

    Attributes:
        epochs: passes over the training rows.
        learning_rate: at the start; falls to 0 along a cosine ("scaled"), or warms up over 5 epochs ("released").
        weight_decay: L2 penalty on the weight ("released": on the bias too).
        batch_size: rows of a step; fewer where the rows are few, so that there are `least_steps`.
        least_steps: of all epochs together, as far as single rows allow.
        momentum: of the descent.
        scaled: centre and scale features first; else take them as they are.
        warm_up: epochs of linear warm-up, after which the rate stays; 0 for the cosine.
        balanced: draw the class of each row first, evenly, then a row of it; else every row once an epoch.
    """

    epochs: int = 10
    learning_rate: float = 2.0
    weight_decay: float = 2e-4
    batch_size: int = 128
    least_steps: int = 1000
    momentum: float = 0.9
    scaled: bool = True
    warm_up: int = 0
    balanced: bool = False

    def rows_of_step(self, n: int) -> int:
        """Rows of a step when there are `n` in all."""
        return max(1, min(self.batch_size, n * self.epochs // max(self.least_steps, 1)))

    def as_meta(self) -> dict[str, Any]:
        """Plain JSON values, for the run's record."""
        return {"optimizer": "SGD", "loss": "cross-entropy", **asdict(self)}


def released_recipe() -> Recipe:
    """Return the recipe of the authors' script: raw features, warm-up, no schedule after it.

    The script keeps the epoch that does best on the test set; that choice is not repeated here, the last epoch counts.
    """
    return Recipe(learning_rate=0.1, weight_decay=2e-4, least_steps=0, scaled=False, warm_up=5)


def train_head(
    features: Any,
    labels: NDArray[np.int64],
    n_classes: int,
    *,
    recipe: Recipe | None = None,
    start: Head | Literal["zeros", "random"] = "zeros",
    seed: int = 0,
    after_epoch: Callable[[int, Head], object] | None = None,
) -> Head:
    """Train a linear softmax head by stochastic gradient descent on cross-entropy.

    Same arguments, same bytes, on one machine and thread count.

    Args:
        features: (N, D) finite numbers: an array, or what gives one for a slice or positions of rows. Up to 4 GiB one scaled
            float32 copy is held; beyond, rows are scaled as they are drawn.
        labels: (N,) 0 to C - 1.
        n_classes: C.
        recipe: see `Recipe`.
        start: the head to fine-tune; "zeros"; or "random", uniform within 1 / sqrt(D) as torch's linear layer.
        seed: of the order of rows and of a random start.
        after_epoch: called with the number of finished epochs and the head so far.

    Returns:
        The head, in the features' own units.

    Raises:
        InputError: the descent diverged.

    Example:
        >>> features = np.eye(3, dtype=np.float32)[np.repeat([0, 1, 2], 20)]
        >>> head = train_head(features, np.repeat([0, 1, 2], 20), 3)
        >>> head(features).argmax(axis=1)[::20].tolist()
        [0, 1, 2]
    """
    recipe = recipe or Recipe()
    rng = np.random.default_rng(seed)
    rows, centre, scale = _prepared(features, recipe.scaled)  # (N, D + 1), the last column 1
    n, width = rows.shape
    weight = _start(start, n_classes, centre, scale, rng)  # (C, D + 1), the bias last
    velocity = np.zeros_like(weight)
    decay = np.full(width, recipe.weight_decay, np.float32)
    if recipe.scaled:
        decay[-1] = 0
    size = recipe.rows_of_step(n)
    total = -(-n // size) * recipe.epochs
    step = 0
    span = size * CHUNK
    with np.errstate(over="ignore", invalid="ignore"):
        for epoch in tracked(range(recipe.epochs), "training the head"):
            order = _balanced_order(labels, rng) if recipe.balanced else rng.permutation(n)
            for low in range(0, n, span):
                chunk, targets = rows[order[low : low + span]], labels[order[low : low + span]]
                for first in range(0, len(chunk), size):
                    batch = chunk[first : first + size]
                    slope = batch @ weight.T  # (b, C) logits, then probabilities, then their error
                    slope -= slope.max(axis=1, keepdims=True)
                    np.exp(slope, out=slope)
                    slope /= slope.sum(axis=1, keepdims=True)
                    slope[np.arange(len(batch)), targets[first : first + size]] -= 1
                    gradient = slope.T @ batch
                    gradient /= len(batch)
                    gradient += decay * weight
                    velocity *= recipe.momentum
                    velocity -= _rate(recipe, epoch, step / total) * gradient
                    weight += velocity
                    step += 1
            if after_epoch is not None:
                after_epoch(epoch + 1, _as_head(weight, centre, scale))
    if not np.isfinite(weight).all():
        raise InputError(
            f"the head diverged with learning_rate={recipe.learning_rate:g}.", hint="Pass a lower learning_rate."
        )
    return _as_head(weight, centre, scale)


def _as_head(weight: NDArray[np.float32], centre: NDArray[np.float64], scale: float) -> Head:
    matrix = weight[:, :-1].astype(np.float64) / scale
    bias = weight[:, -1] - matrix @ centre
    return Head(matrix.astype(np.float32), bias.astype(np.float32))


def _prepared(features: Any, scaled: bool) -> tuple[Any, NDArray[np.float64], float]:
    """(N, D + 1) rows to train on, the last column 1, and the centre (D,) and scale of the features."""
    n, dim = features.shape
    held = 4 * n * (dim + 1) <= HELD
    rows = np.ones((n, dim + 1) if held else (0, dim + 1), np.float32)
    centre, scale = np.zeros(dim), 1.0
    if scaled:
        whole = isinstance(features, np.ndarray)
        centre = features.mean(axis=0, dtype=np.float64) if whole else mean_of(features)
    for block in row_blocks(n, dim) if held else ():
        rows[block, :dim] = features[block] - centre if scaled else features[block]  # the difference is float64
    if not held:
        if scaled:
            squares = sum(float(((features[block] - centre) ** 2).sum()) for block in row_blocks(n, dim))
            scale = float(np.sqrt(squares / n)) or 1.0
        return _Drawn(features, centre, scale), centre, scale
    if scaled:
        scale = float(np.sqrt(np.einsum("ij,ij->", rows[:, :dim], rows[:, :dim], dtype=np.float64) / n)) or 1.0
        rows[:, :dim] /= np.float32(scale)
    return rows, centre, scale


class _Drawn:
    """Rows that are centred and scaled when they are drawn, as `_prepared` does with those that fit into memory."""

    def __init__(self, features: Any, centre: NDArray[np.float64], scale: float) -> None:
        self._features, self._centre, self._scale = features, centre, np.float32(scale)
        self.shape = features.shape[0], features.shape[1] + 1

    def __getitem__(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        rows = np.ones((len(positions), self.shape[1]), np.float32)
        rows[:, :-1] = self._features[positions] - self._centre
        rows[:, :-1] /= self._scale
        return rows


def mean_of(features: Any) -> NDArray[np.float64]:
    """(D,) mean of (N, D) features that are read in blocks."""
    n, dim = features.shape
    total = np.zeros(dim)
    for block in row_blocks(n, dim):
        total += np.asarray(features[block]).sum(axis=0, dtype=np.float64)
    return total / n


def _start(
    start: Head | str, n_classes: int, centre: NDArray[np.float64], scale: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    dim = len(centre)
    weight = np.zeros((n_classes, dim + 1), np.float32)
    if isinstance(start, Head):
        own = start.weight
        if start.unit:  # a head of features of length 1: as if all features had one length
            own = own / max(float(np.sqrt(centre @ centre + scale**2)) if centre.any() else scale, 1e-12)
        weight[:, :dim] = own * scale
        weight[:, dim] = start.bias + own @ centre
    elif start == "random":
        bound = 1 / np.sqrt(dim)
        weight[:] = rng.uniform(-bound, bound, weight.shape)
    return weight


def _rate(recipe: Recipe, epoch: int, done: float) -> np.float32:
    if recipe.warm_up:
        return np.float32(recipe.learning_rate * min(1.0, (epoch + 1) / recipe.warm_up))
    return np.float32(recipe.learning_rate * 0.5 * (1 + np.cos(np.pi * done)))


def _balanced_order(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw N rows: the class evenly, then a row of it, with replacement."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    first = np.cumsum(counts) - counts
    drawn = rng.choice(np.flatnonzero(counts), size=len(labels))
    return order[first[drawn] + (rng.random(len(labels)) * counts[drawn]).astype(np.int64)]
