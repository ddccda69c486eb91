"""Modules of PyTorch that compute a linear layer, whatever their class. Imports torch when it is called."""

from __future__ import annotations

from typing import Any


def affine_weights(module: Any, n_features: int) -> tuple[Any, Any]:
    """Return weight (C, D) and bias (C,) of a module that computes a linear layer, from its output for unit vectors.

    Whether it does compute one is for the caller to check.
    """
    import torch

    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    inputs = torch.cat([torch.zeros(1, n_features), torch.eye(n_features)]).to(like)
    with torch.no_grad():
        outputs = module(inputs).float().cpu()
    return (outputs[1:] - outputs[0]).T.contiguous(), outputs[0]
