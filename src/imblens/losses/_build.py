"""Losses by name."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from imblens.errors import InputError, MissingError, did_you_mean

if TYPE_CHECKING:
    from imblens.losses._base import ClassLoss


class LossEntry(NamedTuple):
    """A loss that can be built by name.

    Attributes:
        says: one line for lists.
        maker: "module:class" or "module:function", imported when it is built.
        normalised_head: whether it is meant for a network that ends in cosines.
    """

    says: str
    maker: str
    normalised_head: bool = False


LOSSES: dict[str, LossEntry] = {
    "ce": LossEntry("cross-entropy", "_cross_entropy:CrossEntropy"),
    "weighted_ce": LossEntry("cross-entropy, classes weighted by 1 / count", "_cross_entropy:weighted_cross_entropy"),
    "focal": LossEntry("less weight on easy instances (Lin et al. 2017)", "_focal:Focal"),
    "asl": LossEntry("focusing apart for the target and the other classes (Ben-Baruch et al. 2021)", "_asl:Asymmetric"),
    "ldam": LossEntry("wider margins for rarer classes (Cao et al. 2019)", "_ldam:LDAM", normalised_head=True),
    "cb_ce": LossEntry("cross-entropy by effective number (Cui et al. 2019)", "_class_balanced:class_balanced_ce"),
    "cb_focal": LossEntry("focal by effective number (Cui et al. 2019)", "_class_balanced:class_balanced_focal"),
    "logit_adjusted": LossEntry("logits shifted by log prior (Menon et al. 2021)", "_logit_adjusted:LogitAdjusted"),
}


def loss_names() -> tuple[str, ...]:
    """Return the names that `build_loss` knows.

    >>> loss_names()
    ('ce', 'weighted_ce', 'focal', 'asl', 'ldam', 'cb_ce', 'cb_focal', 'logit_adjusted')
    """
    return tuple(LOSSES)


def loss_descriptions() -> dict[str, str]:
    """Return one line for each loss."""
    return {name: entry.says for name, entry in LOSSES.items()}


def find_loss(name: str) -> LossEntry:
    """Return the entry of a loss; builds and imports nothing.

    Raises:
        MissingError: there is no such loss.
    """
    if name not in LOSSES:
        raise MissingError(f"there is no loss {name!r}.", hint=did_you_mean(name, loss_names()))
    return LOSSES[name]


def build_loss(name: str, class_counts: Sequence[int], *, drw: bool = False, **options: Any) -> ClassLoss:
    """Build a loss for classes of those sizes.

    Args:
        name: one of `loss_names()`.
        class_counts: (C,) training instances of each class; a class may have none.
        drw: weight classes by their effective number from 80 % of the epochs on (deferred re-weighting).
        options: of that loss, such as `gamma=1.5` for `focal`.

    Returns:
        A module: `loss(logits (N, C), targets (N,))` is one number. Call `loss.set_epoch(epoch, epochs)` when an epoch
        starts.

    Raises:
        MissingError: no loss, or no option, of that name.
        InputError: counts that are no counts, or an option out of its range.

    Example:
        >>> import torch
        >>> loss = build_loss("logit_adjusted", [90, 10])
        >>> loss(torch.zeros(2, 2), torch.tensor([0, 1])).item()
        1.203...
    """
    entry = find_loss(name)
    counts = _checked_counts(class_counts)
    module, _, maker_name = entry.maker.partition(":")
    maker = getattr(import_module(f"imblens.losses.{module}"), maker_name)
    known = [key for key in inspect.signature(maker).parameters if key != "class_counts"]
    for key in options:
        if key not in known:
            what = did_you_mean(key, known) if known else "It takes none."
            raise MissingError(f"the loss {name!r} has no option {key!r}.", hint=what)
    loss: ClassLoss = maker(counts, **options)
    if drw:
        from imblens.losses._deferred import DeferredReweighting

        loss = DeferredReweighting(loss, counts)
    return loss


def _checked_counts(class_counts: Sequence[int]) -> list[int]:
    try:
        counts = [int(count) for count in class_counts]
        whole = all(count == given for count, given in zip(counts, class_counts, strict=True))
    except (TypeError, ValueError, OverflowError):
        counts, whole = [], False
    if not whole or len(counts) < 2 or min(counts) < 0 or max(counts) == 0:
        raise InputError(
            f"class_counts must be two or more whole numbers that are not all 0, found {class_counts!r}.",
            hint="Give the number of training instances of each class.",
        )
    return counts
