"""Batch normalisation with fixed statistics: the same numbers forward, a cheaper backward pass.

In evaluation mode y = x * scale + shift with constants, so dy/dx = scale. PyTorch's general backward reads the input
again, which the graph must keep for it: half of what it keeps of a ResNet. Imports torch; load it where it is used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class _FrozenNorm(torch.autograd.Function):
    """`batch_norm` of an input, with parameters that need no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mean: Tensor, var: Tensor, weight: Any, bias: Any, eps: float) -> Tensor:
        scale = torch.rsqrt(var + eps)
        ctx.save_for_backward(scale if weight is None else scale * weight)
        return functional.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (scale,) = ctx.saved_tensors
        shape = (1, -1, *([1] * (gradient.ndim - 2)))
        return gradient * scale.to(gradient.dtype).view(shape), None, None, None, None, None


class FrozenNorms(TorchFunctionMode):
    """While active, `torch.nn.functional.batch_norm` with fixed statistics goes through `_FrozenNorm`.

    Nothing of the network is changed, and what it computes forward is bit for bit what it would have computed.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace that one function; pass on all others."""
        options = kwargs or {}
        if func is functional.batch_norm:
            found = _arguments(*args, **options)
            if found is not None:
                return _FrozenNorm.apply(*found)  # type: ignore[no-untyped-call]
        return func(*args, **options)


def _arguments(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Any, ...] | None:
    """Return the arguments of `_FrozenNorm`, or None where statistics or parameters are not fixed."""
    learning = any(p is not None and p.requires_grad for p in (running_mean, running_var, weight, bias))
    if training or running_mean is None or running_var is None or learning or not x.requires_grad:
        return None
    return x, running_mean, running_var, weight, bias, eps
