"""imblens audit: every lens on a run, on arrays or on a table, as tables, figures and one offline report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import typer

from imblens.cli import _tables as tables
from imblens.cli._explain import explain, named
from imblens.cli._names import following, unused
from imblens.cli._shared import (
    Address,
    Force,
    Json,
    Open,
    Papers,
    address,
    begin,
    check_engine,
    emit,
    examples,
    progress,
    show,
    shown,
)
from imblens.errors import InputError, MissingError, did_you_mean

if TYPE_CHECKING:
    from imblens.report import Audit
    from imblens.run import Run

LONG_SEARCH = 30_000  # training instances from which the time left of the search is shown
EXAMPLES = examples(
    "imblens audit RUN",
    "imblens audit ARRAYS.npz --lens archetypes",
    "imblens audit TABLE.parquet --features embedding --label y --split split",
    "imblens audit --explain archetypes",
)


def command(
    source: Path = typer.Argument(..., metavar=tables.SOURCE, help="A captured run, an archive of arrays, or a table."),
    out: Path | None = typer.Option(
        None, "--out", metavar="DIR", help="Folder to write to; by default RUN-audit, beside the run."
    ),
    lens: list[str] = typer.Option(
        [], "--lens", metavar="NAME", help="Only this lens; may be repeated.", autocompletion=named("lenses")
    ),
    named_classes: list[str] = typer.Option(
        [],
        "--class",
        metavar="NAME",
        help="Report on this class first and in full; also write class.html, a short page about it.",
    ),
    prototypes: int = typer.Option(1, "--prototypes", metavar="N", min=1, help="Prototypes per class and archetype."),
    draw_map: bool | None = typer.Option(
        None, "--map/--no-map", help="Compute the embedding map (t-SNE); by default only up to 5,000 instances."
    ),
    approximate: bool | None = typer.Option(
        None,
        "--approximate/--exact",
        help="Neighbour search; by default exact up to 300,000 instances.",
    ),
    engine: str = typer.Option(
        "local",
        "--engine",
        metavar="local|ray",
        help="Compute statistics over the parts of a large run in this process, or in Ray tasks.",
    ),
    deploy: list[Path] = typer.Option(
        [],
        "--deploy",
        metavar="PATH",
        help="Add to the report what estimate or collect wrote (a folder), gate --json (a file), or rules of predict --save; "
        "may be repeated.",
    ),
    address: str | None = Address,
    columns: tables.TableOptions = tables.TableOptions(),
    task: str | None = tables.Task,
    papers: bool = Papers,
    gallery: bool = typer.Option(
        False, "--gallery", help="Also write gallery/: the errors at native size, a page for each class."
    ),
    explain_lens: str | None = explain("lenses"),
    open_report: bool = Open,
    force: bool = Force,
    as_json: bool = Json,
) -> None:
    """Report per class how accurate it is, why it fails, with what certainty, and what to try."""
    from imblens.lenses import all_lenses, find_lens, lens_info
    from imblens.report import QUICK_MAP, audit, drawing_ahead, room_to_draw
    from imblens.run import engine as computing

    room_to_draw()
    for name in lens:
        find_lens(name)
    check_engine(engine, address)
    if len(named_classes) > 1:
        raise InputError(
            f"--class was given {len(named_classes)} times; a report has one class of interest.",
            hint="Run the command once for each class, with a different --out.",
        )
    of = named_classes[0] if named_classes else None
    run = tables.load(source, columns, task=task)
    if of is not None and of not in run.classes:
        raise MissingError(f"no class {of!r} in {source}.", hint=did_you_mean(of, run.classes))
    sections = _sections(run, deploy)
    out = out or beside(source)
    begin(out, force=force)
    n_instances = sum(len(split) for split in run.splits.values())
    skip: str | dict[str, str] = {}
    if lens and draw_map:
        lens = [*lens, "embedding_map"]
    if draw_map is False and (not lens or "embedding_map" in lens):
        skip = "embedding_map"
    elif draw_map is None and not lens and n_instances > QUICK_MAP:
        skip = {"embedding_map": f"the map of {n_instances:,} instances takes long; add --map to compute it."}
    options = {"archetypes": {"prototypes": prototypes}} if prototypes > 1 else None
    with drawing_ahead(run) as on_finding:
        if on_finding is None:
            with suppress(ImportError):
                import_module("narwhals.stable")  # altair and scikit-learn need it: imports in two threads can deadlock
            Thread(target=_get_ready_to_draw, daemon=True).start()  # while the lenses compute
        with computing(engine, address):
            if approximate is not None or len(run.train) > LONG_SEARCH:
                k = max(lens_info(one).neighbours for name, one in all_lenses().items() if not lens or name in lens)
                if k:
                    run.neighbours(k, approximate=approximate, progress=progress)
            found = audit(
                run,
                lenses=lens or None,
                of=of,
                options=options,
                on_step=progress,
                on_finding=on_finding,
                skip=skip,
                deployment=sections,
            )
        report = found.save(out, force=True, papers=papers, gallery=_native(found) if gallery else False)
    emit(
        result(found, report),
        [*ending(found, report), to_try(found, source, following(source), columns.words(source))],
        as_json=as_json,
    )
    if open_report:
        show(report)


def beside(source: Path) -> Path:
    """Return the folder that an audit is written to by default: beside the run, archive or table.

    >>> beside(Path("runs/first")).as_posix(), beside(Path("arrays.npz")).as_posix()
    ('runs/first-audit', 'arrays-audit')
    """
    source = source if source.name else source.resolve()
    return source.with_name(f"{source.name if source.is_dir() else source.stem}-audit")


def _native(found: Audit) -> Any:
    """What a gallery shows; states where it is from."""
    if "errors" not in found.findings:
        progress(f"no gallery: {found.skipped.get('errors', 'the lens errors was not asked for.')}")
        return False
    from imblens.workflows import native_images

    find, note = native_images(found.run)
    progress(note)
    return find or True


def _sections(run: Run, paths: Sequence[Path]) -> list[dict[str, Any]]:
    if not paths:
        return []
    from imblens.decisions import read_section

    return [read_section(run, path) for path in paths]


def _get_ready_to_draw() -> None:
    from imblens.report import warm_up

    import_module("altair")
    warm_up()


def result(found: Audit, report: Path) -> dict[str, Any]:
    """Return the audit as JSON values."""
    from imblens.report import assumptions

    return {
        "report": report,
        "verdict": found.verdict(),
        "assumptions": assumptions(found.run),
        "lenses": {name: finding.summary for name, finding in found.findings.items()},
        "skipped": found.skipped,
    }


def ending(found: Audit, report: Path) -> list[str]:
    """Return the verdict, what was assumed and skipped, the path of the report, and on a terminal its address."""
    from imblens.report import assumptions

    assumed = [f"assumed: {note}" for note in assumptions(found.run)]
    skipped = [f"skipped {reason}" for reason in found.skipped.values()]
    of = [] if found.of is None else [f"report on {found.of} alone: {report.with_name('class.html')}"]
    return [*found.verdict(), *assumed, *skipped, f"report: {report}", *of, *address(report)]


def to_try(found: Audit, source: Path, out: str | Path, columns: Sequence[str] = ()) -> str:
    """Return the next command, with the treatment that the report names as the next, or its advice in words.

    Args:
        found: the audit.
        source: what was audited.
        out: where the treated run goes.
        columns: the options that name the columns of a table.
    """
    from imblens.lenses.diagnosis import OWN_THRESHOLD
    from imblens.report import next_treatment
    from imblens.treatments import treatment_names

    treatment = next_treatment(found)
    if treatment == OWN_THRESHOLD and not columns:
        rules, out = unused("rules.safetensors"), unused("predictions.parquet")
        predict = shown("imblens", "predict", source, "NEW.npz", "--thresholds", "f1", "--save", rules, "--out", out)
        return f"next: {predict}"
    if treatment not in treatment_names():
        return f"next: {treatment}"
    return f"next: {shown('imblens', 'treat', source, *columns, '--with', treatment, '--out', out)}"
