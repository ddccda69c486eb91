"""Features of a batch while a network is trained: reading them, and Expansive Over-Sampling within the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from imblens.errors import InputError
from imblens.models import HeadReading


class FeatureTap:
    """Keeps the input of a network's last linear layer, with its gradient, until it is taken.

    Args:
        model: the network.
        reading: how its head is found.
        what: that needs the features, for messages.

    Raises:
        InputError: the network has no single linear layer that maps one vector of an instance to its logits.
    """

    def __init__(self, model: nn.Module, reading: HeadReading, what: str) -> None:
        layers = dict(model.named_modules())
        simple = reading.kind in ("linear", "affine") and reading.reduce == "none" and reading.layer in layers
        if not simple or reading.scale is not None or reading.layout or reading.n_calls != 1:
            raise InputError(
                f"{what} needs a network that ends in one linear layer, and this one has {reading.kind} {reading.layer}.",
                hint="Choose another --arch, such as resnet32.",
            )
        self.layer = layers[reading.layer]
        self._features: Tensor | None = None
        self._hook = self.layer.register_forward_pre_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._features = inputs[0]

    def remove(self) -> None:
        """Leave the network as it was."""
        self._hook.remove()
        self._features = None

    def take(self) -> Tensor:
        """Return (B, D) of the last forward pass, and forget them."""
        assert self._features is not None
        found, self._features = self._features, None
        return found.flatten(1)

    def logits(self, features: Tensor) -> Tensor:
        """Return what the layer makes of other features (n, D)."""
        found: Tensor = self.layer(features)
        self._features = None
        return found


def eos_in_batch(features: Tensor, labels: Tensor, k_neighbors: int) -> tuple[Tensor, Tensor]:
    """Balance a batch in feature space: synthetic features (n, D) and their labels (n,).

    sample = base + r (enemy - base), r uniform in [0, 1), as in Expansive Over-Sampling, within the batch: every class present
    grows to the count of the batch's largest; base drawn evenly from its instances that have another class among their K
    nearest in the batch (where none has, from all, with the nearest enemy). Gradients flow into base and enemy.
    """
    apart = torch.cdist(features.detach().float(), features.detach().float())
    apart.fill_diagonal_(torch.inf)
    enemy = labels[:, None] != labels[None, :]
    k = min(k_neighbors, len(labels) - 1)
    near = torch.zeros_like(enemy).scatter_(1, apart.topk(k, largest=False).indices, True) & enemy
    counts = torch.bincount(labels)
    bases, enemies = [], []
    for label in counts.nonzero().flatten().tolist():
        wanted = int(counts.max() - counts[label])
        members = (labels == label).nonzero().flatten()
        if not wanted or len(members) == len(labels):
            continue
        usable = members[near[members].any(dim=1)]
        if len(usable):
            base = usable[torch.randint(len(usable), (wanted,)).to(labels.device)]
            enemies.append(torch.multinomial(near[base].float(), 1).flatten())
        else:
            base = members[torch.randint(len(members), (wanted,)).to(labels.device)]
            enemies.append(apart[base].masked_fill(~enemy[base], torch.inf).argmin(dim=1))
        bases.append(base)
    if not bases:
        return features[:0], labels[:0]
    first, second = torch.cat(bases), torch.cat(enemies)
    step = torch.rand(len(first), 1).to(features.device, features.dtype)
    return torch.lerp(features[first], features[second], step), labels[first]


def with_synthetic(
    loss: Tensor,
    features: Tensor,
    labels: Tensor,
    *,
    options: Mapping[str, float],
    logits: Callable[[Tensor], Tensor],
    measure: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Return the loss of a batch and of its synthetic features, all instances counting alike, the latter `weight` times.

    Args:
        loss: mean of the batch.
        features: (B, D) of the batch.
        labels: (B,).
        options: `k_neighbors` and `weight`.
        logits: of features.
        measure: (logits, labels) -> mean loss.
    """
    made, targets = eos_in_batch(features, labels, int(options["k_neighbors"]))
    if not len(made):
        return loss
    share = options["weight"] * len(made)
    return (loss * len(labels) + share * measure(logits(made), targets)) / (len(labels) + share)
