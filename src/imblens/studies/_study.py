"""Studies by name or file, and running them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from imblens.base.files import write_bytes, write_text
from imblens.base.locks import exclusive
from imblens.errors import ImblensError, MissingError, did_you_mean
from imblens.studies import (
    _described,
    _fragility,
    _fragility_claims,
    _grid,
    _networks,
    _planted,
    _planting,
    _tables,
)
from imblens.studies._figures import FIGURES
from imblens.studies._jobs import Job, do, open_cells
from imblens.studies._panels import Drawing, Results
from imblens.studies._store import Store

Tables = Callable[["pd.DataFrame"], dict[str, "pd.DataFrame"]]
Figure = Callable[[Store, "pd.DataFrame"], Drawing | None]


@dataclass(frozen=True)
class Study:
    """The jobs of a study, and how their results are summarised.

    Attributes:
        name, question, paper: for people.
        spec: plain JSON: everything that decides the results.
        jobs: independent of each other.
        tables: from one row per cell to named tables; the first is the study's.
        shown: from named tables to Markdown.
        missing: data sets without a source, with what to download; `tables` has a row for each.
        figures: by name, how each is drawn from the finished cells.

    Example:
        >>> study = find_study("eos-table5", quick=True, data={"CIFAR-10": "digits"})
        >>> study.name, len(study.jobs) > 0, sorted(study.missing)
        ('eos-table5', True, [])
    """

    name: str
    question: str
    paper: str
    spec: Mapping[str, Any]
    jobs: Sequence[Job]
    tables: Tables
    shown: Callable[[Mapping[str, pd.DataFrame]], str]
    missing: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """Results of a study.

    Attributes:
        results: one row for every finished cell.
        tables: by name; saved as tables/<name>.csv.
        text: the tables as Markdown; saved as table.md.
        path: the folder.

    Example:
        >>> import tempfile
        >>> result = run_study(find_study("iml-table1", data={"CIFAR-10": "digits"}), tempfile.mkdtemp(), workers=1)
        >>> (result.path / "table.md").read_text(encoding="utf-8") == result.text
        True
    """

    results: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    text: str
    path: Path


def study_names() -> list[str]:
    """Return the names of the built-in studies.

    Example:
        >>> "long-tail" in study_names()
        True
    """
    return list(study_descriptions())


def study_descriptions() -> dict[str, str]:
    """Return one line on every built-in study.

    Example:
        >>> list(study_descriptions()) == study_names()
        True
    """
    found = {
        "diagnosis": _planted.QUESTION,
        "fragility": f"{_fragility.QUESTION} ({_fragility.PAPER})",
        "iml-table1": f"{_described.QUESTION} ({_described.PAPER})",
    }
    for name, path in _grid.built_in().items():
        question, paper = _grid.described(path)
        found[name] = f"{question} ({paper})" if paper else question
    return found


def study_file(name: str) -> str:
    """Return the TOML file of a built-in study; "" for one that is not a grid.

    Example:
        >>> "[[data]]" in study_file("eos-table2")
        True
    """
    path = _grid.built_in().get(name)
    return "" if path is None else path.read_text(encoding="utf-8")


def find_study(
    name: str | Path,
    *,
    data: Mapping[str, str] | None = None,
    quick: bool = False,
    seeds: Sequence[int] | None = None,
    cuts: Sequence[int] | None = None,
    arrays: Sequence[str | Path] = (),
) -> Study:
    """Return a study.

    Args:
        name: of `study_names()`, or a TOML file; see docs/studies.md.
        data: where each data set is: {"CIFAR-10": "folder"}; with "" as name where the study has one set only.
        quick: the size for two cores.
        seeds, cuts: instead of the study's own.
        arrays: stored features (ARRAYS.npz or run folders) in which `diagnosis` plants causes, instead of drawn
            shapes; with `data` it plants them in those image sets.

    Raises:
        MissingError: no such study or data set, or no data to run on.
        InputError: the file is not a study.

    Example:
        >>> study = find_study("eos-gap", quick=True, data={"CIFAR-10": "digits"})
        >>> study.name
        'eos-gap'
    """
    text = str(name)
    if arrays and text != "diagnosis":
        raise MissingError(
            f"{text} reads no stored features.", hint="Leave out --arrays, or run `imblens study diagnosis`."
        )
    if cuts and text in ("diagnosis", "fragility", "iml-table1"):
        raise MissingError(f"{text} does not subsample training images.", hint="Leave out --cuts.")
    if text == "fragility":
        return _fragile(data or {}, quick=quick, seeds=seeds)
    if text == "diagnosis":
        if data and arrays:
            raise MissingError("--data and --arrays cannot be combined.", hint="Run two studies, one with each.")
        return _of_planted(arrays, data or {}, quick=quick, seeds=seeds)
    if text == "iml-table1":
        if seeds:
            raise MissingError("iml-table1 trains nothing, so it has no seeds.", hint="Leave out --seeds.")
        return _sets(data or {}, quick=quick)
    known = _grid.built_in()
    path = known.get(text, Path(text))
    if text not in known and path.suffix != ".toml":
        hint = did_you_mean(text, study_names())
        raise MissingError(f"there is no study {text!r}.", hint=f"{hint} Or give a TOML file.")
    grid = _grid.read(
        path,
        quick=quick,
        sources=data or {},
        seeds=list(seeds) if seeds else None,
        cuts=list(cuts) if cuts else None,
    )
    missing = {one.name: one.needs for one in grid.data if one.source is None}
    group = ["data", *grid.varied, "treatment"]

    def tables(results: pd.DataFrame) -> dict[str, pd.DataFrame]:
        found = {"study": _tables.summarise(results, group, grid.published, missing)}
        if grid.claims:
            measure = _tables.measures_of(results, group)[0]
            claims = _tables.compare(results, grid.claims, group, measure)
            if len(claims):
                found["claims"] = claims
        return found

    def shown(found: Mapping[str, pd.DataFrame]) -> str:
        parts = [_tables.as_markdown(found["study"], group)]
        if "claims" in found:
            parts.append("Pair by pair (same network, same seed):\n\n" + _tables.plain_markdown(found["claims"]))
        return "\n\n".join(parts)

    return Study(
        name=grid.name,
        question=grid.question,
        paper=grid.paper,
        spec=_spec(grid, quick=quick),
        jobs=grid.jobs(),
        tables=tables,
        shown=shown,
        missing=missing,
        figures={name: partial(_drawing, grid, name) for name in grid.figures},
    )


def _drawing(grid: _grid.Grid, name: str, store: Store, results: pd.DataFrame) -> Drawing | None:
    """Draw a figure of a grid from its finished cells."""
    kind, group = FIGURES[name], ["data", *grid.varied, "treatment"]
    rows = store.details([key for job in grid.jobs() for key in job.cells], kind.details) if kind.details else results
    if not len(rows):
        return None
    paper = _tables.read_paper(grid.published, group) if grid.published else pd.DataFrame()
    first = [
        job for job in grid.jobs() if job.seed == grid.seeds[0] and job.cut in (None, _networks.GIVEN, *grid.cuts[:1])
    ]
    networks = [(job.shown_options, store.network(job.key())) for job in first]
    known = [(key, folder) for key, folder in networks if (folder / "run.json").exists()]
    return kind.draw(Results(rows, group, tuple(grid.classes), paper, known))


def _spec(grid: _grid.Grid, *, quick: bool) -> dict[str, Any]:
    data = [one.model_dump(exclude=None if one.train else {"train"}) for one in grid.data]
    left = {"quick", "figures", "classes", *([] if grid.cuts else ["cuts"])}  # figures change no result
    return {**grid.model_dump(exclude=left), "data": data, "quick": quick}


def _sets(data: Mapping[str, str], *, quick: bool) -> Study:
    """Return the study that describes the data and networks of `iml-table2`."""
    grid = _grid.read(_grid.built_in()["iml-table2"], quick=quick, sources=data, name="iml-table1")
    missing = {one.name: one.needs for one in grid.data if one.source is None}
    return Study(
        name="iml-table1",
        question=_described.QUESTION,
        paper=_described.PAPER,
        spec={**_spec(grid, quick=quick), "name": "iml-table1"},
        jobs=[_described.Described(one, {**grid.train, **one.train}) for one in grid.data if one.source is not None],
        tables=lambda results: _described.tables(results, missing),
        shown=_described.shown,
        missing=missing,
    )


def _fragile(data: Mapping[str, str], *, quick: bool, seeds: Sequence[int] | None) -> Study:
    jobs = _fragility.jobs(data, quick=quick, seeds=seeds)
    sets = _fragility.sets(data, quick=quick)
    missing = {own.name: own.needs for own, _ in sets if own.source is None}
    return Study(
        name="fragility",
        question=_fragility.QUESTION,
        paper=_fragility.PAPER,
        spec={
            "name": "fragility",
            "quick": quick,
            "data": [[one.model_dump() for one in pair] for pair in sets],
            "cells": [cell for job in jobs for cell in job.cells],
        },
        jobs=jobs,
        tables=lambda results: _fragility_claims.tables(results, missing),
        shown=_fragility_claims.shown,
        missing=missing,
    )


def _of_planted(
    arrays: Sequence[str | Path], data: Mapping[str, str], *, quick: bool, seeds: Sequence[int] | None
) -> Study:
    where = _planting.planting(arrays, data)
    given = [arrays] if arrays else [data] if data else []
    jobs = where.jobs(*given, quick=quick, seeds=seeds)
    return Study(
        name="diagnosis",
        question=where.QUESTION,
        paper="",
        spec={"name": "diagnosis", "quick": quick, "cells": [cell for job in jobs for cell in job.cells]},
        jobs=jobs,
        tables=where.tables,
        shown=where.shown,
    )


@exclusive
def run_study(
    study: Study,
    out: str | Path,
    *,
    workers: int | None = None,
    networks: str | Path | None = None,
    force: bool = False,
    progress: Callable[[str], object] = lambda line: None,
) -> Result:
    """Run the jobs that are not finished, and summarise.

    An interrupted study resumes when it is started again with the same settings and folder: every finished cell is a
    file of its own, and a network in training resumes after its last epoch.

    Args:
        study: see `find_study`.
        out: its folder.
        workers: processes; default: one per core, each with one thread (small networks gain little from a second
            one), or a single one where there is a GPU.
        networks: folder of trained networks; default: `out`/networks. Studies that share it train each network once.
        force: write into a folder that holds something else.
        progress: called with a line of text as jobs are finished.

    Returns:
        The results; also written: results.csv (one row for every finished cell), tables/, table.md, study.json,
        figures/ (SVG, PNG and PDF as wide as a column of a page, with what they draw in tables/figure_NAME.csv), and
        sheets of synthetic images in images/ where networks were trained with them.

    Raises:
        InputError: `out` holds another study, or a network cannot be trained, or balanced in half of this machine's memory.

    Example:
        >>> import tempfile
        >>> study = find_study("iml-table1", data={"CIFAR-10": "digits"})  # describes data and networks, trains nothing
        >>> result = run_study(study, tempfile.mkdtemp(), workers=1)
        >>> list(result.tables), sorted(path.name for path in result.path.glob("*.*"))
        (['study'], ['results.csv', 'study.json', 'table.md'])
    """
    store = Store.open(Path(out), study.spec, networks=None if networks is None else Path(networks), force=force)
    for name, needs in study.missing.items():
        progress(f"left out: {name}. It needs: {needs}")
    _networks.check_memory(job for job in study.jobs if open_cells(job, store))
    try:
        do(study.jobs, store, workers=_workers() if workers is None else workers, progress=progress)
    finally:
        results = store.frame([key for job in study.jobs for key in job.cells])
        if len(results):
            write_text(store.folder / "results.csv", results.to_csv(index=False))
    if "failed" in results and results["failed"].notna().all():
        raise ImblensError(f"no cell of {study.name} could be measured: {results['failed'].iloc[0]}")
    tables = study.tables(results)
    for name, table in tables.items():
        write_text(store.folder / "tables" / f"{name}.csv", table.to_csv(index=False))
    lines = [f"# {study.name}", study.question, study.shown(tables)]
    lines += _figures(study, store, results)
    lines += _images(study.jobs, store)
    text = "\n\n".join(line for line in lines if line) + "\n"
    write_text(store.folder / "table.md", text)
    return Result(results=results, tables=tables, text=text, path=store.folder)


def open_jobs(
    study: Study, out: str | Path, *, networks: str | Path | None = None, force: bool = False
) -> dict[str, int]:
    """Return the jobs of a study that are not finished in `out`, with how many cells each has left; writes nothing.

    Raises:
        InputError: `out` holds another study, or over-sampling for one of its networks needs too much memory.
    """
    store = Store.peek(Path(out), study.spec, networks=None if networks is None else Path(networks), force=force)
    left = {job.label: len(open_cells(job, store)) for job in study.jobs}
    _networks.check_memory(job for job in study.jobs if left[job.label])
    return {label: n for label, n in left.items() if n}


def _figures(study: Study, store: Store, results: pd.DataFrame) -> list[str]:
    """Write figures/NAME.svg, .png and .pdf with tables/figure_NAME.csv, and return a line of Markdown for each."""
    from imblens.report import column_figure

    lines = []
    for name, draw in study.figures.items():
        drawing = draw(store, results)
        if drawing is None:
            continue
        write_text(store.folder / "tables" / f"figure_{name}.csv", drawing.table.to_csv(index=False))
        for kind, content in column_figure(name, drawing.chart).items():
            write_bytes(store.folder / "figures" / f"{name}.{kind}", content)
        lines.append(f"![{name.replace('_', ' ')}](figures/{name}.png)")
    return lines


def _images(jobs: Sequence[Job], store: Store) -> list[str]:
    """Copy the sheets of synthetic images into the folder, and return a line of Markdown for each."""
    found = {name: path for job in jobs for name, path in job.images(store).items()}
    lines = []
    for name, path in found.items():
        file = Path("images") / (re.sub(r"[^A-Za-z0-9.=]+", "-", name) + ".png")
        write_bytes(store.folder / file, path.read_bytes())
        lines.append(f"![Real images, a gap, synthetic ones: {name}]({file.as_posix()})")
    return lines


def _workers() -> int:
    import torch

    return 1 if torch.cuda.is_available() else os.cpu_count() or 1
