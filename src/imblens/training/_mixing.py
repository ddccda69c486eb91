"""Mixing the images of a batch, in favour of rare classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from imblens.base.options import Configurable, Option
from imblens.base.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


class Mixed(NamedTuple):
    """A mixed batch.

    Attributes:
        inputs: (B, 3, H, W).
        labels: (B,) of the first image of each pair.
        other: (B,) of the second.
        share: (B,) how much of the label is the first's; the rest is the second's.
    """

    inputs: Tensor
    labels: Tensor
    other: Tensor
    share: Tensor


def remix(inputs: Tensor, labels: Tensor, class_counts: Tensor, *, alpha: float) -> Mixed:
    """Balance a batch by repeating images of its rarer classes, then mix it with a permutation of itself.

    Images of each class in the batch are repeated at random until it has as many as the batch's largest class; of
    these, B are drawn without replacement and mixed:

    x = l x_i + (1 - l) x_j,  y = l y_i + (1 - l) y_j,  l ~ Beta(alpha, alpha), one for the batch

    Args:
        inputs: (B, 3, H, W).
        labels: (B,).
        class_counts: (C,) not used: only the counts within the batch matter.
        alpha: of the Beta distribution, above 0; 1 is uniform.

    References:
        Bellinger, Corizzo and Japkowicz 2021, Calibrated resampling for imbalanced and long-tails in deep learning, the
        Remix of Dablain et al. 2022 (EOS), reference [19].
    """
    import torch

    rows = _drawn_in_balance(labels)
    inputs, labels = inputs[rows], labels[rows]
    part = float(torch.distributions.Beta(alpha, alpha).sample())
    partner = torch.randperm(len(labels)).to(labels.device)
    share = torch.full((len(labels),), part, device=labels.device)
    return Mixed(torch.lerp(inputs[partner], inputs, part), labels, labels[partner], share)


def _drawn_in_balance(labels: Tensor) -> Tensor:
    """Return (B,) rows of a batch, drawn after every class present was resampled to the count of the largest."""
    import torch

    counts = torch.bincount(labels)
    pool = []
    for label in counts.nonzero().flatten().tolist():
        rows = (labels == label).nonzero().flatten()
        repeated = torch.randint(len(rows), (int(counts.max()) - len(rows),)).to(labels.device)
        pool += [rows, rows[repeated]]
    drawn = torch.cat(pool)
    return drawn[torch.randperm(len(drawn)).to(labels.device)[: len(labels)]]


def rebalanced_mixup(
    inputs: Tensor, labels: Tensor, class_counts: Tensor, *, kappa: float, tau: float, alpha: float
) -> Mixed:
    """Mix a batch with a permutation of itself; give the label to the rarer class where the images allow it.

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
    return Mixed(torch.lerp(inputs[partner], inputs, part), labels, other, share)


@dataclass(frozen=True)
class Mixing(Configurable):
    """A way to mix batches.

    Attributes:
        name: as typed.
        mix: (inputs, labels, class counts, **options) -> mixed batch.
        options: what can be set.

    Example:
        >>> MIXINGS["rebalanced_mixup"].check({"kappa": 10})
        {'kappa': 10.0, 'tau': 0.5, 'alpha': 1.0}
    """

    name: str
    mix: Callable[..., Mixed]
    options: tuple[Option, ...]


_ALPHA = Option("alpha", 1.0, "both parameters of the Beta distribution; 1 is uniform.", low=1e-3, high=1e3)
MIXINGS = Registry(
    "mixing",
    {
        one.name: one
        for one in (
            Mixing("remix", remix, (replace(_ALPHA, default=0.2),)),
            Mixing(
                "rebalanced_mixup",
                rebalanced_mixup,
                (
                    Option("kappa", 3.0, "how many times more frequent a class loses its share of the label.", low=1),
                    Option("tau", 0.5, "share of the image below which it loses it.", low=0, high=1),
                    _ALPHA,
                ),
            ),
        )
    },
)


def batch_options() -> dict[str, str]:
    """Return one line for each way to change batches in training, by the name of its option of `imblens train`."""
    return {
        "remix": "balances each batch and mixes its images (Bellinger et al. 2021)",
        "rebalanced-mixup": "mixes images, with labels in favour of the rarer class (Chou et al. 2020)",
        "eos": "over-samples each batch in feature space, toward other classes (suggested by EOS, section VII)",
        "class-colours": "changes colours that a network relies on for a class (suggested by IML, section IV-G)",
    }
