"""imblens study: a grid of data, networks and treatments, resumable, with the paper's values beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from imblens.cli._explain import explain
from imblens.cli._shared import DryRun, Force, Json, Stopped, again, emit, examples, progress, shown
from imblens.errors import InputError

if TYPE_CHECKING:
    from imblens.studies import Study

EXAMPLES = examples(
    "imblens study eos-table2 --quick --data CIFAR-10=FOLDER --out DIR",
    "imblens study mine.toml --dry-run --out DIR",
    "imblens study --explain eos-table2",
)


def command(
    name: str = typer.Argument(..., metavar="FILE.toml|NAME", help="A study; see `imblens list studies`."),
    out: Path = typer.Option(..., "--out", metavar="DIR", help="Output folder; the same command resumes there."),
    data: list[str] = typer.Option([], "--data", metavar="NAME=DATA", help="Source of a data set; may be repeated."),
    arrays: list[Path] = typer.Option(
        [], "--arrays", metavar="FILE.npz", help="Stored features for `diagnosis` to plant causes in; may be repeated."
    ),
    quick: bool = typer.Option(False, "--quick", help="A small version of the study, for two cores."),
    seeds: str | None = typer.Option(None, "--seeds", metavar="0,1,2", help="Seeds, instead of those of the study."),
    cuts: str | None = typer.Option(
        None,
        "--cuts",
        metavar="0,10,100",
        help="Seeds of the subsampling of training images, instead of those of the study.",
    ),
    workers: int | None = typer.Option(
        None, "--workers", min=1, metavar="N", help="Processes; default: one per core, or one on a GPU."
    ),
    networks: Path | None = typer.Option(
        None, "--networks", metavar="DIR", help="Folder of trained networks; studies may share it."
    ),
    dry_run: bool = DryRun,
    explain_study: str | None = explain("studies"),
    force: bool = Force,
    as_json: bool = Json,
) -> None:
    """Run or resume a study, and print its table: mean and standard deviation over seeds, with the paper's values."""
    from imblens.studies import find_study, run_study

    study = find_study(
        name, data=_sources(data), quick=quick, seeds=_seeds(seeds), cuts=_seeds(cuts, "--cuts"), arrays=arrays
    )
    if dry_run:
        _planned(study, out, networks, force=force, as_json=as_json)
        return
    try:
        result = run_study(study, out, workers=workers, networks=networks, force=force, progress=progress)
    except KeyboardInterrupt:
        raise Stopped("finished jobs are kept.", hint=f"resume with: {again()}") from None
    tables = {key: table.to_dict("records") for key, table in result.tables.items()}
    emit(
        {"study": study.name, "out": out, "tables": tables},
        [
            *result.text.rstrip().split("\n"),
            "",
            f"results: {out / 'results.csv'}",
            f"table: {out / 'table.md'}",
            *([f"figures: {out / 'figures'}"] if (out / "figures").is_dir() else []),
            *_next(networks or out / "networks"),
        ],
        as_json=as_json,
    )


def _next(networks: Path) -> list[str]:
    trained = sorted(networks.glob("*/run.json"))
    return [f"next: {shown('imblens', 'audit', trained[0].parent)}"] if trained else []


def _planned(study: Study, out: Path, networks: Path | None, *, force: bool, as_json: bool) -> None:
    """Print what is finished and what would be done."""
    from imblens.studies import open_jobs

    todo = open_jobs(study, out, networks=networks, force=force)
    cells = sum(len(job.cells) for job in study.jobs)
    emit(
        {
            "study": study.name,
            "cells": cells,
            "cells_to_do": sum(todo.values()),
            "jobs_to_do": todo,
            "missing": dict(study.missing),
        },
        [
            f"{study.name}: {study.question}",
            *(f"left out: {name}. It needs: {needs}" for name, needs in study.missing.items()),
            f"{sum(todo.values())} of {cells} cells to do, in {len(todo)} of {len(study.jobs)} jobs:",
            *(f"  {label}: {n}" for label, n in todo.items()),
            f"out: {out}",
            "dry run: nothing was written.",
        ],
        as_json=as_json,
    )


def _sources(pairs: list[str]) -> dict[str, str]:
    """Read NAME=DATA; without a name, for a study of one set."""
    sources: dict[str, str] = {}
    for pair in pairs:
        name, equals, source = pair.partition("=")
        key, value = (name, source) if equals else ("", name)
        if not value:
            raise InputError(f"--data {pair!r} names no folder.", hint="Write --data NAME=FOLDER.")
        if key in sources:
            raise InputError(f"--data gives {key or 'the set'} twice.", hint="Give it once.")
        sources[key] = value
    return sources


def _seeds(text: str | None, option: str = "--seeds") -> list[int] | None:
    if text is None:
        return None
    try:
        seeds = [int(piece) for piece in text.split(",")]
    except ValueError:
        seeds = [-1]
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise InputError(f"{option} {text!r} is not a list of different whole numbers.", hint=f"Write {option} 0,1,2")
    return seeds
