"""Which training images an epoch sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imblens.base.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


class Sampler(NamedTuple):
    """How an epoch is drawn.

    Attributes:
        description: one line for lists.
        shares: (class counts, share of the epochs done) -> probability of each class, or None for every image once.
    """

    description: str
    shares: Callable[[NDArray[np.float64], float], NDArray[np.float64]] | None = None


def _power(counts: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    shares = np.where(counts > 0, counts**exponent, 0.0)
    return np.asarray(shares / shares.sum())


SAMPLERS = Registry(
    "sampler",
    {
        "natural": Sampler("every image once per epoch"),
        "class_balanced": Sampler("all classes with equal probability", lambda counts, done: _power(counts, 0)),
        "square_root": Sampler(
            "classes with probability proportional to the square root of their count",
            lambda counts, done: _power(counts, 0.5),
        ),
        "progressive": Sampler(
            "from natural in the first epoch to class_balanced in the last",
            lambda counts, done: np.asarray((1 - done) * _power(counts, 1) + done * _power(counts, 0)),
        ),
    },
)


def sampler_descriptions() -> dict[str, str]:
    """Return one line for each sampler.

    Example:
        >>> "natural" in sampler_descriptions()
        True
    """
    return {name: sampler.description for name, sampler in SAMPLERS.items()}


def draw_epoch(
    labels: NDArray[np.int64], sampler: str, *, n_classes: int, epoch: int, epochs: int, seed: int
) -> NDArray[np.int64]:
    """Return (N,) the images that an epoch sees, in order.

    `natural` is a permutation. The others draw a class, then one of its images uniformly, with replacement.

    Args:
        labels: (N,) class of each image; or (N, C) for multi-label sets, which only `natural` supports.
        sampler: a name.
        n_classes: C.
        epoch: from 0.
        epochs: how many there are.
        seed: of this epoch.

    References:
        Kang et al. 2020, Decoupling Representation and Classifier for Long-Tailed Recognition, eq. 1 and 2.
    """
    rng = np.random.default_rng(seed)
    shares = SAMPLERS[sampler].shares
    if shares is None:
        return rng.permutation(len(labels))
    counts = np.bincount(labels, minlength=n_classes)
    by_class = np.argsort(labels, kind="stable")  # positions, class after class
    starts = np.cumsum(counts) - counts
    chosen = rng.choice(n_classes, size=len(labels), p=shares(counts.astype(float), epoch / max(epochs - 1, 1)))
    within = (rng.random(len(labels)) * counts[chosen]).astype(np.int64)
    return np.asarray(by_class[starts[chosen] + within])


class Batches:
    """The batches of an epoch: (images (B, H, W, 3) uint8, labels (B,) or (B, C) int64), as torch tensors.

    An epoch is split into batches of almost equal size, at most `batch_size`, so that none has a single image.

    Attributes:
        order: which images, in which order; set before each epoch.
    """

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[Any], batch_size: int) -> None:
        """Hold (N, H, W, 3) images and (N,) or (N, C) labels; in their order until `order` is set."""
        self._images = images
        self._labels = np.asarray(labels, dtype=np.int64)
        self._n_batches = -(-len(labels) // batch_size)
        self.order: Sequence[int] | NDArray[np.int64] = np.arange(len(labels))

    def __len__(self) -> int:
        return self._n_batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        import torch

        for rows in np.array_split(np.asarray(self.order), self._n_batches):
            yield torch.from_numpy(self._images[rows]), torch.from_numpy(self._labels[rows])
