"""How the output of the network is read: which layer, which output, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imblens.errors import InputError
from imblens.extraction._classes import Names, least_classes
from imblens.extraction._forward import masks_of
from imblens.extraction._input_batch import InputBatch
from imblens.extraction._readers import SplitReader
from imblens.models import HeadReading, find_reading


def head_reading(
    network: torch.nn.Module,
    call: Callable[[], Any],
    names: Names,
    train: SplitReader,
    first: InputBatch,
    placed: Any,
    where: Mapping[str, Any],
) -> HeadReading:
    """Find the head with the first batch; `where` is what the caller states of it.

    Where the classes have no names, their number is that of the labels, or of any output that is found.
    """
    known = {**where, "n": len(first.labels), "masks": masks_of(placed, len(first.labels))}
    known["least"] = least_classes(first.labels)
    expected = _labelled_classes(train) if names.number is None else names.number
    try:
        return find_reading(network, call, n_classes=expected, **known)
    except InputError:
        if names.number is not None and not names.of_data:
            raise
        return find_reading(network, call, n_classes=None, **known)


def outputs_notes(reading: HeadReading) -> list[str]:
    """A sentence where one of several outputs was taken."""
    if reading.skipped:
        return [
            f"logits are output {reading.part + 1} of the network, that of layer {reading.layer!r}; an earlier output of "
            "as many columns is not that of a linear layer. If that one is the prediction, pass forward= and features=."
        ]
    if reading.others:
        listed = ", ".join(str(other + 1) for other in reading.others)
        return [
            f"the network returns several outputs; logits are output {reading.part + 1}, that of layer {reading.layer!r}, "
            f"and not output {listed}. If another one is the prediction, pass forward=lambda model, inputs: ...."
        ]
    return []


def refuse_targets(network: torch.nn.Module, reading: HeadReading, labels: NDArray[Any]) -> None:
    """Refuse a network with one output for labels other than 0 and 1."""
    if reading.one_logit and labels.ndim == 1 and labels.dtype.kind in "iuf" and labels.max() > 1:
        raise InputError(
            f"{type(network).__name__} has one output, and the labels hold {labels.max():g}: as in regression, or "
            "with more classes than outputs.",
            hint="One output means two classes, 0 and 1. Divide a continuous target into ranges and train a classifier.",
        )


def _labelled_classes(train: SplitReader) -> int | None:
    """C as the labels of the training split have it, where they are known before they are read; else None."""
    labels = train.labels
    if labels is None or not len(labels):
        return None
    labels = np.asarray(labels)
    if labels.ndim == 2:
        return int(labels.shape[1])
    return int(labels.max()) + 1 if labels.dtype.kind in "iu" and labels.max() > 0 else None
