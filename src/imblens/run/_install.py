"""Putting a head back into the network it came from."""

from __future__ import annotations

from typing import Any

from imblens.errors import InputError, MissingError, NotApplicable, ShapeError
from imblens.run._run import Head, Run


def install(run: Run, model: Any) -> Any:
    """Copy the head of `run` into the last linear layer of `model`, in place; see `Run.install`."""
    import torch

    if run.head is None:
        raise NotApplicable("this run has no head to install.")
    if not isinstance(model, torch.nn.Module):
        raise InputError(
            f"model must be a torch.nn.Module, found {type(model).__name__}.", hint="Pass the network itself."
        )
    layer = _layer(model, run.meta.get("layer"), run.head)
    weight, bias = torch.from_numpy(run.head.weight.copy()), torch.from_numpy(run.head.bias.copy())
    with torch.no_grad():
        if hasattr(layer, "assign"):  # a head that keeps its weight in another form, such as length and direction
            layer.assign(weight, bias if bias.any() or layer.bias is not None else None)
        else:
            layer.weight.copy_(weight)
            if layer.bias is not None:
                layer.bias.copy_(bias)
            elif bias.any():
                layer.bias = torch.nn.Parameter(bias.to(layer.weight))
        kept = layer.weight.detach().float().cpu()
    if not torch.allclose(kept, weight, rtol=1e-2, atol=1e-6 + 1e-4 * float(weight.abs().max())):
        raise InputError(
            "the last linear layer computes its weight from other parameters and did not take the head.",
            hint="Remove its parametrization first, with torch.nn.utils.parametrize.remove_parametrizations.",
        )
    return model


def _layer(model: Any, name: Any, head: Head) -> Any:
    """Return the layer that the run was captured from; without a name, the last one of the head's shape."""
    linear = {key: module for key, module in unwrapped(model).named_modules() if _is_linear(module)}
    known = "It has: " + ", ".join(f"{key or 'itself'} {tuple(m.weight.shape)}" for key, m in linear.items()) + "."
    hint = f"Give the network that the run was captured from. {known if linear else 'It has no linear layer.'}"
    if name is not None:
        if name not in linear:
            raise MissingError(f"the model has no linear layer {name!r}, which this run was captured from.", hint=hint)
        linear = {name: linear[name]}
    fitting = [module for module in linear.values() if tuple(module.weight.shape) == head.weight.shape]
    if not fitting:
        raise ShapeError(f"the head of this run is {head.weight.shape}, which no last linear layer fits.", hint=hint)
    return fitting[-1]


def unwrapped(model: Any) -> Any:
    """Return the network inside torch.compile, DataParallel or DistributedDataParallel."""
    import torch

    parallel = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif isinstance(model, parallel):
            model = model.module
        else:
            return model


def _is_linear(module: Any) -> bool:
    import torch

    return isinstance(module, torch.nn.Linear) or (hasattr(module, "assign") and hasattr(module, "weight"))
