"""From images to a captured run and its audit: balance, train, capture, audit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imblens import training
from imblens.data import ImageSet
from imblens.run import Run
from imblens.training import TrainingPlan, find_schedule

if TYPE_CHECKING:
    from imblens.report import Audit

OVERSAMPLED = "oversampled"  # folder of the synthetic images that a network is trained on


def training_facts(
    images: ImageSet,
    plan: TrainingPlan,
    out: Path,
    *,
    oversample: str | None = None,
    resume: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Check a training and return what it would do; train and write nothing.

    Args:
        images: the set.
        plan: the settings.
        out: where the training would be written.
        oversample: name of an over-sampler, or None.
        resume, force: as for `imblens.training.train`.

    Returns:
        The values of `check_training`, with `n_images`, the largest number of training images after over-sampling, and
        `epochs` and `steps` (batches in an epoch) for these; with an over-sampler `oversample_bytes`, its memory.

    Raises:
        InputError: as `check_training`, or the over-sampler needs more than half of this machine's memory.
    """
    facts = training.check_training(images, plan, out=out, resume=resume, force=force)
    counts, n_images = facts["class_counts"], len(images.train)
    if oversample is not None:
        from imblens.synthesis import oversampling_memory

        n_images = len(counts) * max(counts)
        facts = {**facts, "oversample_bytes": oversampling_memory(images, oversample)}
    steps = -(-n_images // facts["batch_size"])
    epochs = plan.epochs or find_schedule(facts["schedule"]).epochs_for(steps)
    return {**facts, "epochs": epochs, "n_images": n_images, "steps": steps}


def train_and_capture(
    images: ImageSet,
    folder: Path,
    plan: TrainingPlan,
    *,
    oversample: str | None = None,
    balancing: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[str], None] | None = None,
    **capture_options: Any,
) -> tuple[Run, training.Trained]:
    """Train a network in `folder`, and capture it.

    Synthetic images train the network; the real ones are captured.

    Args:
        images: the set.
        folder: where network, log, checkpoints and synthetic images are written. Synthetic images that an earlier,
            interrupted start made of the same images are read again.
        plan: the settings of the training.
        oversample: a name of `imblens.synthesis.oversampler_descriptions()`, or None.
        balancing: its options.
        resume: continue after the last finished epoch in `folder`.
        overwrite: start from the beginning where `folder` holds a training.
        progress: called with lines of progress; without it, nothing is shown.
        **capture_options: of `imblens.capture`.

    Returns:
        The run, and the result of `train`.

    Example:
        >>> import numpy as np
        >>> from tempfile import TemporaryDirectory
        >>> from imblens.data import ImageSplit
        >>> split = ImageSplit.from_arrays(np.zeros((8, 16, 16), np.uint8), [0, 1] * 4)
        >>> images = ImageSet("pets", ("cat", "dog"), "multiclass", split)
        >>> with TemporaryDirectory() as out:
        ...     run, trained = train_and_capture(images, Path(out), TrainingPlan(epochs=1))
        >>> run.classes, len(run.train.labels), trained.log["epoch"].tolist()
        (('cat', 'dog'), 8, [1])
    """
    from imblens.extraction import capture

    report = progress or (lambda line: None)
    seen = images
    if not resume:
        training.check_training(images, plan, out=folder, force=overwrite)  # before long work
    if oversample is not None:
        from imblens.synthesis import oversample_pixels

        seen = oversample_pixels(
            images, oversample, random_state=plan.seed, out=folder / OVERSAMPLED, progress=report, **(balancing or {})
        )
        for note in seen.notes[len(images.notes) :]:
            report(note)
    start = time.perf_counter()
    trained = training.train(seen, plan, out=folder, resume=resume, force=overwrite, progress=progress is not None)
    report(f"trained: {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    run = capture(
        trained.model,
        train=images.train,
        test=images.held_out,
        classes=images.classes,
        preprocessing=trained.meta["preprocessing"],
        meta={"data": seen.source, **trained.meta},
        progress=progress,
        **capture_options,
    )
    report(f"captured: {time.perf_counter() - start:.1f} s")
    return run, trained


def train_capture_audit(
    images: ImageSet,
    out: Path,
    plan: TrainingPlan,
    *,
    oversample: str | None = None,
    balancing: Mapping[str, Any] | None = None,
    resume: bool = False,
    progress: Callable[[str], None] | None = None,
) -> tuple[Audit, Path]:
    """Train into `out`, capture there, audit into `out`/audit; what `out` holds is overwritten.

    Args:
        images, plan, oversample, balancing, resume, progress: as for `train_and_capture`.
        out: folder of the run.

    Returns:
        The audit, and the path of its report.
    """
    from imblens.report import audit, room_to_draw

    room_to_draw()
    run, _ = train_and_capture(
        images,
        out,
        plan,
        oversample=oversample,
        balancing=balancing,
        resume=resume,
        overwrite=True,
        progress=progress,
        val=images.val if images.test is not None else None,
        out=out,
        force=True,
    )
    start = time.perf_counter()
    findings = audit(run, on_step=progress)
    report = findings.save(out / "audit", force=True)
    if progress is not None:
        progress(f"audited: {time.perf_counter() - start:.1f} s")
    return findings, report
