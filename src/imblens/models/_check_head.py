"""What a network must return to be trained here: logits (N, C) of a head that a capture will find."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from imblens.errors import InputError
from imblens.models._find_head import evaluating
from imblens.models._find_reading import find_reading
from imblens.models._heads import HeadReading, tensors_of

_HINT = "Return logits: the output of the last linear layer, or a mean or sum of such, without a softmax or sigmoid."


def trainable_head(model: nn.Module, sample: Tensor, n_classes: int) -> tuple[HeadReading, int]:
    """Find the head as `imblens.capture` does, and the number of features; refuse what a loss of logits cannot train.

    Lazy layers take their shapes from the sample.

    Args:
        model: any network; mode, gradients and random state are left as found, also after an error.
        sample: a batch that the network accepts; 16 instances that differ are enough to recognise every form of head.
        n_classes: C; 1 where two classes share one output.

    Raises:
        InputError: the network cannot run on such inputs, or its output are not the logits of a linear head.

    Example:
        >>> import torch
        >>> from imblens.models import build_model
        >>> reading, n_features = trainable_head(build_model("smallnet", 3), torch.rand(16, 3, 32, 32), 3)
        >>> reading.layer, n_features
        ('head', 64)
    """
    where = next((p.device for p in model.parameters()), sample.device)

    def run() -> Any:
        return model(sample.to(where))

    with evaluating(model):
        try:
            run()  # lazy layers become what they stand for
        except Exception as error:
            raise InputError(
                f"{type(model).__name__} cannot run on images of shape {tuple(sample.shape[1:])}: "
                f"{type(error).__name__}: {error}",
                hint="Check the size (--size) and the channels that it expects; images have three channels here.",
            ) from error
        try:
            found = find_reading(
                model, run, layer=None, features=None, pool=None, n_classes=n_classes, n=len(sample), masks={}
            )
        except InputError as error:
            raise InputError(error.message, hint=_HINT) from error
        with torch.no_grad():
            weight, _ = found.head(model)
    one_logit = found.one_logit and n_classes > 1
    if found.link != "identity" or one_logit or found.skipped or found.kind == "features":
        ends = "one output for two classes" if one_logit else "several outputs, the first of which are not logits"
        ends = f"a {found.link} behind its last linear layer" if found.link != "identity" else ends
        raise InputError(f"{type(model).__name__} has {ends}; the loss takes logits (N, {n_classes}).", hint=_HINT)
    return found, int(weight.shape[1])


def logits_among(output: Any, n_classes: int) -> Tensor:
    """Return the logits (n, C) in what a network returned in training: its only tensor, or the first of that shape.

    Raises:
        InputError: there are none.
    """
    for tensor in tensors_of(output):
        if tensor.ndim >= 2 and tensor.shape[1] == n_classes and tensor[0].numel() == n_classes:
            return tensor.flatten(1)
    shapes = [tuple(tensor.shape) for tensor in tensors_of(output)]
    raise InputError(
        f"the network returns {shapes or type(output).__name__}; the loss takes logits (N, {n_classes}).", hint=_HINT
    )
