"""How features and logits are read: the linear layer behind the network's output, and what follows that layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from dataclasses import fields as fields_of
from typing import Any

import torch

from imblens.base.linear import affine_weights
from imblens.errors import InputError, ShapeError
from imblens.models.normed import NormedLinear

LINKS = ("identity", "softmax", "log_softmax", "sigmoid")
Pool = str | Callable[[Any], Any] | None


PREDICTION_NAMES = (
    "logits",
    "output",
    "outputs",
    "out",
    "prediction",
    "predictions",
    "pred",
    "preds",
    "main",
    "scores",
)


@dataclass(frozen=True)
class HeadReading:
    """From the hooked layer's input and output to features (b, D) and logits (b, C).

    Attributes:
        layer: the hooked module; "a + b" for several.
        kind: "linear", "convolution" (1 x 1), "affine" (a module of another class that computes a linear layer, such as
            one with LoRA), "several" (a weighted sum of the outputs of several linear layers, such as the mean of two heads;
            their features are concatenated), or "features" (the layer's output are the features; there is no head).
        reduce: over tokens or positions: "none", "mean", "choice" (the position that gives the network's output),
            "mask:KEY" (mean over the positions where that input is 1), "pool" (as the user asked).
        link: the function between logits and the network's output.
        scale: (C,) class-wise factor after the layer, or None.
        shift: (C,) class-wise summand after the factor, or None.
        one_logit: whether the layer has one output z, read as logits (0, z) of two classes.
        part: position of the network's output among the tensors that it returns; -1 where it is unknown.
        pool: "mean", "first", "last" or a function.
        layout: where the positions of an instance are: "" in the tensor itself, "rows" (n * k, ...) with those of an
            instance side by side, "views" (k * n, ...) one after another, "time" (k, n, ...) in the first axis, "calls" in k
            calls of the layer.
        n_calls: how often the layer runs in one forward pass.
        skipped: whether an earlier output of the network has the width of the classes, too.
        others: positions of all other outputs that may be predictions.
        heads: name and factor of each of several linear layers.
        dim: D, where the module does not state it ("affine").
        normalised: whether that module scales what enters it to length 1 first.
    """

    layer: str
    kind: str = "linear"
    reduce: str = "none"
    link: str = "identity"
    scale: torch.Tensor | None = None
    shift: torch.Tensor | None = None
    one_logit: bool = False
    part: int = -1
    pool: Pool = None
    layout: str = ""
    n_calls: int = 1
    dim: int = 0
    normalised: bool = False
    skipped: bool = False
    others: tuple[int, ...] = ()
    heads: tuple[tuple[str, float], ...] = ()

    @property
    def plain(self) -> bool:
        """Whether logits are the output of a linear layer that receives one vector per instance."""
        return self.kind == "linear" and self.reduce == "none" and self.scale is None and self.shift is None

    @property
    def hooked(self) -> tuple[str, ...]:
        """Names of the modules whose inputs and outputs are read."""
        return tuple(name for name, _ in self.heads) or (self.layer,)

    def summed(self, calls: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the concatenated features (b, D) and the weighted sum of outputs (b, C) of several layers."""
        features = torch.cat([entered.flatten(1) for entered, _ in calls], dim=1)
        outputs = [factor * left.flatten(1) for (_, factor), (_, left) in zip(self.heads, calls, strict=True)]
        return features, torch.stack(outputs).sum(dim=0)

    def vectors(self, values: torch.Tensor) -> torch.Tensor:
        """Return (b, T, D): channels last, positions in one axis."""
        if self.kind == "convolution":
            values = values.movedim(1, -1)
        return values.reshape(len(values), -1, values.shape[-1])

    def features_and_logits(
        self, entered: torch.Tensor, left: torch.Tensor, output: Any, masks: Mapping[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Reduce what enters and leaves the layer."""
        if self.kind == "features":
            return self._features(left, output)
        if self.reduce == "none" and self.kind in ("linear", "affine", "several"):
            if entered.ndim != 2:
                raise ShapeError(
                    f"layer {self.layer!r} receives shape {tuple(entered.shape)}, not one vector per instance.",
                    hint='Pool tokens or maps before it, or pass pool="mean", "first" or "last".',
                )
            features, logits = entered, left
        elif self.reduce == "pool":
            features, logits = (pooled(values, self.pool, self.layer) for values in (entered, left))
        else:
            inner, outer = self.vectors(entered), self.vectors(left)
            weights = self._weights(outer, tensors_of(output)[self.part] if self.part >= 0 else None, masks)
            features, logits = ((weights[..., None] * values).sum(dim=1) for values in (inner, outer))
        if self.scale is not None:
            logits = logits * self.scale.to(logits)
        if self.shift is not None:
            logits = logits + self.shift.to(logits)
        return features, two_logits(logits) if self.one_logit else logits

    def head(self, model: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight (C, D) and bias (C,) of the head in the network, what follows it folded in."""
        if self.kind == "affine":
            weight, bias = affine_weights(model.get_submodule(self.layer), self.dim)
        elif self.kind == "several":
            pairs = [(factor, _weights_of(model.get_submodule(name))) for name, factor in self.heads]
            weight = torch.cat([factor * own for factor, (own, _) in pairs], dim=1)
            bias = torch.stack([factor * own for factor, (_, own) in pairs]).sum(dim=0)
        else:
            weight, bias = _weights_of(model.get_submodule(self.layer))
        if self.scale is not None:
            weight, bias = weight * self.scale.cpu()[:, None], bias * self.scale.cpu()
        if self.shift is not None:
            bias = bias + self.shift.cpu()
        if self.one_logit:
            weight, bias = torch.cat([0 * weight, weight]), torch.cat([0 * bias, bias])
        return weight, bias

    def unit(self, model: Any) -> bool:
        """Return whether the layer scales what enters it to length 1 itself, as a cosine classifier does."""
        if self.kind == "affine":
            return self.normalised
        layer = model.get_submodule(self.layer) if self.kind == "linear" else None
        return isinstance(layer, NormedLinear) and bool(layer.unit > 0)

    def describe(self) -> dict[str, Any]:
        """Return plain JSON, from which `install` puts a head back."""
        folded = {name: None if v is None else v.tolist() for name, v in (("scale", self.scale), ("shift", self.shift))}
        several = {"heads": [list(pair) for pair in self.heads]} if self.heads else {}
        form = {"kind": self.kind, "reduce": self.reduce, "link": self.link, "one_logit": self.one_logit}
        return {**form, **folded, **several}

    def differing(self, logits: torch.Tensor, output: Any, loose: float) -> tuple[int, int]:
        """Count the instances whose prediction by `logits` differs from the network's, and whose outputs differ.

        `loose`: how far outputs may differ, of the largest one. Outputs are not compared where `layer` was named.
        """
        part = prediction_part(output, len(logits), logits.shape[1], self.part)
        if part is None:
            return 0, 0
        part = part.detach()
        n_outputs = 0
        if self.part >= 0 and self.kind != "features":
            own = linked(logits[:, 1:] if self.one_logit else logits, self.link).to(part)
            away = (own.nan_to_num() - part.nan_to_num()).abs().amax(dim=1)
            n_outputs = int((away > loose * float(part.nan_to_num().abs().max())).sum())
        if part.shape[1] == 1:
            low, high = float(part.min()), float(part.max())
            return int(((logits[:, 1] > 0) != (part[:, 0] > (0.5 if low >= 0 and high <= 1 else 0))).sum()), n_outputs
        return int((logits.argmax(dim=1) != part.argmax(dim=1)).sum()), n_outputs

    def _features(self, values: torch.Tensor, output: Any) -> tuple[torch.Tensor, torch.Tensor]:
        features = values if values.ndim == 2 else pooled(values, self.pool, self.layer)
        part = tensors_of(output)[self.part].float()
        part = part.reshape(len(part), -1)
        if self.link == "softmax":
            part = part.clamp_min(1e-30).log()
        elif self.link == "sigmoid":
            part = part.clamp(1e-7, 1 - 1e-7).logit()
        return features, two_logits(part) if self.one_logit else part

    def _weights(self, outer: torch.Tensor, output: Any, masks: Mapping[str, torch.Tensor]) -> torch.Tensor:
        if self.reduce == "mean":
            return torch.full(outer.shape[:2], 1 / outer.shape[1], dtype=outer.dtype, device=outer.device)
        if self.reduce.startswith("mask:"):
            mask = masks[self.reduce.removeprefix("mask:")].to(outer)
            return mask / mask.sum(dim=1, keepdim=True).clamp_min(1e-9)
        with torch.no_grad():
            values = outer if self.scale is None else outer * self.scale.to(outer)
            values = values if self.shift is None else values + self.shift.to(outer)
            wanted = output.reshape(len(output), 1, -1).to(outer.dtype)
            place = (linked(values, self.link) - wanted).abs().amax(dim=2).argmin(dim=1)
            return torch.nn.functional.one_hot(place, outer.shape[1]).to(outer.dtype)


def _weights_of(module: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight (C, D) and bias (C,), zeros where there is none, of a linear layer or a 1 x 1 convolution."""
    weight = module.weight.detach().float().flatten(1).cpu()
    return weight, torch.zeros(len(weight)) if module.bias is None else module.bias.detach().float().cpu()


def arranged(
    calls: Sequence[tuple[torch.Tensor, torch.Tensor]], layout: str, n: int
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return what entered and left the layer with the positions of an instance in the second axis; None where unlike."""
    if not layout:
        return calls[0] if len(calls) == 1 else None
    if layout == "calls":
        alike = len({tuple(tensor.shape) for pair in calls for tensor in pair[1:]}) == 1 and calls[0][1].ndim == 2
        if len(calls) < 2 or not alike or len(calls[0][1]) != n:
            return None
        entered, left = (torch.stack([pair[k] for pair in calls], dim=1) for k in (0, 1))
        return entered, left
    if layout == "time":
        if len(calls) != 1 or calls[0][1].ndim != 3 or calls[0][1].shape[1] != n:
            return None
        entered, left = (tensor.transpose(0, 1) for tensor in calls[0])
        return entered, left
    if len(calls) != 1 or calls[0][1].ndim != 2 or len(calls[0][1]) <= n or len(calls[0][1]) % n:
        return None
    k = len(calls[0][1]) // n
    if layout == "rows":
        entered, left = (tensor.reshape(n, k, -1) for tensor in calls[0])
    else:
        entered, left = (tensor.reshape(k, n, -1).transpose(0, 1) for tensor in calls[0])
    return entered, left


def two_logits(z: torch.Tensor) -> torch.Tensor:
    """Return (b, 2) logits (0, z) of (b, 1)."""
    return torch.cat([torch.zeros_like(z), z], dim=1)


def pooled(values: torch.Tensor, pool: Pool, layer: str) -> torch.Tensor:
    """Return one vector per instance: of tokens (b, T, D), or of maps (b, D, H, W).

    Raises:
        ShapeError: `pool` is missing or does not give (b, D).
        InputError: `pool` is unknown.
    """
    if callable(pool):
        found: Any = pool(values)
    else:
        if pool not in (None, "mean", "first", "last"):
            raise InputError(f"pool is {pool!r}.", hint="Known: mean, first, last, or a function of the output.")
        if values.ndim == 2:
            return values
        if pool is None:
            raise ShapeError(
                f"layer {layer!r} has shape {tuple(values.shape)}, not one vector per instance.",
                hint='Pass pool="mean", "first", "last" or a function.',
            )
        if values.ndim > 3:
            values = values.flatten(2).transpose(1, 2)
        found = values.mean(dim=1) if pool == "mean" else values[:, 0 if pool == "first" else -1]
    if found.ndim != 2 or len(found) != len(values):
        raise ShapeError(
            f"pool gives shape {tuple(found.shape)}.", hint="It must give one vector per instance, (b, D)."
        )
    return found


def tensors_of(output: Any) -> list[torch.Tensor]:
    """Return the tensors that a network returned, logits first."""
    if isinstance(output, torch.Tensor):
        return [output]
    if isinstance(output, (list, tuple)):
        fields = getattr(output, "_fields", ())  # of a named tuple
        parts: list[Any] = (
            list(output) if "logits" not in fields else _logits_first(dict(zip(fields, output, strict=True)))
        )
    elif isinstance(output, Mapping):
        parts = _logits_first(dict(output))
    elif is_dataclass(output) and not isinstance(output, type):
        parts = _logits_first({field.name: getattr(output, field.name) for field in fields_of(output)})
    elif hasattr(output, "logits"):
        parts = _logits_first({"logits": output.logits, **getattr(output, "__dict__", {})})
    else:
        parts = []
    return [tensor for part in parts for tensor in tensors_of(part)]


def _logits_first(entries: dict[Any, Any]) -> list[Any]:
    """Return the outputs in the order in which they may be the prediction, by their names."""

    def place(name: Any) -> int:
        text = str(name).lower()
        if text in PREDICTION_NAMES:
            return PREDICTION_NAMES.index(text)
        return len(PREDICTION_NAMES) + ("aux" in text)

    return [entries[name] for name in sorted(entries, key=place)]


def linked(values: torch.Tensor, link: str) -> torch.Tensor:
    """Apply the function between logits and output over the last axis."""
    if link == "softmax":
        return values.softmax(dim=-1)
    if link == "log_softmax":
        return values.log_softmax(dim=-1)
    return values.sigmoid() if link == "sigmoid" else values


def prediction_part(output: Any, n: int, n_classes: int, part: int = -1) -> torch.Tensor | None:
    """Return the tensor (n, C) or (n, 1) of the network's output that holds its predictions."""
    parts = [t.reshape(len(t), -1) for t in tensors_of(output) if t.ndim and len(t) == n]
    if 0 <= part < len(tensors_of(output)):
        return tensors_of(output)[part].reshape(n, -1)
    return next((t for t in parts if t.shape[1] in (n_classes, 1 if n_classes == 2 else n_classes)), None)
