"""The short page of one class, for the person who is responsible for it: its sentence, errors and numbers, without charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imblens.report import (
    _class_table,
    _errors,
    _evidence,
    _html,
    _image_sheet,
    _lens_parts,
    _overlays,
    _page,
    _previews,
)

if TYPE_CHECKING:
    from imblens.report._data import AuditFields

SHOWN = 24  # errors without a script


def class_html(audit: AuditFields, stated: Mapping[str, Any]) -> str:
    """Return the page of the class of interest.

    Args:
        audit: with a class of interest.
        stated: its summary.
    """
    run, name = audit.run, audit.of or ""
    found = _errors.rows(audit)
    own = [row for row in found if row["class"] == name]
    typical = _lens_parts.prototypes(audit.findings).get(name, [])
    wanted = [*(("train", str(row["prototype"])) for row in typical), *_errors.wanted_images(own)]
    sheet, others = _image_sheet.sheet(run, wanted), _previews.previews(run, wanted)
    groups = [group for group in _evidence.gallery(audit, sheet, others) if group["name"] == name]
    rows = _errors.static_rows(audit, [name], own, sheet, others, most=SHOWN)
    sections = [
        {"id": _html.anchor(lens), "name": lens, "question": text["question"], "stated": text["lines"]}
        for lens, text in stated["lenses"].items()
        if lens != _lens_parts.ERRORS
    ]
    in_full = _evidence.in_full(audit, sections, groups)
    card = _class_table.cards(stated, [name])[0]
    contents = [{"id": "lens-errors", "text": "Errors"}] if rows else []
    contents += [{"id": f"{part['id']}-of", "text": _html.heading(part["name"])} for part in in_full["parts"]]
    return _page.render(
        "class.html",
        figures=[],
        data={
            "classes": list(run.classes),
            "of": name,
            "images": sheet.data(),
            "previews": others.data(),
            "key": _errors.key(audit),
            "errors": _errors.data(audit, own, only=name),
        },
        names=run.classes,
        live=False,
        sheet=sheet,
        maps_key=_overlays.KEY,
        multilabel=stated["task"] == "multilabel",
        title=f"imblens: {name}",
        subtitle=name,
        eyebrow=stated["title"],
        headline=stated["headline"],
        why=stated["reason"],
        card=card,
        errors=rows,
        in_full=in_full,
        contents=[*contents, {"id": "reproduction", "text": "Reproduction"}],
        facts=list(stated["reproduction"]["settings"].items()),
        versions=list(stated["reproduction"]["versions"].items()),
        files=list(stated["reproduction"]["sha256"].items()),
        command=stated["commands"]["audit"],
    )
