"""The network while it is read: hooks at its last linear layer, and everything put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from imblens.base.random_state import torch_state_kept
from imblens.errors import InputError, ShapeError
from imblens.models import HeadReading, arranged, set_evaluation, tensors_of
from imblens.run import Run, unwrapped


@contextmanager
def as_found(model: torch.nn.Module, device: torch.device) -> Iterator[None]:
    """Lend the network on `device`, in evaluation mode, without parameter gradients; put back all that changes.

    Put back, also after an error: mode and plain attributes of every submodule, requires_grad, the very tensors of
    parameters, gradients and buffers with their values, and the state of the random generators of Python, NumPy and PyTorch.
    What a module mutates inside its own lists or dicts is not seen here. A lazy layer with weights becomes the layer
    that it stands for, as in any first pass.
    """
    with torch_state_kept(), _network_as_found(model, device):
        yield


@contextmanager
def _network_as_found(model: torch.nn.Module, device: torch.device) -> Iterator[None]:
    modules = [module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
    scripted = [(module, module.training) for module in model.modules() if isinstance(module, torch.jit.ScriptModule)]
    lazy = {id(module) for module in modules if isinstance(module, LazyModuleMixin)}
    attributes = [dict(vars(module)) for module in modules]
    tensors = [(dict(module._parameters), dict(module._buffers)) for module in modules]
    parameters = [(p, p.data, p.grad, p.requires_grad) for p in model.parameters()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        set_evaluation(model)
        for parameter, _, _, _ in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None  # which model.to would move as well
        if any(data.device != device for _, data, _, _ in parameters):
            model.to(device)
        yield
    finally:
        for parameter, data, grad, needed in parameters:
            parameter.data = data
            parameter.grad = grad
            parameter.requires_grad_(needed)
        for program, training in scripted:
            program.train(training)
        for module, found, (own_parameters, own_buffers) in zip(modules, attributes, tensors, strict=True):
            if id(module) in lazy and not isinstance(module, LazyModuleMixin):
                module.training = found["training"]
                continue
            for name in set(vars(module)) - set(found):
                del vars(module)[name]
            vars(module).update(found)
            module._parameters.update(own_parameters)
            module._buffers.update(own_buffers)
        with torch.no_grad():
            for buffer, values in buffers:
                if not torch.equal(buffer, values):
                    buffer.copy_(values)


@contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """Switch off what would round float32 to fewer bits: TF32, bf16 products, an autocast around the caller."""
    libraries: list[Any] = [torch.backends.cudnn, torch.backends.mkldnn]
    owners: list[Any] = [torch.backends.cuda.matmul]
    name: str
    exact: Any
    rounded: tuple[Any, ...]
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):  # torch >= 2.9
        kinds = ("conv", "rnn", "matmul")
        owners += [getattr(library, kind) for library in libraries for kind in kinds if hasattr(library, kind)]
        name, exact, rounded = "fp32_precision", "ieee", ("tf32", "bf16")
    else:
        owners += [torch.backends.cudnn]
        name, exact, rounded = "allow_tf32", False, (True,)
    changed = [(owner, getattr(owner, name)) for owner in owners if getattr(owner, name) in rounded]
    try:
        for owner, _ in changed:
            setattr(owner, name, exact)
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for owner, value in changed:
            setattr(owner, name, value)


class LayerHook:
    """Hooks that keep what enters and leaves the head's layer, and what leaves other modules, for one forward pass.

    With gradients on, what leaves the other modules is part of the graph, or starts one.
    """

    def __init__(self, model: torch.nn.Module, reading: HeadReading, others: tuple[str, ...] = ()) -> None:
        """Prepare hooks on the layer of `reading`, and on the output of `others`."""
        self._model, self._reading, self._others = model, reading, others
        self._calls: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        self._maps: dict[str, torch.Tensor] = {}

    @contextmanager
    def registered(self) -> Iterator[LayerHook]:
        """Keep the hooks for as long as the context lasts."""
        with ExitStack() as stack:
            for name in self._reading.hooked:
                head = self._model.get_submodule(name)
                stack.callback(head.register_forward_hook(self._reader(name)).remove)
            for name in self._others:
                module = self._model.get_submodule(name)
                stack.callback(module.register_forward_hook(self._keeper(name)).remove)
            yield self

    def take(
        self, output: Any, masks: Mapping[str, torch.Tensor], n: int
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        """Return features (n, D) and logits (n, C) of the last forward pass, and the outputs of the other modules.

        Raises:
            ShapeError: the layer ran more or less often than it should, or works on more than one vector per instance.
        """
        calls, maps = self._calls, self._maps
        self._calls, self._maps = {}, {}
        pairs = []
        for layer in self._reading.hooked:
            own = calls.get(layer, [])
            pair = arranged(own, self._reading.layout, n) if len(own) == self._reading.n_calls else None
            if pair is None:
                often = "once" if self._reading.n_calls == 1 else f"{self._reading.n_calls} times"
                raise ShapeError(
                    f"layer {layer!r} ran {len(own)} times in one forward pass; it must run {often}.",
                    hint="Pass layer=NAME of the last linear layer.",
                )
            pairs.append(pair)
        entered = self._reading.summed(pairs) if self._reading.heads else pairs[0]
        features, logits = self._reading.features_and_logits(*entered, output, masks)
        return features, logits, maps

    def _reader(self, name: str) -> Any:
        def keep(module: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
            left = tensors_of(output)[0].clone()  # what follows may work in place
            entered = left if self._reading.kind == "features" else args[0].clone()
            self._calls.setdefault(name, []).append((entered, left))

        return keep

    def _keeper(self, name: str) -> Any:
        def keep(module: torch.nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            self._maps[name] = output
            if not isinstance(output, torch.Tensor) or not output.is_floating_point():
                return output
            if torch.is_grad_enabled() and not output.requires_grad:
                output = output.detach().requires_grad_()  # nothing before needs a graph: it starts here
            self._maps[name] = output
            return output.clone()  # what follows may work in place

        return keep


def unwrap(model: Any) -> torch.nn.Module:
    """Return the network inside torch.compile, DataParallel or DistributedDataParallel, whose hooks do not all run.

    Raises:
        InputError: it is not a network with values: TorchScript, weights alone, lazy layers before their first pass.
    """
    if not isinstance(model, torch.nn.Module):
        weights = isinstance(model, (Mapping, str))
        raise InputError(
            f"model must be a torch.nn.Module, found {type(model).__name__}.",
            hint="Build the network, and load its weights into it."
            if weights
            else "Use imblens.Run.from_sklearn(estimator, train=(X, y), test=(X, y))."
            if hasattr(model, "fit") and hasattr(model, "predict") and hasattr(Run, "from_sklearn")
            else "Pass the network itself.",
        )
    found: torch.nn.Module = unwrapped(model)
    if isinstance(found, torch.jit.ScriptModule):
        raise InputError(
            "model is a TorchScript module, whose layers cannot be read.",
            hint="Pass the Python network it was made of.",
        )
    for name, tensor in (*found.named_parameters(), *found.named_buffers()):
        if is_lazy(tensor):
            raise InputError(
                f"the lazy layer {name.rpartition('.')[0]!r} of {type(found).__name__} has no weights yet.",
                hint="Load its trained weights (load_state_dict or --weights), or run it once on a batch: model(inputs).",
            )
        if tensor.is_meta:
            raise InputError(
                f"{name!r} of {type(found).__name__} is on the device meta, without values.",
                hint="Build the network on a real device, and load its weights.",
            )
    return found
