"""Before a split is read: where the network runs, and a first batch that shows whether it takes its inputs."""

from __future__ import annotations

from typing import Any

import torch

from imblens.errors import InputError, NotApplicable
from imblens.extraction._forward import ForwardPass
from imblens.extraction._input_batch import InputBatch
from imblens.extraction._inputs import Signature
from imblens.extraction._readers import SplitReader
from imblens.models import tensors_of


def first_batch(reader: SplitReader, signature: Signature, trial: ForwardPass) -> tuple[InputBatch, list[str]]:
    """Return the first instances, and a sentence where the network's output for them is random.

    Where the network cannot run on the inputs spread, they are given as one argument from here on.
    """

    def tried() -> tuple[InputBatch, Any]:
        first = reader.sample()
        output = trial.call(trial.placed(first))
        if not any(tensor.ndim and len(tensor) == len(first.labels) for tensor in tensors_of(output)):
            raise NotApplicable("the output has not one row for each instance.")
        return first, output

    try:
        first, output = tried()
    except (InputError, NotApplicable) as error:
        signature.whole = signature.spread and not signature.custom
        try:
            if not signature.whole:
                raise error
            first, output = tried()
        except (InputError, NotApplicable):
            signature.whole = False
            if isinstance(error, InputError):
                raise error from error.__cause__
            return reader.sample(), []
    again = trial.call(trial.placed(first))
    pairs = zip(tensors_of(output), tensors_of(again), strict=False)
    if any(one.shape != other.shape or not one.equal(other) for one, other in pairs if not one.isnan().any()):
        return first, [
            "two passes on the same inputs differ: the network draws random numbers or changes its state in evaluation mode."
        ]
    return first, []


def place_of(network: torch.nn.Module, device: str | torch.device | None) -> tuple[torch.device, torch.dtype]:
    """Return where to run and the type of inputs: those of the network's first floating-point parameter."""
    first = next((p for p in network.parameters() if p.is_floating_point()), None)
    if first is None:
        kinds = {type(module).__module__ for module in network.modules()}
        what = "is quantised" if any("quantized" in kind for kind in kinds) else "has no parameters"
        raise InputError(
            f"{type(network).__name__} {what}: it has no floating-point weights.",
            hint="Pass the trained network in float.",
        )
    try:
        where = first.device if device is None else torch.device(device)
        torch.empty(0, device=where)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} cannot be used: {error}.", hint="Known here: cpu.") from error
    return where, first.dtype
