"""Single instances as a page shows them: prototypes, suspect labels beside their neighbours, points of the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imblens.base.wording import percent
from imblens.report import _errors, _html, _lens_parts

if TYPE_CHECKING:
    from imblens.report._data import AuditFields
    from imblens.report._image_sheet import Key, Sheet
    from imblens.report._previews import Previews

GALLERY_ENDS = 16  # of many classes, so many of the largest and the smallest have prototypes in the page
ROWS_IN_FULL = 12  # of a table, for the class of interest


def wanted_images(
    audit: AuditFields, suspects: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]] = ()
) -> list[Key]:
    """Return the images that the page can show, the most important first."""
    near = [("train", name) for row in suspects for name in (row["id"], *(other for other, _ in row["near"]))]
    typical = [("train", str(row["prototype"])) for rows in _prototypes(audit).values() for row in rows]
    return [*typical, *near, *_errors.wanted_images(errors), *_lens_parts.map_points(audit.findings)]


def gallery(audit: AuditFields, sheet: Sheet, others: Previews) -> list[dict[str, Any]]:
    """The prototypes of each class that have a preview: of very many classes, those of the largest and the smallest."""
    several = _lens_parts.several_prototypes(audit.findings)
    groups = []
    for name, rows in _prototypes(audit).items():
        images = []
        for row in rows:
            at = sheet.at("train", str(row["prototype"]))
            preview = others.at("train", str(row["prototype"]))
            if at is not None or preview is not None:
                kind, share = row["archetype"], percent(row["share"])
                caption = f"{kind}, for {share}" if several else f"{kind} {share}"
                alt = f"{'A' if several else 'The most'} typical {kind} training {'image' if at else 'instance'} of {name}"
                images.append({"at": at, "preview": preview, "alt": alt, "caption": caption})
        if images:
            groups.append({"name": name, "images": images})
    return groups


def shown(suspects: Sequence[Mapping[str, Any]], sheet: Sheet, others: Previews) -> list[dict[str, Any]]:
    """Suspect labels with the places of their images and of their neighbours' images in the sheet."""
    rows = []
    for row in suspects:
        near = [{"id": name, "label": label, **_place(name, sheet, others)} for name, label in row["near"]]
        rows.append({**row, **_place(row["id"], sheet, others), "near": near, "score": f"{row['score']:.2f}"})
    return rows


def _place(name: str, sheet: Sheet, others: Previews) -> dict[str, Any]:
    return {"at": sheet.at("train", name), "preview": others.at("train", name)}


def _prototypes(audit: AuditFields) -> dict[str, list[dict[str, Any]]]:
    kept = set(ends(audit, _errors.MANY if audit.run.n_classes <= _errors.MANY else GALLERY_ENDS))
    return {name: rows for name, rows in _lens_parts.prototypes(audit.findings).items() if name in kept}


def ends(audit: AuditFields, most: int) -> list[str]:
    """Every class, largest first; of more than `most` the largest and smallest halves, and the class of interest."""
    counts = audit.run.train.class_counts
    order = [audit.run.classes[i] for i in sorted(range(len(counts)), key=lambda i: -counts[i])]
    if len(order) <= most:
        return order
    kept = order[: most // 2] + order[-(most // 2) :]
    return kept + ([audit.of] if audit.of is not None and audit.of not in kept else [])


def in_full(
    audit: AuditFields, sections: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """All results for the class of interest: the line and a small table of each lens, and its images."""
    name = audit.of or ""
    parts = []
    for section in sections:
        lines = [section["stated"][name]] if name in section["stated"] else []
        tables = []
        for title, table in audit.findings[section["name"]].tables.items():
            of = next((column for column in ("class", "reference") if column in table.columns), None)
            if of is None or title == _lens_parts.MAP:
                continue
            rows = table[table[of] == name].drop(columns=of).dropna(axis="columns", how="all")
            by = _lens_parts.STRONGEST_FIRST.get(title)
            if by in rows.columns:
                rows = rows.sort_values(by, ascending=False, kind="stable")
            if len(rows) and len(rows.columns):
                part = _html.table_html(rows.head(ROWS_IN_FULL))
                tables.append({"title": _html.heading(title), "html": part, "all": len(rows)})
        if lines or tables:
            parts.append({**section, "lines": lines, "tables": tables})
    images = [image for group in groups if group["name"] == name for image in group["images"]]
    return {"name": name, "parts": parts, "images": images, "rows": ROWS_IN_FULL}
