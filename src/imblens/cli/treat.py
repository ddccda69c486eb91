"""imblens treat: try a remedy on the stored features, in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from imblens.cli._shared import Force, Json, Out, emit, plain, progress, shown, step

EXAMPLES = "Examples:  imblens treat RUN --with eos --set k_neighbors=200 --out RUN2  |  imblens treat RUN --with best"


def command(
    source: Path = typer.Argument(..., metavar="RUN|ARRAYS.npz", help="A captured run, or an archive of arrays."),
    name: str = typer.Option(..., "--with", metavar="NAME", help="Treatment; see `imblens list treatments`."),
    settings: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="An option of the treatment; may be repeated."
    ),
    out: Path = Out,
    force: bool = Force,
    as_json: bool = Json,
) -> None:
    """Give a run a better head, and show accuracy per class before and after."""
    from imblens.run import Run, claim
    from imblens.treatments import parse_options

    options = parse_options(name, settings)
    run = Run.load(source)
    claim(out, force=force)
    better, table = treat_and_save(run, name, options, out)
    summary = dict(better.meta["treatment"])
    lines = _lines(table, summary)
    emit(
        {"run": out, "treatment": summary, "classes": plain(table.to_dict("records"))},
        [*lines, f"run: {out}", f"next: {shown('imblens', 'compare', source, out, '--out', 'comparison')}"],
        as_json=as_json,
    )


def treat_and_save(run: Any, name: str, options: dict[str, Any], out: Path) -> tuple[Any, Any]:
    """Treat `run`, save it to `out`, return it and the table of classes before and after."""
    from imblens.treatments import treat, treatment_table

    with step(f"treated with {name}"):
        better = treat(run, name, **options)
    better.save(out, force=True)
    for note in better.meta["treatment"].get("notes", []):
        progress(note)
    return better, treatment_table(run, better)


def _lines(table: Any, summary: dict[str, Any]) -> list[str]:
    if table is None or not len(table):
        return ["no test split: the effect cannot be shown."]
    return [table.to_string(index=False, float_format=lambda value: f"{value:.3f}")]
