"""imblens gate: stop a run in which a class got worse."""

from __future__ import annotations

from pathlib import Path

import typer

from imblens.base.files import claim_file, write_text
from imblens.cli._names import unused
from imblens.cli._shared import Json, emit, examples, rows, shown
from imblens.errors import InputError

EXAMPLES = examples(
    "imblens gate RUN --against RUN0",
    "imblens gate RUN --against RUN0 --max-drop 2 --min-recall fracture=0.9 --junit gate.xml --markdown gate.md",
)
SHOWN = 40  # rows of the table that are printed; of a longer one, only those that failed


def command(
    source: Path = typer.Argument(..., metavar="RUN|ARRAYS.npz", help="The new run."),
    against: Path = typer.Option(..., "--against", metavar="RUN0", help="The reference run, or an archive of arrays."),
    max_drop: float = typer.Option(
        0.0, "--max-drop", metavar="POINTS", help="Tolerated drop of a class's recall, in percentage points."
    ),
    min_recall: list[str] = typer.Option(
        [], "--min-recall", metavar="CLASS=SHARE", help="Smallest recall of a class, 0 to 1; may be repeated."
    ),
    alpha: float = typer.Option(
        0.05, "--false-alarms", metavar="SHARE", help="Largest probability that an unchanged run fails by chance."
    ),
    calibration: bool = typer.Option(
        True,
        "--calibration/--no-calibration",
        help="Also fail where calibration got worse.",
    ),
    junit: Path | None = typer.Option(None, "--junit", metavar="FILE.xml", help="Write the table as JUnit XML."),
    markdown: Path | None = typer.Option(None, "--markdown", metavar="FILE.md", help="Write the table as Markdown."),
    force: bool = typer.Option(False, "--force", help="Overwrite the files."),
    as_json: bool = Json,
) -> None:
    """Compare a run with a reference; exit with code 3 where a class got worse beyond chance or a constraint is broken."""
    from imblens.decisions import constraints_of, gate
    from imblens.run import Run

    if not 0 <= max_drop < 100:
        raise InputError(
            f"--max-drop {max_drop:g} is not a valid number of points.", hint="Give 2 for two points, below 100."
        )
    minimum = constraints_of(min_recall, ends=True)
    run, reference = Run.load(source), Run.load(against)
    files = {path: kind for path, kind in ((junit, "junit"), (markdown, "markdown")) if path is not None}
    if junit is not None and junit == markdown:
        raise InputError(f"--junit and --markdown are both {junit}.", hint="Give each its own file.")
    for path in files:
        claim_file(path, force=force)
    names = (source.stem, against.stem) if source.stem != against.stem else (str(source), str(against))
    found = gate(
        run,
        reference,
        max_drop=max_drop / 100,
        min_recall=minimum,
        alpha=alpha,
        calibration=calibration,
        names=names,
    )
    for path, kind in files.items():
        write_text(path, found.junit() if kind == "junit" else found.markdown())
    table = found.table if len(found.table) <= SHOWN else found.table[found.table["result"] == "failed"]
    columns = ["class", "check", "count", "before", "after", "change", "p_value", "result"]
    emit(
        {
            "failed": found.failed,
            "checks": found.table.to_dict("records"),
            "notes": list(found.notes),
            "section": found.section(),
        },
        [
            *(rows(table[columns]) if len(table) else []),
            *found.lines(),
            *found.notes,
            *(f"{kind}: {path}" for path, kind in files.items()),
            f"next: {shown('imblens', 'compare', against, source, '--out', unused('comparison'))}",
        ],
        as_json=as_json,
    )
    if found.failed:
        raise typer.Exit(3)
