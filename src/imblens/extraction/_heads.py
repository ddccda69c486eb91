"""How features and logits are read: the linear layer behind the network's output, and what follows that layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imblens.errors import InputError, MissingError, ShapeError, did_you_mean
from imblens.models import find_head

if TYPE_CHECKING:
    import torch

LINKS = ("identity", "softmax", "log_softmax", "sigmoid")
CLOSE = 1e-4  # of the largest logit: how far a reading may differ from the network's output
Pool = str | Callable[[Any], Any] | None


@dataclass(frozen=True)
class HeadReading:
    """From the hooked layer's input and output to features (b, D) and logits (b, C).

    Attributes:
        layer: the hooked module.
        kind: "linear", "convolution" (1 x 1), or "features" (the layer's output are the features; there is no head).
        reduce: over tokens or positions: "none", "mean", "choice" (the position that gives the network's output),
            "mask:KEY" (mean over the positions where that input is 1), "pool" (as the user asked).
        link: the function between logits and the network's output.
        scale: (C,) class-wise factor after the layer, or None.
        shift: (C,) class-wise summand after the factor, or None.
        one_logit: whether the layer has one output z, read as logits (0, z) of two classes.
        part: position of the network's output among the tensors that it returns; -1 where it is unknown.
        pool: "mean", "first", "last" or a function.
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

    @property
    def plain(self) -> bool:
        """Whether logits are the output of a linear layer that receives one vector per instance."""
        return self.kind == "linear" and self.reduce == "none" and self.scale is None and self.shift is None

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
        if self.reduce == "none" and self.kind == "linear":
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

    def head(self, module: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight (C, D) and bias (C,) of the head, what follows it folded in."""
        import torch

        weight = module.weight.detach().float().flatten(1).cpu()
        bias = torch.zeros(len(weight)) if module.bias is None else module.bias.detach().float().cpu()
        if self.scale is not None:
            weight, bias = weight * self.scale.cpu()[:, None], bias * self.scale.cpu()
        if self.shift is not None:
            bias = bias + self.shift.cpu()
        if self.one_logit:
            weight, bias = torch.cat([0 * weight, weight]), torch.cat([0 * bias, bias])
        return weight, bias

    def describe(self) -> dict[str, Any]:
        """Return plain JSON, from which `install` puts a head back."""
        folded = {name: None if v is None else v.tolist() for name, v in (("scale", self.scale), ("shift", self.shift))}
        return {"kind": self.kind, "reduce": self.reduce, "link": self.link, "one_logit": self.one_logit, **folded}

    def differing(self, logits: torch.Tensor, output: Any) -> int:
        """Count the instances whose prediction by `logits` differs from that of the network's output."""
        part = prediction_part(output, len(logits), logits.shape[1], self.part)
        if part is None:
            return 0
        part = part.detach()
        if part.shape[1] == 1:
            low, high = float(part.min()), float(part.max())
            return int(((logits[:, 1] > 0) != (part[:, 0] > (0.5 if low >= 0 and high <= 1 else 0))).sum())
        return int((logits.argmax(dim=1) != part.argmax(dim=1)).sum())

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
        import torch

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


def two_logits(z: torch.Tensor) -> torch.Tensor:
    """Return (b, 2) logits (0, z) of (b, 1)."""
    import torch

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
    import torch

    if isinstance(output, torch.Tensor):
        return [output]
    if isinstance(output, Mapping) or hasattr(output, "logits"):
        entries = dict(output) if isinstance(output, Mapping) else dict(vars(output))
        ordered = [entries.pop("logits")] if "logits" in entries else []
        parts: list[Any] = [*ordered, *entries.values()]
    else:
        parts = list(output) if isinstance(output, (tuple, list)) else []
    return [tensor for part in parts for tensor in tensors_of(part)]


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


def find_reading(
    model: Any,
    run: Callable[[], Any],
    *,
    layer: str | None,
    features: str | None,
    pool: Pool,
    n_classes: int | None,
    n: int,
    masks: Mapping[str, Any],
) -> HeadReading:
    """Find how features and logits are read, from one forward pass on a few instances.

    Args:
        model: the network, in evaluation mode.
        run: runs it on a few instances and returns its output.
        layer: name of the linear layer, or None.
        features: name of the module whose output are the features, where there is no linear head.
        pool: how several vectors per instance become one.
        n_classes: C where known.
        n: instances in the batch.
        masks: inputs (n, T) of 0 and 1, by name.

    Raises:
        MissingError: `layer` or `features` does not exist.
        InputError: no layer gives the network's output; segmentation or detection.
    """
    import torch

    modules = dict(model.named_modules())
    for name in (layer, features):
        if name is not None and name not in modules:
            raise MissingError(
                f"the layer {name!r} does not exist in {type(model).__name__}.", hint=did_you_mean(name, list(modules))
            )
    candidates = {name: module for name, module in modules.items() if _kind(module)}
    if layer is not None and layer not in candidates:
        find_head(model, layer)  # raises
    calls: dict[str, list[tuple[Any, Any]]] = {}

    def hook(name: str) -> Any:
        def keep(module: Any, args: Any, output: Any) -> None:
            if args and isinstance(args[0], torch.Tensor) and isinstance(output, torch.Tensor):
                earlier = calls.pop(name, [])
                calls[name] = [*earlier, (args[0].clone(), output.clone())]

        return keep

    hooks = [module.register_forward_hook(hook(name)) for name, module in candidates.items()]
    try:
        with torch.no_grad():
            output = run()
    finally:
        for handle in hooks:
            handle.remove()
    parts = _parts(model, output, n, n_classes)
    if features is not None:
        if not parts:
            raise InputError(f"{type(model).__name__} returns no logits (N, C).", hint="Pass forward=, or layer=NAME.")
        index, part = parts[0]
        return _features_reading(features, pool, index, part)
    names = [layer] if layer is not None else list(reversed(calls))
    for index, part in parts:
        for name in names:
            for entered, left in calls.get(name, [])[-1:]:
                for reading in _readings(name, _kind(modules[name]), entered, left, part, masks):
                    return replace(reading, part=index, one_logit=part.shape[1] == 1)
    if layer is not None:
        one = next(iter(left.shape[-1] for _, left in calls.get(layer, [])), 0) == 1
        reduce = "pool" if pool is not None else "none" if _kind(modules[layer]) == "linear" else "mean"
        return HeadReading(layer, _kind(modules[layer]), reduce, one_logit=one, pool=pool)
    if not parts:
        shapes: Any = [tuple(t.shape) for t in tensors_of(output)] or type(output).__name__
        widths = [t.shape[1] for t in tensors_of(output) if t.ndim == 2]
        if n_classes is not None and widths:
            raise InputError(
                f"{type(model).__name__} has {widths[0]} outputs for {n_classes} classes.",
                hint="Give the classes and data that the network was trained on, or name another layer with layer=NAME.",
            )
        raise InputError(
            f"{type(model).__name__} returns {shapes} for {n} instances"
            + ("" if n_classes is None else f", no outputs for {n_classes} classes") + "; logits (N, C) are needed.",
            hint="Pass forward=lambda model, inputs: logits, or name the layer that gives them: layer=NAME.",
        )  # fmt: skip
    listed = ", ".join(
        f"{name or '(the network itself)'} ({len(modules[name].weight)} outputs)" for name in list(calls)[-10:]
    )
    raise InputError(
        f"the output of {type(model).__name__} is not the output of a linear layer (of {listed or 'none'}), nor a softmax, "
        "sigmoid, class-wise scale or mean of one.",
        hint="Name the linear layer that gives the logits (layer=NAME), or the module that gives features (features=NAME).",
    )


def _kind(module: Any) -> str:
    from torch import nn

    from imblens.models.normed import NormedLinear

    if isinstance(module, (nn.Linear, NormedLinear)):
        return "linear"
    convolution = isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
    return "convolution" if convolution and set(module.kernel_size) == {1} and module.groups == 1 else ""


def _parts(model: Any, output: Any, n: int, n_classes: int | None) -> list[tuple[int, torch.Tensor]]:
    """Return the outputs (n, C) that fit the classes, by position among all tensors."""
    found: list[tuple[int, torch.Tensor]] = []
    dense = None
    if isinstance(output, (list, tuple)) and output and isinstance(output[0], Mapping) and "boxes" in output[0]:
        dense = ("boxes, as object detection does", "crop the objects and classify them.")
    for index, tensor in enumerate(tensors_of(output)):
        if not tensor.ndim or len(tensor) != n or not tensor.is_floating_point():
            continue
        spatial = tensor.ndim >= 4 and tensor[0, 0].numel() > 1
        if spatial and (n_classes is None or tensor.shape[1] == n_classes) and dense is None and not found:
            dense = ("one prediction per pixel, as segmentation does", "pool its output to (N, C) with forward=.")
        width = tensor[0].numel() if tensor.ndim < 3 or not spatial else 0
        if tensor.ndim >= 3 and tensor.shape[2:].numel() != 1:
            continue
        if (n_classes is None and width) or width == n_classes or (width == 1 and n_classes in (None, 2)):
            found.append((index, tensor.reshape(n, -1)))
    if not found and dense is not None:
        raise InputError(
            f"{type(model).__name__} returns {dense[0]}; imblens reads classifiers.", hint=f"To use it, {dense[1]}"
        )
    return found


def _readings(
    name: str, kind: str, entered: Any, left: Any, part: Any, masks: Mapping[str, Any]
) -> Iterator[HeadReading]:
    """Yield the readings of one layer that give the network's output `part` (n, C)."""
    base = HeadReading(name, kind)
    if left.ndim < 2 or len(left) != len(part):
        return
    outer = base.vectors(left).double()
    if outer.shape[2] != part.shape[1]:
        return
    n, steps, _ = outer.shape
    part = part.double()
    reduced = [("none" if kind == "linear" and left.ndim == 2 else "mean", outer.mean(dim=1))]
    if steps > 1:
        for key, mask in masks.items():
            if mask.shape == (n, steps):
                weights = mask.to(outer)[..., None]
                reduced.append((f"mask:{key}", (outer * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1e-9)))
    loose = 2e-2 if left.dtype.itemsize < 4 else 1.0 * CLOSE
    for reduce, values in reduced:
        for link in LINKS:
            if _close(linked(values, link), part, loose):
                yield replace(base, reduce=reduce, link=link)
    if steps > 1:
        for link in LINKS:
            errors = (linked(outer, link) - part[:, None]).abs().amax(dim=2).amin(dim=1)
            if float(errors.max()) <= loose * max(1e-3, float(part.abs().max())):
                yield replace(base, reduce="choice", link=link)
    if n < 4:
        return
    for reduce, values in reduced:
        for link in LINKS:
            folded = _affine(values, part, link, loose)
            if folded is not None:
                yield replace(base, reduce=reduce, link=link, scale=folded[0], shift=folded[1])


def _close(values: torch.Tensor, part: torch.Tensor, loose: float) -> bool:
    difference = (values.nan_to_num() - part.nan_to_num()).abs().max()
    return float(difference) <= loose * max(1e-3, float(part.nan_to_num().abs().max()))


def _affine(values: Any, part: Any, link: str, loose: float) -> tuple[Any, Any] | None:
    """Fit a class-wise scale and shift between a layer's output and the network's; None where it does not fit."""
    import torch

    shared = link in ("softmax", "log_softmax")  # logits are known up to a number per instance
    low, high = float(part.min()), float(part.max())
    if (link in ("softmax", "sigmoid") and not (low > 0 and high < 1)) or (link == "log_softmax" and high > 0):
        return None
    wanted = {"identity": lambda: part, "softmax": part.log, "log_softmax": lambda: part, "sigmoid": part.logit}[link]()
    x = values - values.mean(dim=1, keepdim=True) if shared else values
    y = wanted - wanted.mean(dim=1, keepdim=True) if shared else wanted
    dx, dy = x - x.mean(dim=0), y - y.mean(dim=0)
    squares = (dx**2).sum(dim=0)
    if float(squares.min()) < 1e-10:
        return None
    plain = torch.ones(x.shape[1], dtype=x.dtype, device=x.device)
    fitted = plain * (dx * dy).sum() / squares.sum() if shared else (dx * dy).sum(dim=0) / squares
    for scale in (plain, fitted):
        shift = (y - scale * x).mean(dim=0)
        if _close(linked(scale * values + shift, link), part, loose):
            return (None if scale is plain else scale.float()), shift.float()
    return None


def _features_reading(features: str, pool: Pool, index: int, part: torch.Tensor) -> HeadReading:
    probabilities = bool(((part >= 0) & (part <= 1)).all())
    link = "sigmoid" if probabilities and part.shape[1] == 1 else "identity"
    if probabilities and bool(((part.sum(dim=1) - 1).abs() < 1e-3).all()) and part.shape[1] > 1:
        link = "softmax"
    return HeadReading(features, "features", link=link, part=index, one_logit=part.shape[1] == 1, pool=pool)
