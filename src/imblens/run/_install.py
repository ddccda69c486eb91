"""Installing a head in the network that it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import Any

import numpy as np

from imblens.base.linear import affine_weights
from imblens.errors import InputError, MissingError, ShapeError
from imblens.run._head import Head, centred_head
from imblens.run._on_gpu import exact_products


def install_head(
    head: Head,
    model: Any,
    layer_name: str | None,
    form: Mapping[str, Any] | None = None,
    centre: Sequence[float] | None = None,
) -> Any:
    """Copy `head` into the last linear layer of `model`, in place; see `Run.install`.

    Args:
        head: the head to install.
        model: a torch.nn.Module.
        layer_name: the layer that the run was captured from; None takes the last linear layer of the head's shape.
        form: how the head was read (`run.meta["head"]`): class-wise scale and shift after the layer, one logit.
        centre: (D,) what was subtracted from the features of the run, or None.
    """
    import torch

    if not isinstance(model, torch.nn.Module):
        raise InputError(
            f"model must be a torch.nn.Module, found {type(model).__name__}.", hint="Pass the network itself."
        )
    if (form or {}).get("kind") == "features":
        raise InputError(
            f"the run's features are what leaves {layer_name!r} (features=NAME), and no linear head follows it.",
            hint="Apply the head to these features: logits = run.head(features).",
        )
    if centre is not None:
        head = centred_head(head, head.weight, head.bias, -np.asarray(centre, dtype=np.float64))
    head = _unfolded(head, form or {})
    if (form or {}).get("kind") == "affine" and layer_name is not None:
        return _install_affine(head, model, layer_name)
    if (form or {}).get("kind") == "several":
        return _install_several(head, model, dict((form or {})["heads"]))
    layer = _layer(model, layer_name, head)
    _untied(layer, model)
    _put(head, layer)
    return model


def _put(head: Head, layer: Any) -> None:
    """Copy a head into a linear layer; leave the layer as it was where it does not take it.

    Raises:
        InputError: the layer computes its weight from other parameters.
    """
    import torch

    weight, bias = torch.from_numpy(head.weight.copy()), torch.from_numpy(head.bias.copy())
    found = [(tensor, tensor.clone()) for tensor in (*layer.parameters(), *layer.buffers())]
    with torch.no_grad():
        with suppress(RuntimeError, ValueError, NotImplementedError):  # a parametrization without an inverse for this
            _set_weight(layer, weight, bias, unit=head.unit)
        installed = layer.weight.detach().float().cpu().flatten(1)
    rounding = _rounding(layer)
    same = torch.allclose(installed, weight, rtol=rounding, atol=1e-6 + 1e-4 * float(weight.abs().max()))
    if not (same and _computes(layer, weight, bias)):
        with torch.no_grad():
            for tensor, values in found:
                tensor.copy_(values)
        raise InputError(
            "the last linear layer computes its weight from other parameters and did not take the head.",
            hint="Remove its parametrization first, with torch.nn.utils.parametrize.remove_parametrizations "
            "(of pruning: torch.nn.utils.prune.remove; of older networks: torch.nn.utils.remove_spectral_norm).",
        )


def _computes(layer: Any, weight: Any, bias: Any) -> bool:
    """Whether the layer gives the head's logits; one may compute its weight again in every forward pass."""
    import torch

    inputs = torch.randn(4, weight.shape[1], generator=torch.Generator().manual_seed(0))
    shaped = inputs if layer.weight.ndim == 2 else inputs.reshape(4, -1, *[1] * (layer.weight.ndim - 2))
    mode = layer.training
    layer.eval()
    try:
        with torch.no_grad(), exact_products(layer.weight.device):  # a GPU convolves with fewer digits by default
            given = layer(shaped.to(layer.weight)).float().cpu().flatten(1)
    finally:
        layer.train(mode)
    head = Head(weight.numpy(), bias.numpy(), bool(getattr(layer, "unit", torch.zeros(())) > 0))
    wanted = torch.from_numpy(head(inputs.numpy()))
    return torch.allclose(given, wanted, rtol=0, atol=1e-6 + 3 * _rounding(layer) * float(wanted.abs().max()))


def _rounding(layer: Any) -> float:
    """How far a layer's weight may lie from the head's, relative: what its number format rounds off."""
    return 1e-4 if layer.weight.itemsize >= 4 else 1e-2


def _untied(layer: Any, model: Any) -> None:
    """Give a layer a weight of its own where another module uses it too (tied embeddings), which must not change."""
    import torch

    weight = layer._parameters.get("weight")
    users = [m for m in model.modules() if any(p is weight for p in m._parameters.values())]
    if weight is not None and len(users) > 1:
        layer.weight = torch.nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad)


def _install_several(head: Head, model: Any, factors: Mapping[str, float]) -> Any:
    """Copy a head on concatenated features into the layers whose weighted outputs are summed.

    Each layer takes its columns of the weight. Of the bias only the sum matters: the first layer that has one takes what
    the others leave.

    Raises:
        MissingError, ShapeError: the network has no such layers, or of other sizes.
    """
    linear = {key: module for key, module in unwrapped(model).named_modules() if _is_linear(module)}
    missing = [name for name in factors if name not in linear]
    if missing:
        raise MissingError(
            f"the model has no linear layer {missing[0]!r}, which this run was captured from.",
            hint="Give the network that the run was captured from.",
        )
    layers = [linear[name] for name in factors]
    widths = [layer.weight.flatten(1).shape[1] for layer in layers]
    if sum(widths) != head.weight.shape[1] or any(len(layer.weight) != len(head.weight) for layer in layers):
        raise ShapeError(
            f"the layers {', '.join(factors)} have other sizes than this run's head, {head.weight.shape}.",
            hint="Give the network that the run was captured from.",
        )
    taker = next((i for i, layer in enumerate(layers) if layer.bias is not None), 0)
    own = [0 if layer.bias is None else layer.bias.detach().float().cpu().numpy() for layer in layers]
    rest = head.bias - sum(f * b for i, (f, b) in enumerate(zip(factors.values(), own, strict=True)) if i != taker)
    columns = np.split(head.weight, np.cumsum(widths)[:-1], axis=1)
    for i, (layer, factor) in enumerate(zip(layers, factors.values(), strict=True)):
        _untied(layer, model)
        bias = rest / factor if i == taker else np.broadcast_to(own[i], head.bias.shape)
        _put(Head((columns[i] / factor).astype(np.float32), np.ascontiguousarray(bias, dtype=np.float32)), layer)
    return model


def _install_affine(head: Head, model: Any, name: str) -> Any:
    """Change a module that computes a linear layer by what the head differs from it.

    The difference is added to a parameter (C, D) or (D, C) and to one of (C,), where that gives the head.

    Raises:
        MissingError: there is no such module.
        InputError: no parameter takes the difference.
    """
    import torch

    module = dict(unwrapped(model).named_modules()).get(name)
    if module is None:
        raise MissingError(f"the model has no layer {name!r}.", hint="Give the network that the run was captured from.")
    weight, bias = torch.from_numpy(head.weight.copy()), torch.from_numpy(head.bias.copy())
    found = [(parameter, parameter.detach().clone()) for parameter in module.parameters()]
    now = affine_weights(module, weight.shape[1])
    parameters = [parameter for parameter, _ in found]
    for matrix, vector in product(parameters, [*parameters, None]):
        for change in (weight - now[0], (weight - now[0]).T) if now[0].shape == weight.shape else ():
            if change.shape != matrix.shape or (vector is not None and vector.shape != bias.shape):
                continue
            with torch.no_grad():
                matrix.add_(change.to(matrix))
                moved = affine_weights(module, weight.shape[1])[0] - now[0]
                factor = float((moved * (weight - now[0])).sum() / ((weight - now[0]) ** 2).sum().clamp_min(1e-30))
                if factor > 0:  # the module multiplies its weight by a number
                    matrix.add_((1 / factor - 1) * change.to(matrix))
                if vector is not None:
                    vector.add_((bias - now[1]).to(vector))
            if _gives(module, head):
                return model
            with torch.no_grad():
                for parameter, values in found:
                    parameter.copy_(values)
    raise InputError(
        f"the layer {name!r} ({type(module).__name__}) has no weight that takes the head.",
        hint="Replace it by torch.nn.Linear with the same weights (of LoRA: merge it first), and capture again.",
    )


def _gives(module: Any, head: Head) -> bool:
    """Whether a module computes the head's logits, of features of any length."""
    import torch

    inputs = 3 * torch.randn(2 * head.weight.shape[1], head.weight.shape[1], generator=torch.Generator().manual_seed(0))
    like = next(parameter for parameter in module.parameters())
    with torch.no_grad():
        given = module(inputs.to(like)).float().cpu()
    wanted = torch.from_numpy(head(inputs.numpy()))
    return torch.allclose(given, wanted, rtol=0, atol=1e-6 + 1e-3 * float(wanted.abs().max()))


def _set_weight(layer: Any, weight: Any, bias: Any, *, unit: bool) -> None:
    """Copy a weight (C, D) and a bias (C,) into a layer, in the form in which it stores them."""
    import torch

    if hasattr(layer, "assign"):  # a head that stores its weight in another form, such as length and direction
        normalises = {"unit": unit} if hasattr(layer, "unit") else {}
        layer.assign(weight, bias if bias.any() or layer.bias is not None else None, **normalises)
        return
    shaped = weight.reshape(layer.weight.shape).to(layer.weight)
    if torch.nn.utils.parametrize.is_parametrized(layer, "weight"):
        layer.weight = shaped  # by the right inverse of the parametrization
    elif hasattr(layer, "weight_g") and hasattr(layer, "weight_v"):  # torch.nn.utils.weight_norm
        layer.weight_g.copy_(shaped.flatten(1).norm(dim=1).reshape(layer.weight_g.shape))
        layer.weight_v.copy_(shaped)
        layer.weight = shaped
    else:
        layer.weight.copy_(shaped)
    if layer.bias is not None:
        layer.bias.copy_(bias)
    elif bias.any():
        layer.bias = torch.nn.Parameter(bias.to(layer.weight))


def _unfolded(head: Head, form: Mapping[str, Any]) -> Head:
    """Return the weight and bias of the layer itself: what follows it is taken out again.

    Raises:
        InputError: a class-wise scale is 0.
    """
    weight, bias = head.weight, head.bias
    if form.get("one_logit"):  # two classes with logits (0, z)
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    if form.get("shift") is not None:
        bias = bias - np.asarray(form["shift"], dtype=np.float32)
    if form.get("scale") is not None:
        scale = np.asarray(form["scale"], dtype=np.float32)
        if (scale == 0).any():
            raise InputError(
                "the network multiplies an output by 0, so no head can be installed.", hint="Remove the scale."
            )
        weight, bias = weight / scale[:, None], bias / scale
    return Head(weight, bias, head.unit)


def _layer(model: Any, name: str | None, head: Head) -> Any:
    """Return the named linear layer; without a name, the last one of the head's shape."""
    linear = {key: module for key, module in unwrapped(model).named_modules() if _is_linear(module)}
    known = "It has: " + ", ".join(f"{key or 'itself'} {tuple(m.weight.shape)}" for key, m in linear.items()) + "."
    hint = f"Give the network that the run was captured from. {known if linear else 'It has no linear layer.'}"
    if name is not None:
        if name not in linear:
            raise MissingError(f"the model has no linear layer {name!r}, which this run was captured from.", hint=hint)
        linear = {name: linear[name]}
    fitting = [module for module in linear.values() if tuple(module.weight.flatten(1).shape) == head.weight.shape]
    if not fitting:
        raise ShapeError(
            f"no linear layer of the model has the shape of this run's head, {head.weight.shape}.", hint=hint
        )
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

    if isinstance(module, (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)):
        return set(module.kernel_size) == {1} and module.groups == 1
    return isinstance(module, torch.nn.Linear) or (hasattr(module, "assign") and hasattr(module, "weight"))
