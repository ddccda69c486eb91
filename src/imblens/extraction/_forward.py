"""One batch through the network: features, logits and what the probes see of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imblens.errors import InputError, NotApplicable, ShapeError
from imblens.extraction._network import LayerHook
from imblens.extraction._probes import Probe, ProbeBatch
from imblens.extraction._readers import InputBatch

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
GRAPH_BYTES = 2 * 2**30  # what the graph of one batch may keep for the way back
GRAPH_BATCH = 128


@dataclass(frozen=True)
class Output:
    """What came of a batch: features (b, D), logits (b, C), columns of the probes."""

    features: Floats
    logits: Floats
    columns: dict[str, NDArray[Any]]


class ForwardPass:
    """Runs batches through a network that `as_found` has lent.

    Attributes:
        weight: (C, D) float32 of the last linear layer.
        bias: (C,) float32, zeros where it has none.
        probes: the probes that apply; `settle` leaves the others out.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        layer: str,
        probes: Sequence[Probe],
        *,
        device: torch.device,
        dtype: torch.dtype,
        bf16: bool,
    ) -> None:
        """Prepare for batches on `device`, inputs in the network's `dtype`; `bf16`: features under autocast."""
        self.probes = list(probes)
        self._model, self._layer = model, layer
        self._device, self._dtype, self._bf16 = device, dtype, bf16
        head: Any = model.get_submodule(layer)
        self.weight = _numbers(head.weight)
        self.bias = np.zeros(len(self.weight), np.float32) if head.bias is None else _numbers(head.bias)
        # what the head's own arithmetic rounds: bf16 keeps 8 bits, float16 keeps 11
        self._tolerance = 1e-3 if dtype.itemsize >= 4 and not bf16 else 3e-2

    def settle(self, given: InputBatch) -> dict[str, str]:
        """Try the network and the probes on a few instances; leave out probes that do not apply, and return why.

        Raises:
            InputError: the network cannot run on such inputs.
        """
        self(given, ())
        reasons = {}
        for probe in list(self.probes):
            try:
                self(given, (probe,))
            except NotApplicable as error:
                reasons[probe.name] = error.message
                self.probes.remove(probe)
            except (InputError, RuntimeError) as error:  # it runs without a graph: `self(given, ())` passed
                reasons[probe.name] = f"the network runs, but not with gradients: {error}"
                self.probes.remove(probe)
        return reasons

    def batch_size(self, given: InputBatch, wanted: int) -> int:
        """Return how many instances fit: fewer than `wanted` where a probe needs the graph, which keeps every layer."""
        if not any(probe.gradient for probe in self.probes):
            return wanted
        import torch

        kept: dict[int, int] = {}
        own = {p.untyped_storage().data_ptr() for p in self._model.parameters()}

        def count(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            hook = LayerHook(self._model, self._layer)
            with hook.watching(), torch.enable_grad(), _cheap_norms(True):
                self._model(self._leaf(given).clone())
        each = max(1, sum(kept.values()) // len(given.labels))
        return int(np.clip(GRAPH_BYTES // each, 1, min(wanted, GRAPH_BATCH)))

    def __call__(self, given: InputBatch, probes: Sequence[Probe] | None = None) -> Output:
        """Run a batch.

        Raises:
            InputError: the network fails, answers NaN, or its last layer is not features @ weight.T + bias.
        """
        import torch

        chosen = self.probes if probes is None else probes
        graph = any(probe.gradient for probe in chosen)
        plain = self._bf16 or not chosen
        columns: dict[str, NDArray[Any]] = {}
        if plain:
            with torch.no_grad():
                autocast: AbstractContextManager[Any] = nullcontext()
                if self._bf16:
                    autocast = torch.autocast(self._device.type, dtype=torch.bfloat16)
                with autocast:
                    entered, left, _ = self._run(self._placed(given), ())
        if chosen:
            slopes = graph or any(probe.map_gradient for probe in chosen)
            with torch.set_grad_enabled(slopes), _cheap_norms(slopes):
                inputs = self._leaf(given) if graph else self._placed(given)
                others = tuple(dict.fromkeys(name for probe in chosen for name in probe.layers))
                exact_entered, exact_left, maps = self._run(inputs, others)
                if not plain:
                    entered, left = exact_entered, exact_left
                batch = ProbeBatch(
                    inputs,
                    exact_left,
                    maps,
                    given.labels,
                    given.pixels,
                    given.boxes,
                    _gradient_of(len(chosen) > 1 or bool(others)),
                )
                for probe in chosen:
                    columns |= probe.update(batch)
        features, logits = _numbers(entered), _numbers(left)
        self._check(features, logits, given)
        return Output(features, logits, columns)

    def _run(self, inputs: torch.Tensor, others: tuple[str, ...]) -> tuple[torch.Tensor, torch.Tensor, Any]:
        hook = LayerHook(self._model, self._layer, others)
        with hook.watching():
            try:
                # a network may work in place on what it is given, which a leaf of the graph forbids
                self._model(inputs.clone())
            except Exception as error:
                shape = tuple(inputs.shape)
                raise InputError(
                    f"{type(self._model).__name__} cannot run on inputs of shape {shape} and type {inputs.dtype}: "
                    f"{type(error).__name__}: {error}",
                    hint="Check size and channels that the network expects; preprocessing={'size': [H, W]} resizes.",
                ) from error
        return hook.take()

    def _placed(self, given: InputBatch) -> torch.Tensor:
        import torch

        inputs = given.inputs.to(self._device)
        if inputs.is_floating_point():
            inputs = inputs.to(self._dtype)
        return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs

    def _leaf(self, given: InputBatch) -> torch.Tensor:
        inputs = self._placed(given).detach()
        return inputs.requires_grad_() if inputs.is_floating_point() else inputs

    def _check(self, features: Floats, logits: Floats, given: InputBatch) -> None:
        if len(features) != len(given.labels):
            raise ShapeError(
                f"layer {self._layer!r} gave {len(features)} rows for {len(given.labels)} instances.",
                hint="The network must map each instance to one row.",
            )
        for name, values in (("features", features), ("logits", logits)):
            bad = ~np.isfinite(values).all(axis=1)
            if bad.any():
                raise InputError(
                    f"the network's {name} of instance {given.ids[int(bad.argmax())]!r} hold NaN or infinite values.",
                    hint="Check the weights and that instance; it may hold NaN itself.",
                )
        expected = features @ self.weight.T + self.bias
        off = float(np.abs(expected - logits).max())
        allowed = self._tolerance * float(np.abs(logits).max())
        if off > allowed:  # a sum of large terms that cancel rounds more than its size tells
            allowed += 1e-5 * float((np.abs(features) @ np.abs(self.weight.T) + np.abs(self.bias)).max())
        if off > allowed:
            raise InputError(
                f"layer {self._layer!r}: its output differs from features @ weight.T + bias by up to {off:.3g}.",
                hint="A hook or a forward of its own seems to change it. Pass layer=NAME of a plain linear layer.",
            )


def _numbers(tensor: torch.Tensor) -> Floats:
    # a copy: a parameter's own memory must not end up in the run
    array: Floats = tensor.detach().float().cpu().numpy().copy()
    return array


def _cheap_norms(graph: bool) -> AbstractContextManager[Any]:
    if not graph:
        return nullcontext()
    from imblens.extraction.frozen_norm import FrozenNorms

    return FrozenNorms()


def _gradient_of(keep_graph: bool) -> Any:
    import torch

    def gradient(outputs: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(outputs.sum(), to, retain_graph=keep_graph)[0]

    return gradient
