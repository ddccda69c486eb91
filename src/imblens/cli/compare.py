"""imblens compare: runs side by side through every lens."""

from __future__ import annotations

from pathlib import Path

import typer

from imblens.cli._shared import Force, Json, Out, Papers, emit, plain

EXAMPLES = "Examples:  imblens compare RUN RUN2 --out DIR"


def command(
    sources: list[Path] = typer.Argument(
        ..., metavar="RUN RUN ...", help="Two runs or more; the first is the reference."
    ),
    out: Path = Out,
    papers: bool = Papers,
    force: bool = Force,
    as_json: bool = Json,
) -> None:
    """Show what changed from the first run to the others: per class, with intervals."""
    from imblens.errors import InputError
    from imblens.report import compare
    from imblens.run import Run, claim

    if len(sources) < 2:
        raise InputError("compare got one run.", hint="Give two or more: imblens compare RUN RUN2 --out DIR")
    runs = [Run.load(source) for source in sources]
    claim(out, force=force)
    names = [source.stem for source in sources]
    if len(set(names)) < len(names):
        names = [str(source) for source in sources]
    found = compare(runs, names=names)
    report = found.save(out, force=True, papers=papers)
    table = found.tables["comparison_summary"]
    emit(
        {"report": report, "summary": plain(table.to_dict("records"))},
        [table.to_string(index=False, float_format=lambda value: f"{value:.3f}"), f"report: {report}"],
        as_json=as_json,
    )
