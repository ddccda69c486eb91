"""Training a network on an image set."""

from __future__ import annotations

import inspect
import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.files import sha256, write_bytes
from imblens.errors import DependencyError, ExistsError, InputError, MissingError
from imblens.losses import build_loss, find_loss
from imblens.models import evaluating, find_head, find_model, load_pretrained, make_network
from imblens.training._files import LAST, read_checkpoint
from imblens.training._remix import checked_remix
from imblens.training._samplers import Batches, find_sampler
from imblens.training._schedules import Schedule, default_schedule, find_schedule

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from imblens.data import ImageSet

_AUGMENTATIONS = ("crop+flip+jitter", "crop+flip", "crop+jitter", "flip+jitter", "crop", "flip", "jitter", "none")
_PACKAGES = ("imblens", "torch", "lightning", "kornia", "numpy")
_HASHED_BYTES = 2**28
_OLD = (LAST, "model.safetensors")


@dataclass(frozen=True)
class Trained:
    """What `train` made.

    Attributes:
        model: the network with the weights of the last epoch, on the CPU, in evaluation mode.
        meta: what made it: plain JSON values. `meta["preprocessing"]` holds mean, std (of pixels in [0, 1]) and size.
        log: one row an epoch: epoch, loss, split (val or train), balanced_accuracy, rare_accuracy, lr, seconds. For
            several labels per image: auroc (mean over labels) and rare_auroc instead, and a column for each label.
        path: the folder with model.safetensors, log.csv and checkpoints/last.ckpt.
    """

    model: nn.Module
    meta: dict[str, Any]
    log: pd.DataFrame
    path: Path


def train(
    image_set: ImageSet,
    *,
    out: str | Path,
    arch: str = "smallnet",
    weights: str | Path | None = None,
    loss: str | None = None,
    schedule: str | None = None,
    epochs: int | None = None,
    seed: int = 0,
    resume: bool = False,
    force: bool = False,
    batch_size: int | None = None,
    sampler: str = "natural",
    drw: bool = False,
    augment: str | None = None,
    precision: str | None = None,
    progress: bool = True,
    loss_options: Mapping[str, Any] | None = None,
    remix: Mapping[str, Any] | bool = False,
) -> Trained:
    """Train a network on the training split, and keep the weights of the last epoch.

    Figures while training come from the validation split where the set has one, else from the training batches (as they
    are seen: augmented, the network still changing). The test split is never looked at, and no epoch is chosen.

    Images are normalised by the training split's own channel means. On one machine, with one number of threads, the
    same arguments give the same bits, also when the training was stopped and resumed. The caller's random state and
    torch's settings are left as found.

    Args:
        image_set: all images of one size. With several labels per image, those that are not known do not count.
        out: folder for model.safetensors, log.csv and checkpoints/last.ckpt; nothing is written elsewhere.
        arch: a name of `imblens.models.model_names()`, LIBRARY:NAME (timm, torchvision, transformers) or FILE.py:FACTORY.
        weights: file of pretrained weights to start from (see `imblens.models.load_pretrained`).
        loss: a name of `imblens.losses.loss_names()`; default `ce`, for several labels `bce`. `ldam` gives a named
            network a normalised head.
        schedule: a name of `schedule_descriptions()`; default `short`, for several labels `short_adam`.
        epochs: default: the schedule's; its steps move along.
        seed: 0 or more: of weights, order and augmentation.
        resume: go on after the last finished epoch in `out`, with the same other arguments.
        force: start anew where `out` holds a training.
        batch_size: default: the schedule's.
        sampler: `natural`, `class_balanced`, `square_root` or `progressive`; for several labels only the first.
        drw: weight classes by their effective number in the last fifth of the epochs.
        augment: `crop`, `flip` and `jitter` (of colours) joined by +, or `none`; default: the schedule's. Mirrored
            digits are other digits.
        precision: `32-true` or `bf16-mixed`; default: the faster one on this device.
        progress: print one line an epoch to stderr.
        loss_options: of the loss, such as {"gamma": 1.5} for `focal`.
        remix: mix images, with labels that lean to the rarer class (Chou et al. 2020); True, or options such as
            {"kappa": 3, "tau": 0.5, "alpha": 1}. Figures from training batches are then those of mixed images.

    Raises:
        InputError: an argument cannot be used, or `resume` does not fit what is in `out`.
        ExistsError: `out` holds a training, and neither `resume` nor `force` was given.
        DependencyError: Lightning or Kornia is not installed.
        ImblensError: the training diverged.
        KeyboardInterrupt: the user stopped it; the message says after which epoch. That epoch's checkpoint is whole.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from imblens.data import digits
        >>> with TemporaryDirectory() as out:
        ...     trained = train(digits(), out=out, epochs=1, progress=False)
        >>> trained.meta["preprocessing"]["size"], len(trained.log)
        ([32, 32], 1)
    """
    folder = Path(out)
    task = _prepared(
        image_set,
        folder,
        arch=arch,
        weights=weights,
        loss=loss,
        schedule=schedule,
        epochs=epochs,
        seed=seed,
        resume=resume,
        batch_size=batch_size,
        sampler=sampler,
        drw=drw,
        augment=augment,
        precision=precision,
        loss_options=loss_options,
        remix=remix,
    )
    if not resume:
        _clear(folder, force)
    return _fit(image_set, task, folder, resume=resume, progress=progress)


def check_training(image_set: ImageSet, *, out: str | Path, **options: Any) -> dict[str, Any]:
    """Check all that `train` checks, and that `imblens.capture` will find the network's head; train and write nothing.

    Args:
        image_set, out, options: of `train`.

    Returns:
        What would be done: `arch`, `features` (D), `weights_count`, `loss`, `schedule`, `epochs`, `batch_size`,
        `class_counts` and so on: plain JSON values.

    Raises:
        InputError, DependencyError: as `train`, or the network does not end in a linear layer.

    Example:
        >>> from imblens.data import digits
        >>> found = check_training(digits(), out="run", epochs=3)
        >>> found["arch"], found["features"], found["loss"], found["epochs"], found["batch_size"]
        ('smallnet', 64, 'ce', 3, 128)
    """
    import torch

    from imblens.training._module import shrunk
    from imblens.training._state import left_as_found

    defaults = {name: option.default for name, option in inspect.signature(train).parameters.items()}
    if set(options) - set(defaults):
        raise TypeError(f"check_training: train has no argument {sorted(set(options) - set(defaults))[0]!r}")
    given = {**defaults, **options, "image_set": image_set, "folder": Path(out)}
    task = _prepared(**{name: given[name] for name in inspect.signature(_prepared).parameters})
    if not given["resume"] and not given["force"]:
        _refuse_old(Path(out))
    height, width = task.pixels.shape[1:3]
    with left_as_found():
        model = _network(task.asked, len(task.counts), (height, width))
        if task.start is not None:
            load_pretrained(model, task.start)
        sample = torch.zeros(2, 3, height, width)
        _, head = find_head(model, sample=sample, n_classes=len(task.counts))
        _takes_small_ones(model, task, shrunk(sample))
    told = {key: value for key, value in task.asked.items() if key != "images"}
    return {
        **told,
        "precision": task.precision,
        "features": int(head.weight.shape[1]),  # type: ignore[index]
        "weights_count": sum(weight.numel() for weight in model.parameters()),
    }


def _takes_small_ones(model: nn.Module, task: _Task, sample: Tensor) -> None:
    """Refuse a network of one size with a schedule that shows smaller images first."""
    if not task.plan.small_until or sample.shape[2:] == task.pixels.shape[1:3]:
        return
    try:
        with evaluating(model):
            model(sample)
    except Exception as error:
        height, width = task.pixels.shape[1:3]
        raise InputError(
            f"the schedule {task.plan.name} first shows images of {sample.shape[2]} x {sample.shape[3]}, and "
            f"{task.asked['arch']} takes {height} x {width} only ({type(error).__name__}: {error}).",
            hint="Choose another: --schedule cao200, with --epochs; or pool before the last linear layer.",
        ) from error


@dataclass(frozen=True)
class _Task:
    """A training whose arguments were all checked.

    Attributes:
        pixels: (N, H, W, 3) uint8.
        labels: (N,), or (N, C) for several labels.
        counts: (C,) training images of each class.
        plan: the schedule.
        loss: the module.
        asked: all that decides the result, plain JSON values.
        precision: "32-true" or "bf16-mixed".
        start: file of pretrained weights.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    counts: NDArray[np.int64]
    plan: Schedule
    loss: Any
    asked: dict[str, Any]
    precision: str
    start: Path | None


def _prepared(
    image_set: ImageSet,
    folder: Path,
    *,
    arch: str,
    weights: str | Path | None,
    loss: str | None,
    schedule: str | None,
    epochs: int | None,
    seed: int,
    resume: bool,
    batch_size: int | None,
    sampler: str,
    drw: bool,
    augment: str | None,
    precision: str | None,
    loss_options: Mapping[str, Any] | None,
    remix: Mapping[str, Any] | bool,
) -> _Task:
    _require("lightning", "kornia")
    several = image_set.task == "multilabel"
    loss = loss or ("bce" if several else "ce")
    schedule = schedule or default_schedule(multilabel=several)
    plan = _planned(find_schedule(schedule), augment)
    find_sampler(sampler)
    find_model(arch)
    if several and sampler != "natural":
        raise InputError(
            f"sampler {sampler!r} draws images by their one class, and those of {image_set.name} have several labels.",
            hint="Leave it out; the losses wbce and cb_focal_bce weigh labels by their counts.",
        )
    if several and remix is not False:
        raise InputError(
            f"remix mixes images of one class each, and those of {image_set.name} have several labels.",
            hint="Leave it out.",
        )
    options = _plain_options(loss_options)
    labels = image_set.train.targets
    counts = image_set.class_counts
    negatives = _negatives(image_set, labels, counts) if several else None
    if not several and np.count_nonzero(counts) < 2:
        raise InputError(f"the training split of {image_set.name} has fewer than two classes.", hint="Give more.")
    built_loss = build_loss(loss, counts.tolist(), negative_counts=negatives, drw=drw, **options)
    pixels = image_set.train.array()
    size = _count("batch_size", batch_size, plan.batch_size)
    asked = {
        "arch": arch,
        "weights": None if weights is None else _file_hash(Path(weights)),
        "loss": loss,
        "loss_options": options,
        "drw": bool(drw),
        "schedule": schedule,
        "epochs": _count("epochs", epochs, plan.epochs_for(-(-len(labels) // size))),
        "batch_size": size,
        "augment": _augmented(plan),
        "sampler": sampler,
        "remix": checked_remix(remix),
        "seed": _count("seed", seed, 0, least=0),
        "classes": list(image_set.classes),
        "class_counts": counts.tolist(),
        **({} if negatives is None else {"negative_counts": negatives}),
        "images": _fingerprint(pixels, labels),
    }
    if precision is None:
        precision = _stored_precision(folder, asked) if resume else _precision()
    elif resume:
        _stored_precision(folder, asked)
    if precision not in ("32-true", "bf16-mixed"):
        raise InputError(f"precision is {precision!r}.", hint="Give 32-true or bf16-mixed.")
    start = None if weights is None or resume else Path(weights)
    return _Task(pixels, labels, counts, plan, built_loss, asked, precision, start)


def _fit(image_set: ImageSet, task: _Task, folder: Path, *, resume: bool, progress: bool) -> Trained:
    import torch

    from imblens.training._state import derived_seed, left_as_found, quiet_lightning, seed_everything

    pixels, labels, asked = task.pixels, task.labels, task.asked
    mean, std = channel_statistics(pixels)
    with left_as_found(), quiet_lightning():
        import lightning.pytorch as lightning
        from lightning.fabric.plugins.environments.lightning import LightningEnvironment

        from imblens.training._checkpoints import KeepLast, WholeCheckpoints
        from imblens.training._module import Fitting
        from imblens.training._progress import EpochLog

        seed_everything(derived_seed(asked["seed"], 0))
        model = _network(asked, len(task.counts), pixels.shape[1:3]).train()
        if task.start is not None:
            taken = load_pretrained(model, task.start)
            if progress:
                print(taken, file=sys.stderr, flush=True)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        batches = Batches(pixels, labels, asked["batch_size"])
        fitting = Fitting(
            model,
            task.loss,
            schedule=task.plan,
            batches=batches,
            labels=labels,
            epochs=asked["epochs"],
            sampler=asked["sampler"],
            seed=asked["seed"],
            mean=mean,
            std=std,
            facts={**asked, "precision": task.precision},
            mixing=asked["remix"],
        )
        val = image_set.val
        held_out = Batches(val.array(), val.targets, 512) if val is not None and len(val) else None
        named = image_set.classes if image_set.task == "multilabel" else ()
        log = EpochLog(folder, rare_classes(task.counts), named, show=progress)
        trainer = lightning.Trainer(
            accelerator="gpu" if torch.cuda.is_available() else "cpu",
            devices=1,
            precision=task.precision,  # type: ignore[arg-type]
            max_epochs=asked["epochs"],
            callbacks=[log, KeepLast(folder)],
            plugins=[LightningEnvironment(), WholeCheckpoints()],
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        try:
            trainer.fit(fitting, batches, held_out, ckpt_path=folder / LAST if resume else None)
        except SystemExit:  # what Lightning makes of Ctrl-C
            if not log.interrupted:
                raise
        if log.interrupted:
            done = len(log.rows)
            where = f"stopped at epoch {done} of {asked['epochs']}" if done else "stopped before an epoch was finished"
            raise KeyboardInterrupt(where)
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        model.cpu().eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        _save_model(model, folder / "model.safetensors")
    meta = {
        **{key: value for key, value in asked.items() if key not in ("classes", "images")},
        "preprocessing": {"mean": mean, "std": std, "size": list(pixels.shape[1:3])},
        "device": device,
        "precision": task.precision,
        "threads": torch.get_num_threads(),
        "versions": _versions(),
    }
    return Trained(model=model, meta=meta, log=log.frame(), path=folder)


def channel_statistics(pixels: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel of (N, H, W, 3) images, as if pixels were in [0, 1].

    Counted exactly from histograms. A channel that never changes gets 1 as its standard deviation.

    >>> channel_statistics(np.array([[[[0, 255, 51]], [[255, 255, 51]]]], dtype=np.uint8))
    ([0.5, 1.0, 0.2], [0.5, 1.0, 1.0])
    """
    values = np.arange(256) / 255
    mean, std = [], []
    for channel in range(pixels.shape[-1]):
        share = np.zeros(256)
        for start in range(0, len(pixels), 4096):
            share += np.bincount(pixels[start : start + 4096, ..., channel].ravel(), minlength=256)
        share /= share.sum()
        middle = float(share @ values)
        spread = float(share @ (values - middle) ** 2) ** 0.5
        mean.append(round(middle, 12))
        std.append(round(spread, 12) if spread > 1e-9 else 1.0)
    return mean, std


def rare_classes(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the third of the classes (at least one) with the fewest instances; none where all have as many.

    >>> rare_classes(np.array([50, 7, 20, 3, 11, 40])).tolist()
    [3, 1]
    """
    if counts.min() == counts.max():
        return np.empty(0, dtype=np.int64)
    return np.argsort(counts, kind="stable")[: max(1, len(counts) // 3)]


def _network(asked: Mapping[str, Any], n_classes: int, size: tuple[int, int]) -> nn.Module:
    normalised = find_loss(asked["loss"]).normalised_head
    scale = float(asked["loss_options"].get("s", 30.0)) if normalised else 30.0
    return make_network(asked["arch"], n_classes, size=size, normalised_head=normalised, scale=scale)


def _save_model(model: nn.Module, path: Path) -> None:
    from safetensors.torch import save

    tensors, seen = {}, set()
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen or not tensor.numel():  # tied weights stand once
            tensors[name] = tensor.contiguous()
        seen.add(tensor.data_ptr())
    write_bytes(path, save(tensors, metadata={"format": "pt"}))


def _planned(plan: Schedule, augment: str | None) -> Schedule:
    if augment is None:
        return plan
    if augment not in _AUGMENTATIONS:
        raise InputError(f"there is no augmentation {augment!r}.", hint=f"Known: {', '.join(_AUGMENTATIONS)}.")
    steps = augment.split("+")
    return replace(
        plan,
        pad=(plan.pad or 4) if "crop" in steps else 0,
        flip="flip" in steps,
        jitter=(plan.jitter or 0.2) if "jitter" in steps else 0.0,
    )


def _augmented(plan: Schedule) -> str:
    steps = {"crop": plan.pad > 0, "flip": plan.flip, "jitter": plan.jitter > 0}
    return "+".join(name for name, used in steps.items() if used) or "none"


def _negatives(image_set: ImageSet, labels: NDArray[np.int64], counts: NDArray[np.int64]) -> list[int]:
    """Return how many training images are known not to have each label.

    Raises:
        InputError: no label is known of some images and known to be absent in others.
    """
    negatives = (labels == 0).sum(axis=0)
    if not (np.minimum(counts, negatives) > 0).any():
        raise InputError(
            f"in the training split of {image_set.name} no label tells images apart: each is in all of them or in "
            "none.",
            hint="Give images with and without a label.",
        )
    return [int(n) for n in negatives]


def _file_hash(file: Path) -> str:
    if not file.is_file():
        raise MissingError(f"there is no weights file {file}.", hint="Check the path given with --weights.")
    return sha256(file)[:32]


def _plain_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(options or {})))
    except (TypeError, ValueError) as error:
        raise InputError(f"loss_options are not plain values: {error}.", hint="Give numbers and lists.") from error
    return plain


def _count(name: str, value: int | None, default: int, *, least: int = 1) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or int(value) != value or value < least:
        raise InputError(f"{name} is {value!r}.", hint=f"It must be a whole number, {least} or more.")
    return int(value)


def _stored_precision(folder: Path, asked: Mapping[str, Any]) -> str:
    """Check that `asked` is what the checkpoint in `folder` was made for; return its precision."""
    facts = read_checkpoint(folder / LAST)["imblens"]
    for key, value in asked.items():
        if facts.get(key) == value:
            continue
        if key in ("images", "classes", "class_counts"):
            found = f"saw other {key.replace('_', ' ')}"
        else:
            found = f"had {key} {facts.get(key)!r}, and {value!r} is asked for"
        raise InputError(
            f"--resume: the training in {folder} {found}.",
            hint="Repeat the data and options it was started with; or leave out --resume and choose another --out.",
        )
    return str(facts["precision"])


def _clear(folder: Path, force: bool) -> None:
    if not force:
        _refuse_old(folder)
    for name in _OLD:
        (folder / name).unlink(missing_ok=True)


def _refuse_old(folder: Path) -> None:
    if any((folder / name).exists() for name in _OLD):
        raise ExistsError(f"{folder} holds a training.", hint="Add --resume, or --force, or choose another --out.")


def _fingerprint(pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
    """Return a hash of labels and images (evenly spaced ones, where there are more than 256 MiB)."""
    import hashlib

    step = -(-pixels.nbytes // _HASHED_BYTES)
    digest = hashlib.sha256(np.ascontiguousarray(labels).tobytes())
    for start in range(0, len(pixels), 4096):
        digest.update(pixels[start : start + 4096 : step].tobytes())
    return digest.hexdigest()[:32]


def _precision() -> str:
    """Return bf16-mixed where the hardware multiplies bfloat16 matrices (CUDA, AMX), else 32-true.

    Vector instructions alone (AVX512-BF16) do not pay: convolutions measured slower than in float32.
    """
    import torch

    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported()
    elif hasattr(torch.cpu, "get_capabilities"):
        fast = bool(torch.cpu.get_capabilities().get("amx_bf16"))
    else:
        fast = bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
    return "bf16-mixed" if fast else "32-true"


def _require(*packages: str) -> None:
    from importlib.util import find_spec

    for package in packages:
        if find_spec(package) is None:
            raise DependencyError(
                f"training needs {package}, which is not installed.", hint="pip install 'imblens[train]'"
            )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
