"""Training schedules: optimizer, learning rate over time, batch size, augmentation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from imblens.errors import MissingError, did_you_mean


@dataclass(frozen=True)
class Schedule:
    """How a network is trained, whatever the loss and the data.

    Attributes:
        name: what users type.
        says: one line for lists.
        epochs: where the user gives none.
        least_steps: batches in a training, at least, where the user gives no epochs: small sets are seen more often.
        batch_size: where the user gives none.
        lr: largest learning rate.
        lr_share: (epochs done, epochs) -> share of `lr`; epochs done may be a fraction.
        weight_decay: L2 penalty on all weights.
        optimizer: "sgd", stochastic gradient descent, or "adam", whose steps do not depend on the scale of a loss.
        momentum: of the gradient; for "sgd" only.
        nesterov: whether the gradient is taken ahead of the momentum.
        pad: zeros added on each side before a crop of the image's size is taken at random: pixels, or below 1 a share
            of the image's shorter side.
        flip: whether half of the images are mirrored left to right.
        jitter: by which share, at most, brightness, contrast and saturation change; 0 for not at all.
        small_until: share of the epochs, from the first, in which images are shrunk to three quarters of their height
            and width, which takes 0.56 of the time. Images of less than 32 pixels stay as they are.
    """

    name: str
    says: str
    epochs: int
    batch_size: int
    lr: float
    lr_share: Callable[[float, int], float]
    weight_decay: float
    least_steps: int = 0
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    pad: float = 4
    flip: bool = True
    jitter: float = 0.0
    small_until: float = 0.0

    def epochs_for(self, steps: int) -> int:
        """Return how many epochs of so many batches to train, where the user gives none."""
        return max(self.epochs, math.ceil(self.least_steps / steps))


def cao_steps(done: float, epochs: int) -> float:
    """Warm up over 5 of 200 epochs, x 0.01 after 160 and again after 180; constant within an epoch.

    >>> [cao_steps(epoch, 200) for epoch in (0, 3.5, 4, 159, 160, 180)]
    [0.2, 0.8, 1.0, 1.0, 0.01, 0.0001]
    """
    epoch = int(done) + 1
    warm, first, second = (share * epochs / 200 for share in (5, 160, 180))
    if epoch <= warm:
        return epoch / warm
    return 1.0 if epoch <= first else 0.01 if epoch <= second else 0.0001


def one_cycle(done: float, epochs: int, *, warm: float = 0.25) -> float:
    """Rise in a straight line over the first quarter, then fall as a cosine to 0.

    >>> [round(one_cycle(epoch, 20), 3) for epoch in (0, 2.5, 5, 12.5, 20)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    share = done / epochs
    if share < warm:
        return 0.04 + 0.96 * share / warm
    return 0.5 * (1 + math.cos(math.pi * (share - warm) / (1 - warm)))


def cosine(done: float, epochs: int) -> float:
    """Fall as a cosine from 1 to 0.

    >>> [round(cosine(epoch, 50), 3) for epoch in (0, 12.5, 25, 50)]
    [1.0, 0.854, 0.5, 0.0]
    """
    return 0.5 * (1 + math.cos(math.pi * done / epochs))


SCHEDULES: dict[str, Schedule] = {
    schedule.name: schedule
    for schedule in (
        Schedule(
            name="cao200",
            says="200 epochs as Cao et al. 2019: SGD 0.1, 5 epochs of warm-up, x 0.01 at 160 and 180",
            epochs=200,
            batch_size=128,
            lr=0.1,
            lr_share=cao_steps,
            weight_decay=2e-4,
        ),
        Schedule(
            name="short",
            says="one cycle of 15 epochs (more for small sets, to 500 batches), for two cores",
            epochs=15,
            batch_size=128,
            lr=0.2,
            lr_share=one_cycle,
            weight_decay=5e-4,
            least_steps=500,
            small_until=0.5,
            nesterov=True,
        ),
        Schedule(
            name="looking50",
            says="50 epochs as Khakzar et al. 2022: Adam 4e-4, cosine, batches of 512; crop, flip, colour jitter",
            epochs=50,
            batch_size=512,
            lr=4e-4,
            lr_share=cosine,
            weight_decay=1e-6,
            optimizer="adam",
            pad=1 / 8,
            jitter=0.2,
        ),
        Schedule(
            name="short_adam",
            says="one cycle of 15 epochs (more for small sets, to 300 batches) of Adam, for two cores",
            epochs=15,
            batch_size=64,
            lr=2e-3,
            lr_share=one_cycle,
            weight_decay=1e-6,
            optimizer="adam",
            pad=1 / 8,
            jitter=0.2,
            least_steps=300,
            small_until=0.5,
        ),
    )
}


def default_schedule(*, multilabel: bool) -> str:
    """Return the schedule of a training that names none.

    Losses for several labels differ in scale by orders of magnitude (a class-balanced weight is about 1 / count), which
    Adam does not mind.
    """
    return "short_adam" if multilabel else "short"


def schedule_descriptions() -> dict[str, str]:
    """Return one line for each schedule."""
    return {name: schedule.says for name, schedule in SCHEDULES.items()}


def find_schedule(name: str) -> Schedule:
    """Return the schedule of that name.

    Raises:
        MissingError: there is none.
    """
    if name not in SCHEDULES:
        raise MissingError(f"there is no schedule {name!r}.", hint=did_you_mean(name, list(SCHEDULES)))
    return SCHEDULES[name]
