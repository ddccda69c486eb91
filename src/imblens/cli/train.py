"""imblens train: train a network on an imbalanced set, then capture and audit it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from imblens.cli._explain import explain, named
from imblens.cli._shared import (
    AnyLabel,
    Boxes,
    DryRun,
    Force,
    Hub,
    Json,
    Out,
    Root,
    Seed,
    Stopped,
    Uncertain,
    again,
    begin,
    emit,
    examples,
    plain,
    progress,
    rows,
    side_lengths,
    step,
)
from imblens.errors import InputError, MissingError

if TYPE_CHECKING:
    import pandas as pd

    from imblens.data import ImageSet
    from imblens.report import Audit

EXAMPLES = examples(
    "imblens train DATA --profile exp:100 --arch resnet32 --epochs 15 --out RUN",
    "imblens train DATA --oversample smote --set k_neighbors=3 --out RUN",
    "imblens train DATA --loss ldam --drw --dry-run --out RUN",
)
MOST_CLASSES = 20  # in the table at the end


def command(
    data: str = typer.Argument(..., metavar="DATA", help="Folder, .npz, or a name from `imblens list data`."),
    out: Path = Out,
    root: Path | None = Root,
    hub: bool = Hub,
    boxes: Path | None = Boxes,
    uncertain: str = Uncertain,
    any_label: bool = AnyLabel,
    profile: str = typer.Option("natural", "--profile", metavar="exp:R|step:R|natural", help="Thin the training set."),
    drop: Path | None = typer.Option(
        None, "--drop", metavar="FILE.csv", help="Leave out the training images named in its column id."
    ),
    arch: str = typer.Option(
        "smallnet",
        "--arch",
        metavar="NAME|LIBRARY:NAME|FILE.py:FACTORY",
        help="Network; see `imblens list models`.",
        autocompletion=named("models"),
    ),
    weights: Path | None = typer.Option(
        None, "--weights", metavar="FILE", help="Pretrained weights to start from; a head of other classes is left out."
    ),
    loss: str | None = typer.Option(
        None,
        "--loss",
        metavar="NAME",
        help="Loss; see `imblens list losses`. Default ce; for several labels bce.",
        autocompletion=named("losses"),
    ),
    schedule: str | None = typer.Option(
        None,
        "--schedule",
        metavar="NAME",
        help="short, cao200, short_adam or looking50. Default short; for several labels short_adam.",
        autocompletion=named("schedules"),
    ),
    sampler: str = typer.Option(
        "natural",
        "--sampler",
        metavar="NAME",
        help="natural, class_balanced, square_root or progressive.",
        autocompletion=named("samplers"),
    ),
    oversample: str | None = typer.Option(
        None,
        "--oversample",
        metavar="NAME",
        help="Balance with synthetic images; see `imblens list oversamplers`.",
        autocompletion=named("oversamplers"),
    ),
    remix: bool = typer.Option(False, "--remix", help="Mix images, with labels that lean to the rarer class."),
    settings: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="An option of --oversample or --remix; may be repeated."
    ),
    drw: bool = typer.Option(False, "--drw", help="Deferred re-weighting: class-balanced weights late in training."),
    epochs: int | None = typer.Option(None, "--epochs", min=1, help="Default: the schedule's own."),
    batch_size: int | None = typer.Option(None, "--batch-size", min=1, help="Default: the schedule's own."),
    size: str | None = typer.Option(None, "--size", metavar="N|HxW", help="Resize images; default: as they are."),
    seed: int = Seed,
    resume: bool = typer.Option(False, "--resume", help="Go on after the last finished epoch in --out."),
    dry_run: bool = DryRun,
    explain_name: str | None = explain("losses", "oversamplers", "schedules", "samplers", "models", "data"),
    force: bool = Force,
    as_json: bool = Json,
) -> None:
    """Train with Lightning; then capture features and colours, and write the report to RUN/audit."""
    from imblens.base.files import claim
    from imblens.data import drop_images, load_images
    from imblens.losses import find_loss
    from imblens.models import find_model
    from imblens.studies import OVERSAMPLED
    from imblens.training import find_sampler, find_schedule

    find_model(arch)
    if loss is not None:
        find_loss(loss)
    if schedule is not None:
        find_schedule(schedule)
    find_sampler(sampler)
    wanted = side_lengths(size)
    balancing, mixing = _settings(oversample, remix, settings)
    if resume and oversample is not None and not (out / "checkpoints").is_dir() and not (out / OVERSAMPLED).is_dir():
        raise MissingError(f"--resume: there is no training in {out}.", hint="Leave out --resume to start one.")
    if not dry_run:
        begin(out, force=force or resume)
    elif out.exists() and not (force or resume):
        claim(out, force=False)  # makes nothing: it refuses a folder that holds something
    images = load_images(
        data, seed=seed, profile=profile, root=root, hub=hub, boxes=boxes, uncertain=uncertain, any_label=any_label
    )
    if drop is not None:
        images = drop_images(images, drop)
    for note in images.notes:
        progress(note)
    if wanted is not None:
        images = images.resized(wanted)
    images.decode()
    options = dict(
        arch=arch,
        weights=weights,
        loss=loss,
        schedule=schedule,
        epochs=epochs,
        seed=seed,
        resume=resume and (oversample is None or (out / "checkpoints").is_dir()),  # else stopped before training
        force=True,  # the folder is claimed here
        batch_size=batch_size,
        sampler=sampler,
        drw=drw,
        remix=mixing,
    )
    if dry_run:
        _planned(images, out, options, oversample, as_json=as_json)
        return
    try:
        found, report = train_capture_audit(images, out, options, oversample=oversample, balancing=balancing)
    except KeyboardInterrupt as stop:
        if "stopped at" not in str(stop):
            raise
        raise Stopped(str(stop).removeprefix("stopped ") + ".", hint=f"go on with: {again('--resume')}") from None
    from imblens.cli.audit import ending, result, to_try

    emit(
        {"run": out, "classes": plain(_classes(found).to_dict("records")), **result(found, report)},
        [
            *_table(found, report),
            *ending(found, report),
            to_try(found, out, f"{out}-2"),
        ],
        as_json=as_json,
    )


def _settings(oversample: str | None, remix: bool, pairs: list[str]) -> tuple[dict[str, Any], dict[str, Any] | bool]:
    """Return the options of the over-sampler, and those of remix (False: not asked for)."""
    if oversample is None and not remix and not pairs:
        return {}, False
    from imblens.synthesis import parse_options
    from imblens.training import REMIX, checked_remix
    from imblens.treatments import parse_pairs

    keys = [(pair, set(parse_pairs([pair])) & set(REMIX)) for pair in pairs]
    mixing = parse_pairs(pair for pair, mixed in keys if mixed and remix)
    others = [pair for pair, mixed in keys if not (mixed and remix)]
    if others and oversample is None:
        raise InputError(
            f"--set {others[0]} belongs to nothing that was asked for.",
            hint=f"Options of --remix are {', '.join(REMIX)}; all others are those of --oversample NAME.",
        )
    balancing = {} if oversample is None else parse_options(oversample, others)
    return balancing, (checked_remix(mixing) or False) if remix else False


def _planned(images: ImageSet, out: Path, options: dict[str, Any], oversample: str | None, *, as_json: bool) -> None:
    """Say what would be trained."""
    from imblens.training import check_training, find_schedule

    plan = check_training(images, out=out, **options)
    counts, n = plan["class_counts"], len(images.train)
    if oversample is not None:
        n = len(counts) * max(counts)
        if options["epochs"] is None:
            plan["epochs"] = find_schedule(plan["schedule"]).epochs_for(-(-n // plan["batch_size"]))
    held = images.held_out
    lines = [
        f"data: {images.name}, {len(images.train):,} training images in {len(counts)} classes "
        f"({max(counts):,} to {min(counts):,}), {0 if held is None else len(held):,} held out",
        *([f"oversample: {oversample}, up to {n:,} images"] if oversample else []),
        f"network: {plan['arch']}, {plan['weights_count']:,} weights, {plan['features']} features",
        f"training: {plan['loss']}, {plan['schedule']}, {plan['epochs']} epochs of {-(-n // plan['batch_size']):,} batches "
        f"of {plan['batch_size']}, {plan['sampler']} sampling, augmented by {plan['augment']}, {plan['precision']}",
        f"out: {out}",
        "dry run: nothing was trained or written.",
    ]
    emit({"data": images.name, "oversample": oversample, **plan, "out": out}, lines, as_json=as_json)


def _classes(found: Audit) -> pd.DataFrame:
    """One row a class: count, how often it is right, with interval."""
    import pandas as pd

    finding = found.findings.get("class_accuracy")
    return pd.DataFrame() if finding is None else finding.tables["class_accuracy"]


def _table(found: Audit, report: Path) -> list[str]:
    table = _classes(found)
    if table.empty:
        return []
    lines = rows(table.head(MOST_CLASSES))
    left = len(table) - MOST_CLASSES
    where = report.parent / "tables" / "class_accuracy.csv"
    return lines + ([f"and {left:,} more classes: {where}"] if left > 0 else [])


def train_capture_audit(
    images: ImageSet,
    out: Path,
    options: dict[str, Any],
    *,
    oversample: str | None = None,
    balancing: dict[str, Any] | None = None,
) -> tuple[Audit, Path]:
    """Train into `out`, capture there, audit into `out`/audit; return the audit and its report."""
    from imblens.report import audit
    from imblens.studies import train_and_capture

    run, _ = train_and_capture(
        images,
        out,
        options,
        oversample=oversample,
        balancing=balancing,
        say=progress,
        val=images.val if images.test is not None else None,
        out=out,
        force=True,
    )
    with step("audited"):
        found = audit(run, on_step=progress)
        report = found.save(out / "audit", force=True)
    return found, report
