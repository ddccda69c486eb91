"""Putting a head back into the network it came from."""

from __future__ import annotations

from typing import Any

from imblens.errors import NotApplicable, ShapeError
from imblens.run._run import Run


def install(run: Run, model: Any) -> Any:
    """Copy the head of `run` into the last linear layer of `model`, in place; see `Run.install`."""
    import torch

    if run.head is None:
        raise NotApplicable("this run has no head to install.")
    layer_name = run.meta.get("layer")
    linears = {name: m for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) or hasattr(m, "assign")}
    if layer_name in linears:
        layer = linears[layer_name]
    elif linears:
        layer = list(linears.values())[-1]
    else:
        raise ShapeError("the model has no torch.nn.Linear.", hint="Give the network that the run was captured from.")
    weight, bias = run.head.weight, run.head.bias
    if tuple(layer.weight.shape) != weight.shape:
        raise ShapeError(
            f"the model's last linear layer has weight {tuple(layer.weight.shape)}, the head {weight.shape}.",
            hint="Give the network that the run was captured from.",
        )
    if hasattr(layer, "assign"):  # a head that computes its weight, such as cosines
        layer.assign(torch.from_numpy(weight.copy()), torch.from_numpy(bias.copy()))
        return model
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight.copy()))
        if layer.bias is None:
            layer.bias = torch.nn.Parameter(torch.from_numpy(bias.copy()).to(layer.weight))
        else:
            layer.bias.copy_(torch.from_numpy(bias.copy()))
    return model
