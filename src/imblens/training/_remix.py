"""Remix: mixed images whose label leans to the rarer class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from imblens.errors import InputError, MissingError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

REMIX = {"kappa": 3.0, "tau": 0.5, "alpha": 1.0}


class Mixed(NamedTuple):
    """A mixed batch.

    Attributes:
        inputs: (B, 3, H, W).
        other: (B,) the label of the image that each was mixed with.
        share: (B,) how much of the label is the image's own; the rest is the other's.
    """

    inputs: Tensor
    other: Tensor
    share: Tensor


def remix(inputs: Tensor, labels: Tensor, class_counts: Tensor, *, kappa: float, tau: float, alpha: float) -> Mixed:
    """Mix every image of a batch with another one; give the label to the rarer class where the images allow it.

    x = l x_i + (1 - l) x_j,  l ~ Beta(alpha, alpha), one for the batch
    y = m y_i + (1 - m) y_j,  m = 0 where n_i / n_j >= kappa and l < tau
                              m = 1 where n_i / n_j <= 1 / kappa and 1 - l < tau
                              m = l elsewhere (mixup)

    Args:
        inputs: (B, 3, H, W).
        labels: (B,).
        class_counts: (C,) training images of each class, on the device of `labels`.
        kappa: how many times more frequent a class must be to lose its share of the label, 1 or more. Where no class is
            that frequent, this is mixup.
        tau: it loses it where its share of the image is below this, 0 to 1.
        alpha: of the Beta distribution, above 0; 1 is uniform.

    References:
        Chou et al. 2020, Remix: Rebalanced Mixup, section 3.2, equations 3 to 5; kappa = 3, tau = 0.5, alpha = 1 as in
        their section 4. Partners are a permutation of the batch, as in mixup's code.
    """
    import torch

    part = float(torch.distributions.Beta(alpha, alpha).sample())
    partner = torch.randperm(len(labels)).to(labels.device)
    other = labels[partner]
    own, others = class_counts[labels], class_counts[other]  # (B,)
    share = torch.full_like(own, part)
    if part < tau:
        share[own >= kappa * others] = 0.0
    if 1 - part < tau:
        share[others >= kappa * own] = 1.0
    return Mixed(torch.lerp(inputs[partner], inputs, part), other, share)


def checked_remix(given: Mapping[str, Any] | bool) -> dict[str, float] | None:
    """Return the options of `remix`, the given ones over the paper's; None for False.

    Raises:
        MissingError: no such option.
        InputError: a value out of range.

    >>> checked_remix({"kappa": 10})
    {'kappa': 10.0, 'tau': 0.5, 'alpha': 1.0}
    """
    if isinstance(given, bool):
        return dict(REMIX) if given else None
    found = dict(REMIX)
    allowed = {"kappa": (1, 1e9), "tau": (0, 1), "alpha": (1e-3, 1e3)}
    for name, value in given.items():
        if name not in found:
            raise MissingError(f"remix has no option {name!r}.", hint=did_you_mean(name, list(found)))
        low, high = allowed[name]
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not low <= number <= high:
            raise InputError(f"remix: {name} is {value!r}.", hint=f"Give a number from {low:g} to {high:g}.")
        found[name] = number
    return found
