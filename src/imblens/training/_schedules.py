"""Training schedules: optimizer, learning rate over time, batch size, augmentation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from imblens.base.registry import Registry
from imblens.errors import InputError

STEPS = ("crop", "flip", "jitter")


@dataclass(frozen=True)
class Schedule:
    """How a network is trained, independent of the loss and the data.

    Attributes:
        name: what users type.
        description: one line for lists.
        epochs: where the user gives none.
        least_steps: smallest number of batches in a training where the user gives no epochs: small sets get more epochs.
        batch_size: where the user gives none.
        lr: largest learning rate.
        lr_share: (epochs done, epochs) -> share of `lr`; epochs done may be a fraction.
        weight_decay: L2 penalty on all weights.
        optimizer: "sgd", stochastic gradient descent, or "adam", whose steps do not depend on the scale of a loss.
        momentum: of the gradient; for "sgd" only.
        nesterov: whether SGD uses Nesterov momentum.
        pad: zeros added on each side before a random crop of the image's size: pixels, or below 1 a share of the image's
            shorter side.
        window: smallest and largest share of an image's area that a random crop keeps, of an aspect ratio of 3:4 to 4:3,
            which is then resized to the image's size; instead of `pad`.
        flip: whether half of the images are mirrored left to right.
        jitter: largest relative change of brightness, contrast and saturation; 0 for none.
        small_until: share of the epochs, from the first, in which images are shrunk to three quarters of their height
            and width, which takes 0.56 of the time. Images below 32 pixels keep their size.

    Example:
        >>> from imblens.training import find_schedule
        >>> find_schedule("short").optimizer
        'sgd'
    """

    name: str
    description: str
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
    window: tuple[float, float] | None = None
    flip: bool = True
    jitter: float = 0.0
    small_until: float = 0.0

    def epochs_for(self, steps: int) -> int:
        """Return how many epochs of `steps` batches to train where the user gives none."""
        return max(self.epochs, math.ceil(self.least_steps / steps))

    @property
    def augment(self) -> str:
        """What happens to training images, as typed behind `--augment`.

        >>> find_schedule("short").augment
        'crop+flip'
        """
        used = (self.pad > 0 or self.window is not None, self.flip, self.jitter > 0)
        return "+".join(step for step, on in zip(STEPS, used, strict=True) if on) or "none"

    def augmented(self, augment: str | None) -> Schedule:
        """Return the schedule with another augmentation; None keeps its own.

        Raises:
            InputError: there is no such augmentation.
        """
        if augment is None:
            return self
        steps = augmentation_steps(augment)
        return replace(
            self,
            pad=0 if "crop" not in steps else self.pad or (0 if self.window else 4),
            window=self.window if "crop" in steps else None,
            flip="flip" in steps,
            jitter=(self.jitter or 0.2) if "jitter" in steps else 0.0,
        )


def augmentation_steps(augment: str) -> list[str]:
    """Return the steps that `augment` names, joined by + in any order; none for "none".

    Raises:
        InputError: a step is unknown or named twice.

    >>> augmentation_steps("flip+crop"), augmentation_steps("none")
    (['flip', 'crop'], [])
    """
    steps = [] if augment == "none" else augment.split("+")
    if not set(steps) <= set(STEPS) or len(set(steps)) < len(steps):
        raise InputError(
            f"there is no augmentation {augment!r}.", hint=f"Known: {', '.join(STEPS)}, joined by +; or none."
        )
    return steps


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
    """Rise linearly over the first quarter, then fall to 0 along a cosine.

    >>> [round(one_cycle(epoch, 20), 3) for epoch in (0, 2.5, 5, 12.5, 20)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    share = done / epochs
    if share < warm:
        return 0.04 + 0.96 * share / warm
    return 0.5 * (1 + math.cos(math.pi * (share - warm) / (1 - warm)))


def cosine(done: float, epochs: int) -> float:
    """Fall from 1 to 0 along a cosine.

    >>> [round(cosine(epoch, 50), 3) for epoch in (0, 12.5, 25, 50)]
    [1.0, 0.854, 0.5, 0.0]
    """
    return 0.5 * (1 + math.cos(math.pi * done / epochs))


_BUILT_IN = (
    Schedule(
        name="cao200",
        description="200 epochs as Cao et al. 2019: SGD 0.1, 5 epochs of warm-up, x 0.01 at 160 and 180",
        epochs=200,
        batch_size=128,
        lr=0.1,
        lr_share=cao_steps,
        weight_decay=2e-4,
    ),
    Schedule(
        name="short",
        description="one cycle of 15 epochs (more for small sets, to 500 batches), for two cores",
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
        description="50 epochs as Khakzar et al. 2022: Adam 4e-4, cosine, batches of 512; crop, resize, flip, jitter",
        epochs=50,
        batch_size=512,
        lr=4e-4,
        lr_share=cosine,
        weight_decay=1e-6,
        optimizer="adam",
        pad=0,
        window=(0.08, 1.0),
        jitter=0.2,
    ),
    Schedule(
        name="short_adam",
        description="one cycle of 15 epochs (more for small sets, to 300 batches) of Adam, for two cores",
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
SCHEDULES = Registry("schedule", {schedule.name: schedule for schedule in _BUILT_IN})


def default_schedule(*, multilabel: bool) -> str:
    """Return the name of the schedule where the user gives none.

    Multi-label losses differ in scale by orders of magnitude (a class-balanced weight is about 1 / count); the steps of
    Adam do not depend on that scale.
    """
    return "short_adam" if multilabel else "short"


def schedule_descriptions() -> dict[str, str]:
    """Return one line for each schedule.

    Example:
        >>> "short" in schedule_descriptions()
        True
    """
    return {name: schedule.description for name, schedule in SCHEDULES.items()}


def find_schedule(name: str) -> Schedule:
    """Return the schedule of that name.

    Raises:
        MissingError: there is none.

    Example:
        >>> find_schedule("short").name
        'short'
    """
    return SCHEDULES.find(name)
