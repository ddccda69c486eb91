"""Finding the linear layer that returns the logits of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from imblens.base.wording import listed
from imblens.errors import InputError, MissingError, did_you_mean
from imblens.models.normed import NormedLinear

_HINT = "Name the layer that gives the logits: --layer NAME (in Python, layer=NAME)."


def find_head(
    model: nn.Module, layer: str | None = None, *, sample: Tensor | None = None, n_classes: int | None = None
) -> tuple[str, nn.Module]:
    """Find the linear layer whose output is the output of the network.

    With `sample`, the network is run once, and the head is the layer whose output equals the network's output.
    Without it, the head is the only linear layer with `n_classes` outputs, or the last one that was registered.

    Args:
        model: any network; mode, gradients and random state are left as found, also after an error.
        layer: its qualified name, if known.
        sample: a small batch that the network accepts.
        n_classes: C, if known.

    Returns:
        The qualified name, and the layer: an `nn.Linear`, or a `NormedLinear`, whose `weight` (C, D) and `bias` (C,)
        or None give logits = features @ weight.T + bias.

    Raises:
        MissingError: `layer` is not there or not linear.
        InputError: no candidate, several, an exported program, or the output is not that of a linear layer.

    Example:
        >>> from imblens.models import build_model
        >>> name, head = find_head(build_model("smallnet", 3))
        >>> name, tuple(head.weight.shape)
        ('head', (3, 64))
    """
    with evaluating(model):  # refuses what cannot be evaluated
        pass
    if sample is not None:
        _initialise_lazy_layers(model, sample)
    known = {name: m for name, m in model.named_modules() if isinstance(m, (nn.Linear, NormedLinear))}
    if layer is not None:
        return layer, _named(model, known, layer)
    if not known:
        raise InputError(
            f"{type(model).__name__} has no linear layer (torch.nn.Linear).",
            hint="imblens reads networks that end in one: pool first, then an nn.Linear, not a 1 x 1 convolution.",
        )
    candidates = known
    if sample is not None:
        candidates = _candidates(model, known, sample)
    elif n_classes is not None:
        candidates = {name: module for name, module in known.items() if module.out_features == n_classes}
        if len(candidates) != 1:
            found = "no linear layer" if not candidates else f"{len(candidates)} linear layers"
            listed = candidates or known
            raise InputError(
                f"{type(model).__name__} has {found} with {n_classes} outputs: {_listed(listed)}.", hint=_HINT
            )
    name = list(candidates)[-1]
    if n_classes is not None and candidates[name].out_features != n_classes:
        raise InputError(
            f"the layer {name!r} has {candidates[name].out_features} outputs for {n_classes} classes.",
            hint="Give the data set that the network was trained on, or name another layer with --layer NAME.",
        )
    return name, candidates[name]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside, the network is in evaluation mode, without gradients; after, mode and random state are as they were."""
    modes = [(module, module.training) for module in model.modules()]
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        try:
            set_evaluation(model)
            yield
        finally:
            for module, training in modes:
                module.training = training


def set_evaluation(model: nn.Module) -> None:
    """Set every module to evaluation mode; exported programs inside a network have only the mode of their export.

    Raises:
        InputError: the network itself is an exported program.
    """
    try:
        model.eval()
    except NotImplementedError as error:
        if "eval" in vars(model):  # as torch.export replaces it
            raise InputError(
                f"{type(model).__name__} is an exported program (torch.export), whose layers cannot be read.",
                hint="Give the torch.nn.Module that it was exported from, with its weights.",
            ) from error
        for module in model.modules():
            module.training = False


def _initialise_lazy_layers(model: nn.Module, sample: Tensor) -> None:
    """Run the network once if it has lazy layers: their shapes follow from the first input."""
    tensors = [*model.parameters(), *model.buffers()]
    if any(is_lazy(tensor) for tensor in tensors):
        where = next((tensor.device for tensor in tensors if not is_lazy(tensor)), sample.device)
        with evaluating(model), suppress(Exception):  # `_candidates` reports what fails
            model(sample.to(where))


def _named(model: nn.Module, known: Mapping[str, Any], layer: str) -> nn.Module:
    if layer in known:
        module: nn.Module = known[layer]
        return module
    other = dict(model.named_modules()).get(layer)
    what = "does not exist" if other is None else f"is a {type(other).__name__}, not a linear layer"
    raise MissingError(
        f"the layer {layer!r} {what} in {type(model).__name__}.",
        hint=did_you_mean(layer, list(known)) if known else "It has no linear layer.",
    )


def _candidates(model: nn.Module, known: Mapping[str, Any], sample: Tensor) -> dict[str, Any]:
    """Return the layers whose output is the model's, in the order in which they ran."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            outputs.pop(name, None)
            outputs[name] = output.clone()  # what follows may work in place

        return hook

    where = next(iter(model.parameters()), torch.empty(0)).device
    try:
        with ExitStack() as hooks, evaluating(model):
            for name, module in known.items():
                hooks.enter_context(module.register_forward_hook(keep(name)))
            logits = logits_of(model(sample.to(where)))
    except Exception as error:
        raise InputError(
            f"{type(model).__name__} cannot run on images of shape {tuple(sample.shape[1:])}: "
            f"{type(error).__name__}: {error}",
            hint="Check the size (--size) and the channels that it expects; one grey channel goes with one number: --mean 0.",
        ) from error
    if logits is None or logits.ndim != 2:
        found = "no tensor" if logits is None else f"a tensor of shape {tuple(logits.shape)}"
        raise InputError(
            f"{type(model).__name__} returns {found} for {len(sample)} images; logits (N, C) are needed.",
            hint="Wrap the network so that it returns logits.",
        )
    same = {
        name: known[name]
        for name, output in outputs.items()
        if output.shape == logits.shape and torch.equal(output.to(logits.dtype).nan_to_num(), logits.nan_to_num())
    }
    if not same:
        raise InputError(
            f"the output of {type(model).__name__} is not the output of a linear layer (of {_listed(known)}): "
            "something follows, such as a softmax.",
            hint="Return logits, or name the layer that gives them: --layer NAME (in Python, layer=NAME).",
        )
    return same


def logits_of(output: Any) -> Tensor | None:
    """Find the logits in what a network returned: a tensor, a sequence, a mapping or an object."""
    if isinstance(output, torch.Tensor):
        return output
    logits = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(logits, torch.Tensor):
        return logits
    parts = list(output.values()) if isinstance(output, Mapping) else output
    if isinstance(parts, (tuple, list)) and parts and isinstance(parts[0], torch.Tensor):
        return parts[0]
    return None


def _listed(layers: Mapping[str, Any]) -> str:
    shown = [f"{name or '(the network itself)'} ({module.out_features} outputs)" for name, module in layers.items()]
    return listed(shown, 10)
