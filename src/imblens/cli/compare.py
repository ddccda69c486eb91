"""imblens compare: two or more runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from imblens.cli import _tables as tables
from imblens.cli._explain import explain
from imblens.cli._names import unused
from imblens.cli._shared import Force, Json, Open, Out, Papers, address, begin, emit, examples, rows, show, shown
from imblens.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from imblens.run import Run

EXAMPLES = examples(
    "imblens compare RUN RUN2 --out comparison",
    "imblens compare RUN* --out comparison --no-map",
    "imblens compare RUN RUN2 --map --class cat --class dog --out comparison",
)


def command(
    sources: list[Path] = typer.Argument(
        ..., metavar="RUN RUN ...", help="Two runs or more, archives or tables; the first is the reference."
    ),
    out: Path = Out,
    of: list[str] = typer.Option(
        [],
        "--class",
        metavar="NAME",
        help="Show the errors of this class and the features it shares, in every run; may be repeated. With two or more, "
        "maps show only these classes.",
    ),
    draw_map: bool | None = typer.Option(
        None,
        "--map/--no-map",
        help="Embedding maps of all runs with common axes; by default only up to 5,000 instances.",
    ),
    columns: tables.TableOptions = tables.TableOptions(),
    papers: bool = Papers,
    explain_lens: str | None = explain("lenses"),
    open_report: bool = Open,
    force: bool = Force,
    as_json: bool = Json,
) -> None:
    """Report what changed from the first run to the others, per class, with intervals."""
    from imblens.comparison import check_classes
    from imblens.report import QUICK_MAP, compare, room_to_draw

    room_to_draw()
    if len(sources) < 2:
        raise InputError("compare got one run.", hint="Give two or more: imblens compare RUN RUN2 --out DIR")
    runs = [tables.load(source, columns, mixed=True) for source in sources]
    names = [source.stem for source in sources]
    if len(set(names)) < len(names):
        names = [str(source) for source in sources]
    check_classes(of, runs, names)
    begin(out, force=force)
    n_instances = sum(len(split) for split in runs[0].splits.values())
    found = compare(runs, names=names, draw_map=n_instances <= QUICK_MAP if draw_map is None else draw_map, of=of)
    report = found.save(out, force=True, papers=papers)
    table = found.tables["comparison_summary"]
    emit(
        {"report": report, "verdict": found.verdict(), "summary": table.to_dict("records")},
        [
            *found.verdict(),
            *rows(table),
            f"report: {report}",
            *address(report),
            f"next: {shown(*_next(sources, runs, table, columns))}",
        ],
        as_json=as_json,
    )
    if open_report:
        show(report)


def _next(
    sources: list[Path], runs: Sequence[Run], table: pd.DataFrame, columns: tables.TableOptions
) -> list[str | Path]:
    """Suggest auditing the run that gained most; where none gained clearly, a treatment, or data if one was tried."""
    change = table["change"].iloc[1:][table["change_low"].iloc[1:] > 0]
    if not change.empty:
        best = sources[int(change.idxmax())]
        return ["imblens", "audit", best, *columns.words(best), "--out", unused(f"{best.with_suffix('')}-audit")]
    from imblens.lenses.diagnosis import USUAL

    words: list[str | Path] = [sources[0], *columns.words(sources[0])]
    if any("treatment" in run.meta for run in runs):
        return ["imblens", "collect", *words, "--out", unused("collect")]
    usual = USUAL[runs[0].task]
    return ["imblens", "treat", *words, "--with", usual, "--out", unused(f"{sources[0].with_suffix('')}-{usual}")]
