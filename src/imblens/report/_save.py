"""An audit as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imblens.base.csv_text import csv_text
from imblens.base.files import claim, write_atomic, write_bytes, write_text
from imblens.base.locks import exclusive
from imblens.base.plain import plain
from imblens.report._gallery import FOLDER, write_gallery
from imblens.report._instances import instances, write_instances
from imblens.report._lens_parts import ERRORS, MAPS
from imblens.report._tables import file_names, sweep, table_files

if TYPE_CHECKING:
    import pandas as pd

    from imblens.report._data import AuditFields
    from imblens.report._figures import Figure

PLATE = "prototypes"
COMPLETE = 200  # classes up to which tables of pairs are written as CSV, all rows
LARGEST = 1_000  # rows of such a table that a CSV holds for people, of more classes


@exclusive
def save_audit(
    audit: AuditFields,
    out: Path,
    *,
    force: bool,
    figures: bool,
    papers: bool = False,
    gallery: bool | Callable[[str, str], Any] = False,
) -> Path:
    """Write everything; see `Audit.save`."""
    claim(out, force=force)
    from imblens.report import _render
    from imblens.report._audit_page import report_html
    from imblens.report._overlays import overlays
    from imblens.report._summary import summary

    report = out / "report.html"
    report.unlink(missing_ok=True)  # an incomplete audit is never mistaken for a complete one
    stated = summary(audit)
    drawn = _render.figures(audit)
    names = table_files(audit.findings)
    tables = {file: audit.findings[lens].tables[table] for (lens, table), file in names.items()}
    largest = {
        file: pairs[table]
        for (lens, table), file in names.items()
        if table in (pairs := audit.findings[lens].info.pairs) and audit.run.n_classes > COMPLETE
    }
    write_tables(out, tables, largest)
    write_text(out / "findings.json", findings_json(audit, stated))
    write_instances(instances(audit), out / "instances.parquet")
    charts = file_names({key: key[1] for key in drawn}) if figures else {}
    write_figures(out, {file: drawn[key] for key, file in charts.items()})
    maps = overlays(audit.run, list(stated["lenses"][MAPS]["lines"])) if MAPS in audit.findings else []
    if papers:
        from imblens.report._papers import write_papers

        write_papers(out, {file: drawn[key] for key, file in file_names({k: k[1] for k in drawn}).items()}, tables)
    write_maps(out, maps, figures=figures, papers=papers)
    write_plate(out, audit, figures=figures, papers=papers)
    (out / "class.html").unlink(missing_ok=True)
    if audit.of is not None:
        from imblens.report._class_page import class_html

        write_text(out / "class.html", class_html(audit, stated))
    shown = 0
    if gallery is not False or (out / FOLDER).is_dir():
        wanted = gallery is not False and ERRORS in audit.findings
        shown = write_gallery(audit if wanted else None, out, gallery if callable(gallery) else None)
    write_text(report, report_html(audit, stated, drawn, gallery=shown > 0))
    return report


def write_tables(out: Path, tables: Mapping[str, pd.DataFrame], largest: Mapping[str, str] | None = None) -> None:
    """Write tables/<name>.csv, and remove tables of an earlier report that this one does not have.

    A table in `largest` (name -> column) is written as Parquet, and its 1,000 rows with the largest values of that column
    as CSV.
    """
    written = set()
    for file, table in tables.items():
        if largest and file in largest:
            write_atomic(out / "tables" / f"{file}.parquet", partial(table.to_parquet, index=False))
            written.add(f"{file}.parquet")
            table = table.sort_values(largest[file], ascending=False, kind="stable").head(LARGEST)
        write_text(out / "tables" / f"{file}.csv", csv_text(table))
        written.add(f"{file}.csv")
    sweep(out / "tables", written, (".csv", ".parquet"))


def write_figures(out: Path, figures: Mapping[str, Figure]) -> None:
    """Write figures/<name>.svg and .png, and remove those of an earlier report that this one does not have."""
    from imblens.report._figures import bitmaps

    for (file, figure), bitmap in zip(figures.items(), bitmaps(figures.values()), strict=True):
        write_text(out / "figures" / f"{file}.svg", figure.svg)
        write_bytes(out / "figures" / f"{file}.png", bitmap)
    sweep(out / "figures", {f"{file}{kind}" for file in figures for kind in (".svg", ".png")}, (".svg", ".png"))


def write_maps(out: Path, groups: Sequence[Mapping[str, Any]], *, figures: bool, papers: bool) -> None:
    """Write activation maps on images: figures/maps.svg and .png, and papers/maps as SVG, PDF and PNG of a column's width.

    Nothing where there are none. To be called after `write_papers`, which removes what it did not write.
    """
    if not groups or not (figures or papers):
        return
    import vl_convert

    from imblens.report._overlays import maps_svg
    from imblens.report._papers import COLUMN, files_of

    svg = maps_svg(groups)
    if figures:
        write_text(out / "figures" / "maps.svg", svg)
        write_bytes(out / "figures" / "maps.png", vl_convert.svg_to_png(svg, scale=1.5))
    if papers:
        for kind, content in files_of(svg, COLUMN).items():
            write_bytes(out / "papers" / f"maps.{kind}", content)


def write_plate(out: Path, audit: AuditFields, *, figures: bool, papers: bool) -> None:
    """Write prototypes.svg, .png and .pdf into figures/ and papers/; remove those of an earlier report without them."""
    from imblens.report._papers import COLUMN, files_of
    from imblens.report._plates import plate

    svg = plate(audit) if figures or papers else ""
    made = files_of(svg, COLUMN) if svg else {}
    for folder, wanted in (("figures", figures), ("papers", papers)):
        for kind in ("svg", "png", "pdf"):
            path = out / folder / f"{PLATE}.{kind}"
            if kind in made and wanted:
                write_bytes(path, made[kind])
            else:
                path.unlink(missing_ok=True)


def findings_json(audit: AuditFields, stated: Mapping[str, Any]) -> str:
    """The summary of the audit and those of all lenses, null where a value is unknown."""
    from imblens.base.versions import IMBLENS

    lenses: dict[str, Any] = {
        name: {"summary": plain(finding.summary), "skipped": None} for name, finding in audit.findings.items()
    }
    lenses |= {name: {"summary": {}, "skipped": reason} for name, reason in audit.skipped.items()}
    content = {"imblens": IMBLENS, "summary": stated, "lenses": lenses}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
