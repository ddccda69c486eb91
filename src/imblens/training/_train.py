"""Training a network on an image set."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from imblens.base.files import claim
from imblens.base.locks import exclusive
from imblens.base.versions import versions
from imblens.models import load_pretrained, load_weights, save_weights
from imblens.training._checkpoints import KeepLast, WholeCheckpoints
from imblens.training._devices import train_in_processes
from imblens.training._files import LAST, MODEL, refuse_old, remove_old
from imblens.training._global_state import derived_seed, left_as_found, quiet_lightning, seed_everything
from imblens.training._lightning import fit
from imblens.training._module import Fitting
from imblens.training._pixels import channel_statistics, rare_classes
from imblens.training._plan import TrainingPlan
from imblens.training._prepare import Prepared, as_plan, prepare
from imblens.training._progress import EpochLog
from imblens.training._ranks import rank
from imblens.training._recolour import recolouring
from imblens.training._samplers import Batches

if TYPE_CHECKING:
    from imblens.data import ImageSet

_VALIDATION_BATCH = 512


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        model: the network with the weights of the last epoch, on the CPU, in evaluation mode.
        meta: everything that decided the result: plain JSON values. `meta["preprocessing"]` holds mean, std (of pixels
            in [0, 1]) and size.
        log: one row per epoch: epoch, loss, split (val or train), balanced_accuracy, rare_accuracy, lr, seconds. For
            multi-label sets: auroc (mean over labels) and rare_auroc instead, and a column for each label.
        path: the folder with model.safetensors, log.csv and checkpoints/last.ckpt.

    Example:
        >>> import numpy as np
        >>> from tempfile import TemporaryDirectory
        >>> from imblens.data import ImageSet, ImageSplit
        >>> split = ImageSplit.from_arrays(np.zeros((8, 16, 16), np.uint8), [0, 1] * 4)
        >>> with TemporaryDirectory() as out:
        ...     trained = train(ImageSet("pets", ("cat", "dog"), "multiclass", split), epochs=2, out=out, progress=False)
        >>> trained.model.training, trained.log["epoch"].tolist(), trained.meta["seed"]
        (False, [1, 2], 0)
    """

    model: nn.Module
    meta: dict[str, Any]
    log: pd.DataFrame
    path: Path


@exclusive
def train(
    image_set: ImageSet,
    plan: TrainingPlan | None = None,
    *,
    out: str | Path,
    resume: bool = False,
    force: bool = False,
    progress: bool = True,
    **settings: Any,
) -> Trained:
    """Train a network on the training split, and keep the weights of the last epoch.

    Metrics during training come from the validation split where the set has one, else from the training batches (as
    augmented, while the network changes). The test split is never used, and no epoch is selected.

    Images are normalised by the channel means of the training split. On one machine, with one number of threads, the
    same arguments give the same weights to the bit, also when the training was stopped and resumed. The caller's random
    state and the settings of torch are left unchanged.

    Args:
        image_set: images of one size. In multi-label sets, unknown labels do not count.
        plan: the settings; see `TrainingPlan`.
        out: folder for model.safetensors, log.csv and checkpoints/last.ckpt; nothing is written elsewhere.
        resume: continue after the last finished epoch in `out`, with the same other arguments.
        force: start from the beginning where `out` holds a training.
        progress: print one line per epoch to stderr.
        **settings: attributes of `TrainingPlan`, instead of a plan or over those of one.

    Raises:
        InputError: a setting cannot be used, or `resume` does not fit what is in `out`.
        ExistsError: `out` holds a training, and neither `resume` nor `force` was given.
        DependencyError: Lightning or Kornia is not installed.
        ImblensError: the training diverged.
        KeyboardInterrupt: the user stopped it; the message states after which epoch. That epoch's checkpoint is whole.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from imblens.data import digits
        >>> with TemporaryDirectory() as out:
        ...     trained = train(digits(), TrainingPlan(epochs=1), out=out, progress=False)
        >>> trained.meta["preprocessing"]["size"], trained.meta["augment"], len(trained.log)
        ([32, 32], 'crop', 1)
    """
    folder = Path(out)
    prepared = prepare(image_set, as_plan(plan, settings), folder, resume=resume)
    if not resume and not force:
        refuse_old(folder)
    claim(folder, force=True)
    if not resume:
        remove_old(folder)
    if prepared.plan.devices > 1:
        return _fit_on_devices(image_set, prepared, folder, resume=resume, progress=progress)
    return fit_prepared(image_set, prepared, folder, resume=resume, progress=progress)


def _fit_on_devices(image_set: ImageSet, prepared: Prepared, folder: Path, *, resume: bool, progress: bool) -> Trained:
    with left_as_found():
        model = prepared.network()
        prepared.check(model)
        if any(isinstance(layer, torch.nn.modules.batchnorm._BatchNorm) for layer in model.modules()):
            print(norm_note(torch.cuda.is_available()), file=sys.stderr, flush=True)
    done = train_in_processes(image_set, prepared.plan, folder, resume=resume, progress=progress)
    load_weights(model, folder / MODEL)
    mean, std = channel_statistics(prepared.pixels)
    log = pd.read_csv(folder / "log.csv")
    return Trained(model=model.eval(), meta=_meta(prepared, mean, std, done["device"]), log=log, path=folder)


def norm_note(gpus: bool) -> str:
    """Return what several devices mean for batch normalisation."""
    if gpus:
        return "batch normalisation is synchronised: means and variances are of the whole batch."
    return (
        "on CPUs, batch normalisation takes means and variances of each process's share of a batch, so weights differ from "
        "those of one process."
    )


def fit_prepared(image_set: ImageSet, prepared: Prepared, folder: Path, *, resume: bool, progress: bool) -> Trained:
    """Train in this process: alone, or as one of several."""
    plan, record = prepared.plan, prepared.record
    mean, std = channel_statistics(prepared.pixels)
    with left_as_found(), quiet_lightning():
        recolour = None
        if prepared.plan.class_colours:
            recolour = recolouring(prepared.plan.class_colours, image_set.classes)
        prepared.check(prepared.network())  # another one: what a network counts or keeps begins with the training
        seed_everything(derived_seed(plan.seed, 0))
        model = prepared.network()
        if any(is_lazy(tensor) for tensor in model.parameters()):
            prepared.check(model)
        model.train()
        if prepared.start is not None:
            loaded = load_pretrained(model, prepared.start)
            if progress:
                print(loaded, file=sys.stderr, flush=True)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        batches = Batches(prepared.pixels, prepared.labels, int(plan.batch_size or 0))
        facts = {**record, "precision": plan.precision}
        fitting = Fitting(
            model, prepared.loss, plan, batches, prepared.labels, mean=mean, std=std, facts=facts,
            tap=prepared.tap(model), recolour=recolour,
        )  # fmt: skip
        val = image_set.val
        validation = Batches(val.array(), val.targets, _VALIDATION_BATCH) if val is not None and len(val) else None
        named = image_set.classes if image_set.task == "multilabel" else ()
        log = EpochLog(folder, rare_classes(prepared.class_counts), named, show=progress)
        try:
            fit(
                fitting,
                batches,
                validation,
                epochs=int(plan.epochs or 0),
                callbacks=[log, KeepLast(folder)],
                plugins=[WholeCheckpoints()],
                checkpoint=folder / LAST if resume else None,
                precision=plan.precision,
                default_root_dir=folder,
            )
        except KeyboardInterrupt:
            done = len(log.rows)
            where = f"stopped at epoch {done} of {plan.epochs}" if done else "stopped before an epoch was finished"
            raise KeyboardInterrupt(where) from None
        finally:
            if fitting.tap is not None:
                fitting.tap.remove()
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        model.cpu().eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        if rank() == 0:
            save_weights(model, folder / MODEL)
    return Trained(model=model, meta=_meta(prepared, mean, std, device), log=log.frame(), path=folder)


def _meta(prepared: Prepared, mean: list[float], std: list[float], device: str) -> dict[str, Any]:
    return {
        **{key: value for key, value in prepared.record.items() if key not in ("classes", "images")},
        "preprocessing": {"mean": mean, "std": std, "size": list(prepared.size)},
        "device": device,
        "precision": prepared.plan.precision,
        "threads": torch.get_num_threads(),
        "versions": versions("imblens", "torch", "lightning", "kornia", "numpy"),
    }
