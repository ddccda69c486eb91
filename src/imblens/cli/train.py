"""imblens train: train a network on an imbalanced data set, then capture and audit it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from imblens.base.files import claim
from imblens.cli import _shared as shared
from imblens.cli._explain import explain, named
from imblens.cli._names import following
from imblens.cli.audit import ending, result, to_try
from imblens.errors import MissingError

if TYPE_CHECKING:
    from imblens.data import ImageSet
    from imblens.report import Audit
    from imblens.training import TrainingPlan

EXAMPLES = shared.examples(
    "imblens train DATA --profile exp:100 --arch resnet32 --epochs 15 --out RUN",
    "imblens train DATA --oversample smote --set k_neighbors=3 --out RUN",
    "imblens train DATA --loss ldam --drw --dry-run --out RUN",
)
MOST_CLASSES = 20  # rows of the table at the end


def _name(default: str | None, flag: str, family: str, text: str, *, metavar: str = "NAME") -> Any:
    """Return an option whose value is a name of `imblens list FAMILY`."""
    return typer.Option(
        default, flag, metavar=metavar, help=f"{text}; see `imblens list {family}`.", autocompletion=named(family)
    )


def command(
    data: str = typer.Argument(..., metavar="DATA", help="Folder, .npz, or a name from `imblens list data`."),
    out: Path = shared.Out,
    reading: shared.ImageOptions = shared.ImageOptions(),
    profile: str = typer.Option("natural", metavar="exp:R|step:R|natural", help="Subsample the training split."),
    drop: Path | None = typer.Option(None, metavar="FILE.csv", help="Leave out training images listed in column id."),
    arch: str = _name("smallnet", "--arch", "models", "Network", metavar="NAME|LIBRARY:NAME|FILE.py:FACTORY"),
    weights: Path | None = typer.Option(
        None, metavar="FILE", help="Pretrained weights to start from; a head for other classes is left out."
    ),
    loss: str | None = _name(None, "--loss", "losses", "Loss; default ce, for multi-label data bce"),
    schedule: str | None = _name(
        None, "--schedule", "schedules", "Schedule; default short, for multi-label data short_adam"
    ),
    augment: str | None = typer.Option(
        None,
        metavar="none|crop|flip|jitter|crop+flip|...",
        help="Augmentation; default: the schedule's, which mirrors images (flip), but not digits.",
    ),
    sampler: str = _name("natural", "--sampler", "samplers", "Sampler of training images"),
    oversample: str | None = _name(None, "--oversample", "oversamplers", "Balance with synthetic images"),
    remix: bool = typer.Option(False, "--remix", help="Balance each batch and mix its images (Bellinger et al. 2021)."),
    rebalanced_mixup: bool = typer.Option(
        False, "--rebalanced-mixup", help="Mix images; mixed labels favour the rarer class (Chou et al. 2020)."
    ),
    eos: bool = typer.Option(False, "--eos", help="Over-sample each batch in feature space while training."),
    class_colours: Path | None = typer.Option(
        None,
        "--class-colours",
        metavar="RUN",
        help="Augment: vary the colours on which the network of RUN relies for each class.",
    ),
    devices: int = typer.Option(1, "--devices", min=1, help="GPUs, or processes on CPUs, that share each batch."),
    settings: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="An option of the mixing, over-sampler or loss; may be repeated."
    ),
    drw: bool = typer.Option(False, "--drw", help="Deferred re-weighting: class-balanced weights late in training."),
    epochs: int | None = typer.Option(None, min=1, help="Default: the schedule's."),
    batch_size: int | None = typer.Option(None, min=1, help="Default: the schedule's."),
    precision: str | None = typer.Option(
        None, metavar="32-true|bf16-mixed", help="Default: the faster one on this machine."
    ),
    size: str | None = typer.Option(None, metavar="N|HxW", help="Resize images; default: unchanged."),
    input_size: int | None = typer.Option(
        None,
        "--input-size",
        metavar="N",
        min=1,
        help="Crop images as they are, then resize them to this for the network.",
    ),
    seed: int = shared.Seed,
    resume: bool = typer.Option(False, "--resume", help="Resume from the last finished epoch in --out."),
    dry_run: bool = shared.DryRun,
    explain_name: str | None = explain("losses", "oversamplers", "schedules", "samplers", "models", "data"),
    force: bool = shared.Force,
    as_json: bool = shared.Json,
) -> None:
    """Train a network; then capture features and colours, and write the report to RUN/audit."""
    from imblens.data import drop_images, load_images
    from imblens.run import Run
    from imblens.training import TrainingPlan
    from imblens.workflows import OVERSAMPLED, assign_settings, train_capture_audit
    from imblens.workflows import class_colours as colours_of

    mixing = "remix" if remix else "rebalanced_mixup" if rebalanced_mixup else None
    options = assign_settings(settings, mixing=mixing, oversample=oversample, loss=loss)
    plan = TrainingPlan(
        arch=arch, weights=weights, loss=loss, loss_options=options.loss, drw=drw, schedule=schedule, epochs=epochs,
        batch_size=batch_size, augment=augment, sampler=sampler, remix=remix and options.mixing,
        rebalanced_mixup=rebalanced_mixup and options.mixing, eos=eos, devices=devices, input_size=input_size,
        class_colours=None if class_colours is None else colours_of(Run.load(class_colours)), seed=seed, precision=precision,
    )  # fmt: skip
    wanted_size, has_checkpoint = shared.side_lengths(size), (out / "checkpoints").is_dir()
    if resume and oversample is not None and not has_checkpoint and not (out / OVERSAMPLED).is_dir():
        raise MissingError(f"--resume: there is no training in {out}.", hint="Leave out --resume to start one.")
    if not dry_run:
        shared.begin(out, force=force or resume)
    elif out.exists() and not (force or resume):
        claim(out, force=False)  # creates nothing: it refuses a folder that is not empty
    images = load_images(data, seed=seed, profile=profile, **reading.reading())
    images = images if drop is None else drop_images(images, drop)
    for note in images.notes:
        shared.progress(note)
    images = images if wanted_size is None else images.resized(wanted_size)
    images.decode()
    if note := plan.note(images):
        shared.progress(note)
    resume = resume and (oversample is None or has_checkpoint)  # otherwise interrupted before training
    if dry_run:
        _print_plan(images, out, plan, oversample, resume=resume, as_json=as_json)
        return
    try:
        audit, report = train_capture_audit(
            images, out, plan, oversample=oversample, balancing=options.oversampler, resume=resume,
            progress=shared.progress,
        )  # fmt: skip
    except KeyboardInterrupt as stop:
        if "stopped at" not in str(stop):
            raise
        hint = f"resume with: {shared.again('--resume')}"
        raise shared.Stopped(str(stop).removeprefix("stopped ") + ".", hint=hint) from None
    classes, lines = _class_table(audit, report)
    lines += [*ending(audit, report), to_try(audit, out, following(out))]
    shared.emit({"run": out, "classes": classes, **result(audit, report)}, lines, as_json=as_json)


def _print_plan(
    images: ImageSet, out: Path, plan: TrainingPlan, oversample: str | None, *, resume: bool, as_json: bool
) -> None:
    """Print what would be trained."""
    from imblens.workflows import training_facts

    facts = training_facts(images, plan, out, oversample=oversample, resume=resume, force=True)
    counts, held_out = facts["class_counts"], images.held_out
    lines = [
        f"data: {images.name}, {len(images.train):,} training images in {len(counts)} classes "
        f"({max(counts):,} to {min(counts):,}), {0 if held_out is None else len(held_out):,} held out",
        *([_balanced(oversample, facts)] if oversample else []),
        f"network: {facts['arch']}, {facts['weights_count']:,} weights, {facts['features']} features",
        f"training: {facts['loss']}, {facts['schedule']}, {facts['epochs']} epochs of {facts['steps']:,} batches of "
        f"{facts['batch_size']}, {facts['sampler']} sampling, augmentation {facts['augment']}, {facts['precision']}",
        f"out: {out}",
        "dry run: nothing was trained or written.",
    ]
    shared.emit({"data": images.name, "oversample": oversample, **facts, "out": out}, lines, as_json=as_json)


def _balanced(oversample: str, facts: dict[str, Any]) -> str:
    gigabytes = facts["oversample_bytes"] / 1e9
    return f"oversample: {oversample}, up to {facts['n_images']:,} images, about {gigabytes:.1f} GB of memory"


def _class_table(audit: Audit, report: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return count and accuracy of each class with its interval: all as JSON values, and the first ones as lines."""
    if "class_accuracy" not in audit.findings:
        return [], []
    table = audit.findings["class_accuracy"].tables["class_accuracy"]
    lines, left = shared.rows(table.head(MOST_CLASSES)), len(table) - MOST_CLASSES
    if left > 0:
        lines.append(f"and {left:,} more classes: {report.parent / 'tables' / 'class_accuracy.csv'}")
    return table.to_dict("records"), lines
