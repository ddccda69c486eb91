"""One batch through the network: features, logits and what the probes see of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imblens.errors import InputError, NotApplicable, ShapeError
from imblens.extraction._input_batch import InputBatch
from imblens.extraction._inputs import Inputs
from imblens.extraction._network import LayerHook
from imblens.extraction._probes import Probe, ProbeBatch
from imblens.extraction.frozen_norm import FrozenNorms
from imblens.models import HeadReading, two_logits
from imblens.run import Head, head_gives

Floats = NDArray[np.float32]
GRAPH_BYTES = 2 * 2**30  # what the graph of one batch may keep for the way back
GRAPH_BATCH = 128
_MISFIT = (
    "Check what the network receives: preprocessing={'size': [H, W]} resizes images, "
    "label=POSITION names the label where it is not the last entry of a batch, "
    "forward=lambda model, inputs: ... calls the network in another way."
)
_KIND = (
    "Where the network takes floating-point inputs, pass them as float32; where these are the labels, label=POSITION names "
    "the entry of a batch that holds them."
)
_ARGUMENTS = (
    "Call the network with what it takes: forward=lambda model, inputs: model(...); or rename keys of the batch."
)


@dataclass(frozen=True)
class Output:
    """The result of a batch.

    Attributes:
        features: (b, D).
        logits: (b, C); None where they were left out since the head gives them.
        columns: of the probes, b rows.
        n_differing: numbers of predictions and of outputs that differ from the network's own.
        by_head: whether the head gives the logits, but for rounding.
    """

    features: Floats
    logits: Floats | None
    columns: dict[str, NDArray[Any]]
    n_differing: tuple[int, int] = (0, 0)
    by_head: bool = False

    def rows(self, chosen: NDArray[np.bool_]) -> Output:
        """Return some instances."""
        columns = {name: values[chosen] for name, values in self.columns.items()}
        logits = None if self.logits is None else self.logits[chosen]
        return replace(self, features=self.features[chosen], logits=logits, columns=columns)


class ForwardPass:
    """Runs batches through a network that `as_found` has lent.

    Attributes:
        weight: (C, D) float32 of the head, what follows it folded in; None without a head.
        bias: (C,) float32, zeros where it has none.
        unit: whether the head scales features to length 1 first.
        probes: the probes that apply; `settle` leaves the others out.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        reading: HeadReading,
        probes: Sequence[Probe],
        *,
        device: torch.device,
        dtype: torch.dtype,
        bf16: bool,
        forward: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        """Prepare for batches on `device`, inputs in the network's `dtype`; `bf16`: features under autocast.

        `forward`: function of (model, inputs) that runs the network, where it is not called itself.
        """
        self.probes = list(probes)
        self._model, self._reading, self._layer = model, reading, reading.layer
        self._device, self._dtype, self._bf16, self._forward = device, dtype, bf16, forward
        self.weight: Floats | None = None
        self.bias: Floats | None = None
        self.unit = False
        if reading.kind != "features":
            weight, bias = reading.head(model)
            self.weight, self.bias = _numbers(weight), _numbers(bias)
            self.unit = reading.unit(model)
        # rounding of the head's own arithmetic: bf16 keeps 8 bits, float16 keeps 11
        self._tolerance = 1e-3 if dtype.itemsize >= 4 and not bf16 else 3e-2

    @property
    def head(self) -> Head | None:
        """The head that was read; None where there is none."""
        if self.weight is None or self.bias is None:
            return None
        return Head(self.weight, self.bias, self.unit)

    def n_outputs(self, given: InputBatch) -> int:
        """Return C."""
        if self.weight is not None:
            return len(self.weight)
        logits = self(given, ()).logits
        assert logits is not None
        return int(logits.shape[1])

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
            except (InputError, RuntimeError) as error:  # without a graph it runs
                reasons[probe.name] = f"the network runs, but not with gradients: {error}"
                self.probes.remove(probe)
        return reasons

    def batch_size(self, given: InputBatch, wanted: int) -> int:
        """Return how many instances fit: fewer than `wanted` where a probe needs the graph, which keeps every layer."""
        if not any(probe.gradient for probe in self.probes):
            return wanted
        kept: dict[int, int] = {}
        own = {p.untyped_storage().data_ptr() for p in self._model.parameters()}

        def count(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        counting = torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor)
        with counting, torch.enable_grad(), _cheap_norms(True):
            self._run(self._leaf(given)[0], (), len(given.labels))
        each = max(1, sum(kept.values()) // len(given.labels))
        return int(np.clip(GRAPH_BYTES // each, 1, min(wanted, GRAPH_BATCH)))

    def __call__(self, given: InputBatch, probes: Sequence[Probe] | None = None) -> Output:
        """Run a batch.

        Raises:
            InputError: the network fails, returns NaN, or its last layer is not features @ weight.T + bias.
        """
        chosen = self.probes if probes is None else probes
        graph = any(probe.gradient for probe in chosen)
        plain = self._bf16 or not chosen
        columns: dict[str, NDArray[Any]] = {}
        if plain:
            autocast: AbstractContextManager[Any] = nullcontext()
            if self._bf16:
                autocast = torch.autocast(self._device.type, dtype=torch.bfloat16)
            with torch.no_grad(), autocast:
                entered, left, _, n_differing = self._run(self.placed(given), (), len(given.labels))
        if chosen:
            slopes = graph or any(probe.map_gradient for probe in chosen)
            with torch.set_grad_enabled(slopes), _cheap_norms(slopes):
                inputs, leaf = self._leaf(given) if graph else (self.placed(given), None)
                others = tuple(dict.fromkeys(name for probe in chosen for name in probe.layers))
                exact_entered, exact_left, maps, n_exact = self._run(inputs, others, len(given.labels))
                if not plain:
                    entered, left, n_differing = exact_entered, exact_left, n_exact
                batch = ProbeBatch(
                    inputs.image if leaf is None else leaf,
                    exact_left,
                    maps,
                    given.labels,
                    given.pixels,
                    given.boxes,
                    _gradient_of(len(chosen) > 1 or bool(others)),
                    self._again(inputs),
                )
                for probe in chosen:
                    columns |= probe.update(batch)
        features, logits = _numbers(entered), _numbers(left)
        return Output(features, logits, columns, n_differing, self._checked(features, logits, given))

    def call(self, inputs: Inputs) -> Any:
        """Run the network on copies, since it may work in place, and return its output.

        Raises:
            InputError: it cannot run on such inputs.
        """
        copies = inputs.map(
            lambda tensor: tensor.clone(), lambda held: held.clone() if hasattr(held, "clone") else held
        )
        try:
            if self._forward is not None:
                return self._forward(self._model, copies.given)
            return self._model(*copies.args, **copies.kwargs)
        except Exception as error:
            raise InputError(
                f"{type(self._model).__name__} cannot run on inputs of shape {inputs.shapes()}: "
                f"{type(error).__name__}: {error}",
                hint=_hint(error),
            ) from error

    def _run(
        self, inputs: Inputs, others: tuple[str, ...], n: int
    ) -> tuple[torch.Tensor, torch.Tensor, Any, tuple[int, int]]:
        """Return features, logits, outputs of other modules, and the numbers of predictions and outputs that differ."""
        hook = LayerHook(self._model, self._reading, others)
        with hook.registered():
            output = self.call(inputs)
        features, logits, maps = hook.take(output, masks_of(inputs, n), n)
        if logits.ndim == 2 and logits.shape[1] == 1 and self._reading.one_logit:
            logits = two_logits(logits)
        if len(logits) != n:
            return features, logits, maps, (0, 0)
        return features, logits, maps, self._reading.differing(logits.detach(), output, 10 * self._tolerance)

    def _again(self, inputs: Inputs) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """Return what gives the logits of other images in place of these; None where the network takes more than images."""
        image = inputs.image
        if image is None or len(inputs.leaves()) > 1:
            return None

        def again(images: torch.Tensor) -> torch.Tensor:
            images = images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images
            with torch.no_grad():
                changed = inputs.map(lambda tensor: images if tensor is image else tensor)
                return self._run(changed, (), len(images))[1]

        return again

    def placed(self, given: InputBatch) -> Inputs:
        """Return the inputs on the device, in the network's type."""

        def place(tensor: torch.Tensor) -> torch.Tensor:
            tensor = tensor.to(self._device)
            tensor = tensor.to(self._dtype) if tensor.is_floating_point() else tensor
            return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor

        return given.inputs.map(place, lambda held: held.to(self._device))

    def _leaf(self, given: InputBatch) -> tuple[Inputs, torch.Tensor | None]:
        """Return the inputs and, in them, the image tensor as a leaf of the graph."""
        inputs = self.placed(given)
        image = inputs.image
        if image is None or not image.is_floating_point():
            return inputs, image
        leaf = image.detach().requires_grad_()
        return inputs.map(lambda tensor: leaf if tensor is image else tensor), leaf

    def _checked(self, features: Floats, logits: Floats, given: InputBatch) -> bool:
        """Check a result; return whether the head gives these logits, but for rounding."""
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
        head = self.head
        if head is None:
            return False
        features = head.entered(features)
        expected = features @ head.weight.T + head.bias
        off = float(np.abs(expected - logits).max())
        allowed = self._tolerance * float(np.abs(logits).max())
        if off > allowed:  # a sum of large terms that cancel rounds more than its size suggests
            allowed += 1e-5 * float((np.abs(features) @ np.abs(head.weight.T) + np.abs(head.bias)).max())
        if off > allowed:
            raise InputError(
                f"layer {self._layer!r}: its output differs from features @ weight.T + bias by up to {off:.3g}.",
                hint="A hook or a custom forward seems to change it. Pass layer=NAME of a plain linear layer.",
            )
        return head_gives(expected, logits)


def _hint(error: Exception) -> str:
    if isinstance(error, (TypeError, NotImplementedError)):
        return _ARGUMENTS
    kinds = ("same dtype", "same type", "scalar type", "Input type")  # as PyTorch puts it
    return _KIND if any(words in str(error) for words in kinds) else _MISFIT


def masks_of(inputs: Inputs, n: int) -> dict[str, torch.Tensor]:
    """Return the inputs (n, T) of 0 and 1, by name or position."""
    named = {**{str(i): value for i, value in enumerate(inputs.args)}, **inputs.kwargs}
    return {
        key: value
        for key, value in named.items()
        if getattr(value, "ndim", 0) == 2 and len(value) == n and bool(((value == 0) | (value == 1)).all())
    }


def _numbers(tensor: torch.Tensor) -> Floats:
    # a copy: a parameter's own memory must not end up in the run
    array: Floats = tensor.detach().float().cpu().numpy().copy()
    return array


def _cheap_norms(graph: bool) -> AbstractContextManager[Any]:
    if not graph:
        return nullcontext()
    return FrozenNorms()


def _gradient_of(keep_graph: bool) -> Any:
    def gradient(outputs: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(outputs.sum(), to, retain_graph=keep_graph)[0]

    return gradient
