"""A plan applied to images: what is checked before a network is trained."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imblens.base.extras import require
from imblens.errors import InputError
from imblens.losses import build_loss, find_loss
from imblens.models import HeadReading, evaluating, load_pretrained, make_network, trainable_head
from imblens.training._features import FeatureTap
from imblens.training._files import refuse_old, stored_precision
from imblens.training._global_state import left_as_found
from imblens.training._module import shrunk
from imblens.training._pixels import fingerprint
from imblens.training._plan import TrainingPlan
from imblens.training._ranks import refuse_missing

if TYPE_CHECKING:
    from imblens.data import ImageSet


@dataclass(frozen=True)
class Prepared:
    """A training whose settings were all checked.

    Attributes:
        plan: with every default filled in.
        pixels: (N, H, W, 3) uint8.
        labels: (N,), or (N, C) for multi-label sets: 1, 0, or -1 where unknown.
        class_counts: (C,) training images of each class.
        loss: the module.
        record: everything that decides the result, plain JSON values.
        start: file of pretrained weights to load, None in a resumed training.
    """

    plan: TrainingPlan
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_counts: NDArray[np.int64]
    loss: Any
    record: dict[str, Any]
    start: Path | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the network's inputs."""
        side = self.plan.input_size
        return (self.pixels.shape[1], self.pixels.shape[2]) if side is None else (side, side)

    @property
    def n_outputs(self) -> int:
        """Outputs of the network: C, or 1 for two classes under a multi-label loss."""
        return 1 if self.labels.ndim == 1 and find_loss(str(self.plan.loss)).multilabel else len(self.class_counts)

    def network(self) -> nn.Module:
        """Build the network with new weights; an LDAM-like loss gets a normalised head."""
        normalised = find_loss(str(self.plan.loss)).normalised_head
        scale = float(self.record["loss_options"].get("s", 30.0)) if normalised else 30.0
        size = self.size
        return make_network(self.plan.arch, self.n_outputs, size=size, normalised_head=normalised, scale=scale)

    def check(self, model: nn.Module) -> int:
        """Return D; lazy layers take their shapes.

        Raises:
            InputError: the network cannot run on these images, or returns no logits of a linear head.
        """
        return self._head(model)[1]

    def _head(self, model: nn.Module) -> tuple[HeadReading, int]:
        sample = torch.rand(16, 3, *self.size, generator=torch.Generator().manual_seed(0))
        return trainable_head(model, sample, self.n_outputs)

    def tap(self, model: nn.Module) -> FeatureTap | None:
        """Return what reads the features of a batch, None where nothing asks for them.

        Raises:
            InputError: the network does not end in one linear layer.
        """
        return FeatureTap(model, self._head(model)[0], self.reads_features) if self.reads_features else None

    @property
    def reads_features(self) -> str:
        """What reads the features of a whole batch while training; "" for nothing."""
        named = f"the loss {self.plan.loss}" if getattr(self.loss, "needs_features", False) else ""
        return "eos" if self.plan.eos else named


def as_plan(plan: TrainingPlan | None, settings: dict[str, Any]) -> TrainingPlan:
    """Return the plan with some settings replaced; without a plan, one of these settings."""
    return TrainingPlan(**settings) if plan is None else replace(plan, **settings)


def prepare(image_set: ImageSet, plan: TrainingPlan, folder: Path, *, resume: bool) -> Prepared:
    """Apply a plan to images.

    Raises:
        InputError: the plan does not fit the images, or the checkpoint in `folder` that is to be resumed.
        DependencyError: Lightning or Kornia is not installed.
    """
    require("train", "training")
    plan = plan.for_images(image_set)
    labels, counts = image_set.train.targets, image_set.class_counts
    multilabel = image_set.task == "multilabel"
    negatives = _negative_counts(image_set, labels, counts) if multilabel else None
    if not multilabel and np.count_nonzero(counts) < 2:
        raise InputError(
            f"the training split of {image_set.name} has fewer than two classes.",
            hint="Give images of two or more classes.",
        )
    positives = counts.tolist()
    if not multilabel and find_loss(str(plan.loss)).multilabel and image_set.n_classes == 2:
        negatives, positives = positives[:1], positives[1:]  # one output: the second class is positive
    loss = build_loss(str(plan.loss), positives, negative_counts=negatives, drw=plan.drw, **(plan.loss_options or {}))
    pixels = image_set.train.array()
    record = {
        **plan.record(),
        "classes": list(image_set.classes),
        "class_counts": counts.tolist(),
        **({} if negatives is None else {"negative_counts": negatives}),
        "images": fingerprint(pixels, labels),
    }
    stored = stored_precision(folder, record) if resume else None
    plan = replace(plan, precision=plan.precision or stored or _fastest_precision())
    start = None if plan.weights is None or resume else Path(plan.weights)
    found = Prepared(plan, pixels, labels, counts, loss, record, start)
    if found.reads_features and plan.mixing is not None:
        raise InputError(
            f"{found.reads_features} needs features of one class each, and {plan.mixing[0]} mixes them.",
            hint="Leave it out.",
        )
    steps = -(-len(labels) // int(plan.batch_size or 1))
    refuse_missing(plan.devices, batch=len(labels) // steps, features=found.reads_features)
    return found


def check_training(
    image_set: ImageSet,
    plan: TrainingPlan | None = None,
    *,
    out: str | Path,
    resume: bool = False,
    force: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Check all that `train` checks, and that `imblens.capture` will find the network's head; train and write nothing.

    Args:
        image_set, plan, out, resume, force, settings: as for `train`.

    Returns:
        What would be done: `arch`, `features` (D), `weights_count`, `loss`, `schedule`, `epochs`, `batch_size`,
        `class_counts` and so on: plain JSON values.

    Raises:
        InputError, DependencyError: as `train`, or the network returns no logits of a linear head.

    Example:
        >>> from imblens.data import digits
        >>> facts = check_training(digits(), out="run", epochs=3)
        >>> facts["arch"], facts["features"], facts["loss"], facts["epochs"], facts["batch_size"]
        ('smallnet', 64, 'ce', 3, 128)
    """
    prepared = prepare(image_set, as_plan(plan, settings), Path(out), resume=resume)
    if not resume and not force:
        refuse_old(Path(out))
    with left_as_found():
        model = prepared.network()
        if prepared.start is not None:
            load_pretrained(model, prepared.start)
        n_features = prepared.check(model)
        _check_small_images(model, prepared, shrunk(torch.zeros(2, 3, *prepared.size)))
    return {
        **{key: value for key, value in prepared.record.items() if key != "images"},
        "precision": prepared.plan.precision,
        "features": n_features,
        "weights_count": sum(weight.numel() for weight in model.parameters()),
    }


def _check_small_images(model: nn.Module, prepared: Prepared, sample: Tensor) -> None:
    """Refuse a network of one image size with a schedule that starts with smaller images."""
    schedule = prepared.plan.recipe
    if not schedule.small_until or sample.shape[2:] == prepared.size:
        return
    try:
        with evaluating(model):
            model(sample)
    except Exception as error:
        height, width = prepared.size
        raise InputError(
            f"the schedule {schedule.name} first shows images of {sample.shape[2]} x {sample.shape[3]}, and "
            f"{prepared.plan.arch} takes {height} x {width} only ({type(error).__name__}: {error}).",
            hint="Choose another: --schedule cao200, with --epochs; or pool before the last linear layer.",
        ) from error


def _negative_counts(image_set: ImageSet, labels: NDArray[np.int64], counts: NDArray[np.int64]) -> list[int]:
    """Return (C,) training images known to be negative for each label.

    Raises:
        InputError: no label has both positive and negative images.
    """
    negatives = (labels == 0).sum(axis=0)
    if not (np.minimum(counts, negatives) > 0).any():
        raise InputError(
            f"in the training split of {image_set.name} no label has both positive and negative images.",
            hint="Give images of both kinds.",
        )
    return [int(n) for n in negatives]


def _fastest_precision() -> str:
    """Return bf16-mixed where the hardware multiplies bfloat16 matrices (CUDA, AMX) and a short measurement confirms it.

    Vector instructions alone (AVX512-BF16) do not pay: convolutions measured slower than in float32.
    """
    if torch.cuda.is_available():
        able = torch.cuda.is_bf16_supported()
    elif hasattr(torch.cpu, "get_capabilities"):
        able = bool(torch.cpu.get_capabilities().get("amx_bf16"))
    else:
        able = bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
    return "bf16-mixed" if able and _is_bf16_faster("cuda" if torch.cuda.is_available() else "cpu") else "32-true"


@cache
def _is_bf16_faster(device: str) -> bool:
    """Time a convolution in both precisions, some milliseconds each: the best of five has to be a tenth shorter.

    Once per process: near the limit another measurement could differ, and with it the bits of the same training.
    """
    images, kernels = (torch.ones(size, device=device) for size in ((32, 64, 16, 16), (64, 64, 3, 3)))
    best = {}
    for is_bf16 in (False, True):
        times = []
        for _ in range(6):  # the first prepares
            start = time.perf_counter()
            with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=is_bf16):
                float(torch.nn.functional.conv2d(images, kernels).sum())  # waits for the device
            times.append(time.perf_counter() - start)
        best[is_bf16] = min(times[1:])
    return best[True] < 0.9 * best[False]
