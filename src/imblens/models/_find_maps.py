"""Finding the module that returns the last convolutional maps of a network."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from imblens.errors import InputError, MissingError, NotApplicable, did_you_mean
from imblens.models._find_head import evaluating

if TYPE_CHECKING:
    from collections.abc import Sequence


_HINT = "Name the module that gives the maps: --maps NAME (in Python, maps=NAME)."


def find_maps(model: nn.Module, name: str | None = None, *, sample: Tensor) -> str:
    """Find the module whose output are the last convolutional maps, by running the network once.

    It is the last module to finish whose output is as high and wide as that of the last convolution with more than
    one position: the whole last stage of a ResNet, with what follows its last convolution, and nothing that pools.

    Args:
        model: any network; mode, gradients and random state are left as found, also after an error.
        name: its qualified name, if known; its output must be (b, channels, h, w).
        sample: a small batch that the network accepts.

    Returns:
        The qualified name.

    Raises:
        MissingError: there is no module `name`.
        InputError: the module `name` gives no maps.
        NotApplicable: the network has no convolution with maps, or attention layers follow the last one.

    Example:
        >>> import torch
        >>> from imblens.models import build_model
        >>> find_maps(build_model("resnet32", 3), sample=torch.zeros(1, 3, 32, 32))
        'blocks'
    """
    modules = dict(model.named_modules())
    if name is not None and (name not in modules or not name):
        known = [other for other in modules if other]
        raise MissingError(
            f"the layer {name!r} does not exist in {type(model).__name__}.", hint=did_you_mean(name, known)
        )
    finished = _finished(model, modules, sample)
    if name is not None:
        shapes = [shape for other, shape in finished if other == name]
        if not shapes or shapes[-1] is None:
            raise InputError(
                f"the layer {name!r} of {type(model).__name__} gives no maps (b, channels, h, w).",
                hint="Name a convolution, or a block of them.",
            )
        return name
    last = [
        i
        for i, (other, shape) in enumerate(finished)
        if isinstance(modules[other], nn.Conv2d) and shape is not None and shape[2] * shape[3] > 1
    ]
    if not last:
        raise NotApplicable(f"{type(model).__name__} has no convolution that gives maps.")
    after = finished[last[-1] :]
    if any("attention" in type(modules[other]).__name__.lower() for other, _ in after):
        raise NotApplicable(
            f"attention layers follow the last convolution of {type(model).__name__}, so the prediction "
            "is not pooled from its maps.",
            hint=_HINT,
        )
    size = finished[last[-1]][1]
    assert size is not None
    return [other for other, shape in after if other and shape is not None and shape[2:] == size[2:]][-1]


def rectified_before_pooling(model: nn.Module, maps: str, head: str, *, sample: Tensor) -> bool:
    """Return whether the head reads the mean of the rectified maps, while the module `maps` returns them unrectified.

    This is so for a network that applies a function (`torch.nn.functional.relu`) instead of a module before pooling:
    hooks do not see its result.
    """
    seen: dict[str, Tensor] = {}

    def left(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            seen["maps"] = output.clone()  # later layers may work in place

    def entered(module: nn.Module, inputs: Any, output: Any) -> None:
        seen["features"] = inputs[0].clone()

    hooks = [
        model.get_submodule(maps).register_forward_hook(left),
        model.get_submodule(head).register_forward_hook(entered),
    ]
    _try(model, sample, hooks)
    grid, features = seen.get("maps"), seen.get("features")
    if grid is None or features is None or grid.ndim != 4 or features.shape != grid.shape[:2]:
        return False
    plain, rectified = (values.mean(dim=(2, 3)).to(features.dtype) for values in (grid, grid.relu()))
    return torch.allclose(features, rectified, rtol=1e-4, atol=1e-5) and not torch.allclose(plain, rectified)


def _finished(
    model: nn.Module, modules: dict[str, nn.Module], sample: Tensor
) -> list[tuple[str, tuple[int, ...] | None]]:
    """Modules in the order in which they finish, with the shape of their output where it is maps."""
    found: list[tuple[str, tuple[int, ...] | None]] = []

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            maps = isinstance(output, torch.Tensor) and output.ndim == 4
            found.append((name, tuple(output.shape) if maps else None))

        return hook

    _try(model, sample, [module.register_forward_hook(note(name)) for name, module in modules.items()])
    return found


def _try(model: nn.Module, sample: Tensor, handles: Sequence[RemovableHandle]) -> None:
    """Run the network once, and take the hooks away, also after an error."""
    where = next(iter(model.parameters()), torch.empty(0)).device
    with ExitStack() as hooks, evaluating(model):
        for handle in handles:
            hooks.enter_context(handle)
        model(sample.to(where).clone())
