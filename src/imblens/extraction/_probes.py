"""The contract of a probe: it reads each batch during the forward pass and returns columns per instance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class ProbeBatch:
    """One batch in the network, b instances, in float32 and evaluation mode.

    Attributes:
        inputs: (b, ...) the network's image or only input, None where it takes several; part of the graph when a
            probe asked for gradients.
        logits: (b, C) the output of its last linear layer; part of the graph likewise.
        maps: output of each module that a probe named in `layers`, by name.
        labels: (b,) int64 or (b, C) uint8.
        pixels: (b, H, W, 3) uint8, the images as the network sees them, before normalisation; None where unknown.
        boxes: per image (n, 5) of class, x0, y0, x1, y1 in pixels of `pixels`; None where none are known.
        gradient: `gradient(outputs, to)` is d sum(outputs) / d to; parameters get no gradient.
        again: `again(images)` are the logits (m, C) of m changed images, without a graph; None where the network takes
            more than images.
    """

    inputs: torch.Tensor | None
    logits: torch.Tensor
    maps: Mapping[str, torch.Tensor]
    labels: NDArray[Any]
    pixels: NDArray[Any] | None
    boxes: Sequence[NDArray[Any]] | None
    gradient: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    again: Callable[[torch.Tensor], torch.Tensor] | None = None


class Probe(ABC):
    """Reads batches and returns columns for `instances.parquet`.

    Attributes:
        name: its key in the run's meta, where `describe` goes, or the reason why it was skipped.
        gradient: whether it asks for gradients to the input; the network then runs with a graph from there.
        map_gradient: whether it asks for gradients to `ProbeBatch.maps`; the graph then begins at those modules.
        layers: names of modules whose output it reads from `ProbeBatch.maps`.
    """

    name: ClassVar[str]
    gradient: ClassVar[bool] = False
    map_gradient: ClassVar[bool] = False
    layers: tuple[str, ...] = ()

    def begin(self, split: str) -> bool:
        """Return whether `split`, whose batches come next, is read. Not called before the trial on a few instances."""
        return True

    @abstractmethod
    def update(self, batch: ProbeBatch) -> dict[str, NDArray[Any]]:
        """Return columns, the same for all batches of a split: arrays of b rows, (b,) or (b, k) for a list column.

        Raises:
            NotApplicable: the probe does not apply to such inputs. If raised in the trial on a few instances, before any
                split begins, the probe is left out and the reason is stored in the run's meta.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return plain JSON on what its columns mean."""
