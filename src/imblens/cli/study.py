"""imblens study: a grid of data, networks and treatments, resumable, with the paper's table beside ours."""

from __future__ import annotations

from pathlib import Path

import typer

from imblens.cli._shared import Force, Json, emit, plain, progress
from imblens.errors import InputError

EXAMPLES = (
    "Examples:  imblens study eos-table2 --quick --data CIFAR-10=FOLDER --out DIR  |  imblens study mine.toml --out DIR"
)


def command(
    name: str = typer.Argument(..., metavar="FILE.toml|NAME", help="A study; see `imblens list studies`."),
    out: Path = typer.Option(..., "--out", metavar="DIR", help="Its folder; started again there, it goes on."),
    data: list[str] = typer.Option([], "--data", metavar="NAME=DATA", help="Where a data set is; may be repeated."),
    quick: bool = typer.Option(False, "--quick", help="The size for two cores instead of the paper's."),
    seeds: str | None = typer.Option(None, "--seeds", metavar="0,1,2", help="Instead of the study's own."),
    workers: int | None = typer.Option(
        None, "--workers", min=1, metavar="N", help="Processes; default: one a core, or one on a GPU."
    ),
    networks: Path | None = typer.Option(
        None, "--networks", metavar="DIR", help="Where trained networks are kept; studies may share it."
    ),
    force: bool = Force,
    as_json: bool = Json,
) -> None:
    """Run a study, or go on with it, and print its table: mean and spread over seeds, the paper's value beside ours."""
    from imblens.studies import find_study, run_study

    study = find_study(name, data=_sources(data), quick=quick, seeds=_seeds(seeds))
    result = run_study(study, out, workers=workers, networks=networks, force=force, progress=progress)
    tables = {key: plain(table.to_dict("records")) for key, table in result.tables.items()}
    emit(
        {"study": study.name, "out": out, "tables": tables},
        [result.text.rstrip(), "", f"results: {out / 'results.csv'}", f"table: {out / 'table.md'}"],
        as_json=as_json,
    )


def _sources(pairs: list[str]) -> dict[str, str]:
    """Read NAME=DATA; without a name it is meant for a study of one set."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, source = pair.partition("=")
        key, value = (name, source) if equals else ("", name)
        if not value:
            raise InputError(f"--data {pair!r} names no folder.", hint="Write --data NAME=FOLDER.")
        if key in found:
            raise InputError(f"--data gives {key or 'the set'} twice.", hint="Give it once.")
        found[key] = value
    return found


def _seeds(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        seeds = [int(piece) for piece in text.split(",")]
    except ValueError:
        seeds = [-1]
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds {text!r} is not a list of different whole numbers.", hint="Write --seeds 0,1,2")
    return seeds
