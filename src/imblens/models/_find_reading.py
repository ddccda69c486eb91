"""Finding how features and logits are read, from one forward pass on a few instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import torch
from torch import nn

from imblens.base.linear import affine_weights
from imblens.errors import InputError, MissingError, ShapeError, did_you_mean
from imblens.models._find_head import find_head
from imblens.models._heads import LINKS, HeadReading, Pool, arranged, linked, tensors_of
from imblens.models.normed import NormedLinear

CLOSE = 1e-4  # of the largest logit: how far a reading may differ from the network's output
TINY = 1e-30  # outputs of new networks may all be tiny: only ratios count
MOST_FEATURES = 16_384  # of a module that is probed with unit vectors


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
    least: int = 1,
    key: Any = None,
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
        least: classes that the labels of these instances need.
        key: of the labels in the batch; an output of the same name is the prediction.

    Raises:
        MissingError: `layer` or `features` does not exist.
        InputError: no layer gives the network's output; segmentation or detection.
    """
    modules = dict(model.named_modules())
    for name in (layer, features):
        if name is not None and name not in modules:
            raise MissingError(
                f"the layer {name!r} does not exist in {type(model).__name__}.",
                hint=did_you_mean(name, [known for known in modules if known]),
            )
    candidates = {name: module for name, module in modules.items() if _kind(module)}
    chosen = candidates if layer is None else {name: m for name, m in candidates.items() if name == layer}
    output, calls = _watched(run, chosen)
    parts = _parts(model, output, n, n_classes)
    parts = [entry for entry in parts if entry[1].shape[1] >= least or (least == 2 and entry[1].shape[1] == 1)] or parts
    named = tensors_of(output[key]) if isinstance(key, str) and isinstance(output, Mapping) and key in output else []
    parts.sort(key=lambda entry: not any(tensors_of(output)[entry[0]] is tensor for tensor in named))
    if features is not None:
        if not parts:
            raise InputError(f"{type(model).__name__} returns no logits (N, C).", hint="Pass forward=, or layer=NAME.")
        index, part = parts[0]
        return _features_reading(features, pool, index, part)
    for index, part in parts:
        for name in reversed(calls):
            found = _reading_of(name, _kind(modules[name]), calls[name], part, masks)
            if found is None:
                continue
            if found.n_calls > 1 and not _independent(run, modules[name], calls[name]):
                raise ShapeError(
                    f"layer {name!r} ran {found.n_calls} times in one forward pass, each on what it gave before.",
                    hint="Pass layer=NAME of another linear layer, or features=NAME.",
                )
            return _placed(found, parts, index)
        wanted = {name: module for name, module in modules.items() if layer in (None, name)}
        found = _affine_module(run, wanted, candidates, part, masks)
        if found is None and layer is None:
            found = _several(run, modules, calls, part)
        if found is not None:
            return _placed(found, parts, index)
    if layer is not None and layer not in candidates:
        find_head(model, layer)  # raises
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
        f"{name or '(the network itself)'} ({len(modules[name].weight)} outputs)" for name in list(calls)[-4:]
    )
    raise InputError(
        f"the output of {type(model).__name__} is not the output of a linear layer ({listed or 'it has none'}), nor a softmax, "
        "sigmoid, class-wise scale or mean of one.",
        hint="Name the linear layer that gives the logits (layer=NAME), or the module that gives features (features=NAME).",
    )


def _placed(reading: HeadReading, parts: list[tuple[int, torch.Tensor]], index: int) -> HeadReading:
    """Return the reading with its place among the outputs that may be the prediction."""
    others = tuple(other for other, _ in parts if other != index)
    one_logit = dict(parts)[index].shape[1] == 1
    return replace(reading, part=index, one_logit=one_logit, skipped=index != parts[0][0], others=others)


def _watched(run: Callable[[], Any], modules: Mapping[str, Any]) -> tuple[Any, dict[str, list[tuple[Any, Any]]]]:
    """Return the network's output, and what entered and left each module in every call, the last to finish at the end."""
    calls: dict[str, list[tuple[Any, Any]]] = {}

    def hook(name: str) -> Any:
        def keep(module: Any, args: Any, output: Any) -> None:
            if args and isinstance(args[0], torch.Tensor) and isinstance(output, torch.Tensor):
                earlier = calls.pop(name, [])
                calls[name] = [*earlier, (args[0].clone(), output.clone())]

        return keep

    with ExitStack() as hooks, torch.no_grad():
        for name, module in modules.items():
            hooks.enter_context(module.register_forward_hook(hook(name)))
        return run(), calls


def _reading_of(name: str, kind: str, calls: Any, part: torch.Tensor, masks: Mapping[str, Any]) -> HeadReading | None:
    """Return the reading of one layer that gives the network's output `part` (n, C), or None."""
    for layout in ("", "rows", "views", "time", "calls"):
        pair = arranged(calls, layout, len(part))
        if pair is not None:
            for reading in _readings(name, kind, pair[1], part, masks):
                return replace(reading, layout=layout, n_calls=len(calls))
    return None


def _several(
    run: Callable[[], Any], modules: Mapping[str, Any], calls: Mapping[str, Any], part: torch.Tensor
) -> HeadReading | None:
    """Find a weighted sum of the outputs of several linear layers, plus a shift, that gives `part` (n, C); None if none.

    There are at least four outputs for each factor and shift that is fitted, so that they do not fit by chance.
    """
    n, n_classes = part.shape
    found: dict[str, tuple[Any, Any]] = {}
    for name, pairs in calls.items():
        flat = (
            len(pairs) == 1
            and len(pairs[0][0]) == n
            and pairs[0][1].shape == (n, n_classes, *[1] * (pairs[0][1].ndim - 2))
        )
        if flat and pairs[0][0].numel() == n * pairs[0][0].shape[1]:
            found[name] = pairs[0]
    loose = 2e-2 if part.dtype.itemsize < 4 else CLOSE
    part = part.double()
    if len(found) < 2:
        return None
    left = torch.stack([pair[1].flatten(1).double() for pair in found.values()])
    for link, shifted in product(LINKS, (False, True)):
        wanted = _unlinked(part, link)
        if wanted is None or 4 * (len(found) + n_classes * shifted) > n * n_classes:
            continue
        shared = link in ("softmax", "log_softmax")  # logits are known up to a number per instance
        x, y = (v - v.mean(dim=-1, keepdim=True) if shared else v for v in (left, wanted))
        mean = (x.mean(dim=1, keepdim=True), y.mean(dim=0)) if shifted else (0, 0)
        a, b = (x - mean[0]).flatten(1).T.cpu(), (y - mean[1]).flatten()[:, None].cpu()
        fitted = [_plain_number(float(f)) for f in torch.linalg.lstsq(a, b, driver="gelsd").solution]
        kept = [i for i, factor in enumerate(fitted) if abs(factor) > 1e-3 * max(map(abs, fitted))]
        if len(kept) < 2:
            continue
        values = torch.stack([fitted[i] * left[i] for i in kept]).sum(dim=0)
        shift = (y - values + (values.mean(dim=-1, keepdim=True) if shared else 0)).mean(dim=0) if shifted else None
        if not _close(linked(values if shift is None else values + shift, link), part, loose):
            continue
        names = [list(found)[i] for i in kept]
        if not all(_unmoved(run, modules, name, {other: found[other] for other in names}) for name in names):
            continue
        heads = tuple((name, fitted[i]) for name, i in zip(names, kept, strict=True))
        shift = None if shift is None else shift.float()
        return HeadReading(" + ".join(names), "several", link=link, shift=shift, heads=heads)
    return None


def _plain_number(factor: float) -> float:
    """Return the simple fraction that a fitted factor rounds, such as 1/2 or 1/3, else the factor."""
    simple = float(Fraction(factor).limit_denominator(16))
    return simple if abs(simple - factor) < 1e-4 * abs(factor) else factor


def _unmoved(run: Callable[[], Any], modules: Mapping[str, Any], name: str, pairs: Mapping[str, Any]) -> bool:
    """Whether what enters several layers does not depend on what leaves the layer `name`."""
    with modules[name].register_forward_hook(lambda module, args, output: output + 1):
        again = _watched(run, {other: modules[other] for other in pairs})[1]
    return all(_close(again[other][0][0], pair[0], CLOSE) for other, pair in pairs.items())


def _independent(run: Callable[[], Any], module: Any, calls: Any) -> bool:
    """Whether what enters a layer does not depend on what left it before."""
    with module.register_forward_hook(lambda module, args, output: output + 1):
        again = _watched(run, {"": module})[1].get("", [])
    return len(again) == len(calls) and all(
        _close(new[0], old[0], CLOSE) for new, old in zip(again, calls, strict=True)
    )


def _affine_module(
    run: Callable[[], Any],
    modules: Mapping[str, Any],
    candidates: Mapping[str, Any],
    part: torch.Tensor,
    masks: Mapping[str, Any],
) -> HeadReading | None:
    """Find a module of another class that computes the linear layer behind the network's output; None where none does."""
    others = {
        name: module
        for name, module in modules.items()
        if name and name not in candidates and not isinstance(module, torch.jit.ScriptModule)
        if any(True for _ in module.parameters())
    }
    if not others:
        return None
    _, calls = _watched(run, others)
    for name in calls:  # inner modules finish first
        entered, left = calls[name][-1]
        if left.shape[-1] != part.shape[1] or entered.shape[:-1] != left.shape[:-1] or entered.ndim not in (2, 3):
            continue
        if not entered.is_floating_point() or entered.shape[-1] > MOST_FEATURES:
            continue
        dim = entered.shape[-1]
        try:
            weight, bias = affine_weights(others[name], dim)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError):  # it takes nothing of this shape
            continue
        plain, given = entered.float().cpu(), left.float().cpu()
        loose = 2e-2 if left.dtype.itemsize < 4 else CLOSE
        unit = plain / plain.norm(dim=-1, keepdim=True).clamp_min(1e-12)  # a cosine classifier
        normalised = not _close(plain @ weight.T + bias, given, loose)
        if normalised and (entered.ndim > 2 or not _close(unit @ weight.T + bias, given, loose)):
            continue
        found = _reading_of(name, "affine", calls[name], part, masks)
        if found is not None:
            return replace(found, dim=dim, normalised=normalised)
    return None


def _kind(module: Any) -> str:
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
        if tensor.ndim == 3 and min(tensor.shape[1:]) > 1 and not found and dense is None:
            dense = ("one prediction per position, as tagging does", "pool its output to (N, C) with forward=.")
        if spatial and (n_classes is None or tensor.shape[1] == n_classes) and dense is None and not found:
            dense = ("one prediction per pixel, as segmentation does", "pool its output to (N, C) with forward=.")
        width = tensor[0].numel() if tensor.ndim < 3 or not spatial else 0
        if tensor.ndim >= 3 and tensor[0].numel() != max(tensor.shape[1:]):  # more than one axis of more than one
            continue
        if (n_classes is None and width) or width == n_classes or (width == 1 and n_classes in (None, 2)):
            found.append((index, tensor.reshape(n, -1)))
    if not found and dense is not None:
        raise InputError(
            f"{type(model).__name__} returns {dense[0]}; imblens reads classifiers.", hint=f"To use it, {dense[1]}"
        )
    return found


def _readings(name: str, kind: str, left: Any, part: Any, masks: Mapping[str, Any]) -> Iterator[HeadReading]:
    """Yield the readings of one layer that give the network's output `part` (n, C)."""
    base = HeadReading(name, kind)
    if left.ndim < 2 or len(left) != len(part):
        return
    outer = base.vectors(left).double()
    if outer.shape[2] != part.shape[1]:
        return
    n, steps, _ = outer.shape
    part = part.double()
    reduced = []
    if steps > 1:  # a mask before the plain mean, which is the same where the first instances need no padding
        for key, mask in masks.items():
            if mask.shape == (n, steps):
                weights = mask.to(outer)[..., None]
                reduced.append((f"mask:{key}", (outer * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1e-9)))
    reduced.append(("none" if kind != "convolution" and left.ndim == 2 else "mean", outer.mean(dim=1)))
    loose = 2e-2 if left.dtype.itemsize < 4 else 1.0 * CLOSE
    for reduce, values in reduced:
        for link in LINKS:
            if _close(linked(values, link), part, loose):
                yield replace(base, reduce=reduce, link=link)
    if steps > 1:
        for link in LINKS:
            errors = (linked(outer, link) - part[:, None]).abs().amax(dim=2).amin(dim=1)
            if float(errors.max()) <= loose * max(TINY, float(part.abs().max())):
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
    return float(difference) <= loose * max(TINY, float(part.nan_to_num().abs().max()))


def _affine(values: Any, part: Any, link: str, loose: float) -> tuple[Any, Any] | None:
    """Fit a class-wise scale and shift between a layer's output and the network's; None where it does not fit."""
    shared = link in ("softmax", "log_softmax")  # logits are known up to a number per instance
    if (wanted := _unlinked(part, link)) is None:
        return None
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


def _unlinked(part: Any, link: str) -> Any:
    """Return logits of the network's output; None where it cannot be the output of such a function."""
    low, high = float(part.min()), float(part.max())
    if (link in ("softmax", "sigmoid") and not (low > 0 and high < 1)) or (link == "log_softmax" and high > 0):
        return None
    return part.log() if link == "softmax" else part.logit() if link == "sigmoid" else part


def _features_reading(features: str, pool: Pool, index: int, part: torch.Tensor) -> HeadReading:
    probabilities = bool(((part >= 0) & (part <= 1)).all())
    link = "sigmoid" if probabilities and part.shape[1] == 1 else "identity"
    if probabilities and bool(((part.sum(dim=1) - 1).abs() < 1e-3).all()) and part.shape[1] > 1:
        link = "softmax"
    return HeadReading(features, "features", link=link, part=index, one_logit=part.shape[1] == 1, pool=pool)
