"""The page of an audit: it renders the summary, and the charts, tables and images of the findings. It decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imblens.base.markdown import prose
from imblens.base.wording import counted
from imblens.lenses import HEADINGS, lens_page
from imblens.report import (
    _class_table,
    _errors,
    _evidence,
    _html,
    _image_sheet,
    _lens_parts,
    _overlays,
    _packing,
    _page,
    _previews,
    _render,
)
from imblens.report._class_table import ENDS, LEAST_ACCURATE, MANY_CLASSES
from imblens.report._label_verdict import enough_positives
from imblens.report._summary import summary
from imblens.report._synthetic import synthetic
from imblens.report._tables import table_files

if TYPE_CHECKING:
    from imblens.report._data import AuditFields
    from imblens.report._image_sheet import Sheet

LINES_SHOWN, LINES_MORE, LINES_OF_MANY = 4, 60, 4  # of a lens: at once, and behind a click (fewer of very many classes)
CARDS = 3
SHEETS = 8  # classes with a part of their own in print


def report_html(
    audit: AuditFields,
    stated: Mapping[str, Any] | None = None,
    drawn: _render.Drawn | None = None,
    *,
    gallery: bool = False,
) -> str:
    """Return the page.

    Args:
        audit: the audit.
        stated: its summary, where it is known already.
        drawn: its charts, where they are drawn already.
        gallery: whether errors at native size lie in the folder `gallery` beside the page.

    Example:
        >>> import numpy as np, imblens
        >>> y = np.repeat([0, 1], [30, 10])
        >>> run = imblens.Run.from_arrays(train=(np.eye(2)[y], y), test=(np.eye(2)[y], y, np.eye(2)[y]))
        >>> page = report_html(imblens.audit(run, lenses="errors"))
        >>> page[:15].lower()
        '<!doctype html>'
    """
    run = audit.run
    stated = summary(audit) if stated is None else stated
    drawn = _render.figures(audit) if drawn is None else drawn
    suspects = _lens_parts.suspects(run, audit.findings)
    errors = _errors.rows(audit)
    wanted = _evidence.wanted_images(audit, suspects, errors)
    sheet, others = _image_sheet.sheet(run, wanted), _previews.previews(run, wanted)
    groups = _evidence.gallery(audit, sheet, others)
    error_rows = _errors.static_rows(audit, stated["order"], errors, sheet, others)
    own: dict[str, dict[str, Any]] = {
        _lens_parts.ARCHETYPES: {"gallery": groups},
        _lens_parts.SUSPECTS: {"suspects": _evidence.shown(suspects, sheet, others)},
        _lens_parts.ERRORS: {"errors": error_rows, "at_native_size": gallery},
        _lens_parts.MAP: {"image_note": _image_note(sheet)},
        _lens_parts.ACCURACY: {"key_chart": True},
    }
    sections = [_section(audit, name, lens, drawn) | own.get(name, {}) for name, lens in stated["lenses"].items()]
    lines = {section["id"]: section.pop("rest") for section in sections}
    in_full = _evidence.in_full(audit, sections, groups) if audit.of is not None else None
    first = next(
        (section["figures"].pop(0) for section in sections if section["key_chart"] and section["figures"]), None
    )
    columns, rows = _class_table.table(stated, _errors.anchors(error_rows))
    by_class = {"lines": lines, "sentences": _sentences(stated)}  # only the script shows these
    made = synthetic(run)
    areas = [row["auroc"] for row in stated["class_table"] if row["multilabel"] and row["auroc"] is not None]
    mean = sum(areas) / len(areas) if areas else stated["mean_accuracy"]
    worst, first_names = _worst(stated) if areas else ("the least accurate classes", stated["order"])
    notable = [name for name in stated["need_help"] if name != audit.of]  # that one has its own section
    return _page.render(
        "report.html",
        figures=drawn.values(),
        data={
            "classes": list(run.classes),
            "of": audit.of or "",
            "images": sheet.data(),
            "previews": others.data(),
            "key": _errors.key(audit),
            **(_packed(rows, mean, by_class) if any(row["packed"] for row in rows) else by_class),
            "errors": _errors.data(audit, errors),
        },
        names=run.classes,
        sheet=sheet,
        preview_kind=others.kind,
        in_full=in_full,
        synthetic=made,
        title=f"imblens: {stated['title']}" if stated["title"] else "imblens audit",
        subtitle=stated["title"],
        eyebrow=_eyebrow(stated),
        class_order=stated["class_order"],
        assumptions=stated["assumptions"],
        headline=stated["headline"],
        why=stated["reason"],
        evidence_first=bool(areas) and audit.of is None,  # the headline is on all labels
        lead=" ".join(stated["statements"]),
        cards=_class_table.cards(stated, first_names[:CARDS]),
        cards_title=f"{audit.of}, and {worst}" if audit.of else worst[:1].upper() + worst[1:],
        by_area=bool(areas),
        on_paper=_on_paper(_class_table.cards(stated, notable[:SHEETS]), stated, groups),
        notable=len(notable),
        multilabel=stated["task"] == "multilabel",
        mean=_at(mean),
        first=first,
        classes=run.classes,
        maps_key=_overlays.KEY,
        columns=columns,
        rows=rows,
        archetypes=_archetype_key(audit, stated),
        measures=_measures(stated),
        ends=ENDS,
        worst=LEAST_ACCURATE,
        many=len(rows) > MANY_CLASSES,
        packed=sum(row["packed"] for row in rows),
        all_in=_with_all_classes(audit),
        lenses=sections,
        lines=lines,
        contents=_contents(audit, sections, in_full is not None, made is not None, bool(stated["assumptions"])),
        skipped=[(name, lens["question"], lens["reason"]) for name, lens in stated["skipped"].items()],
        deployment=stated["deployment"],
        command=stated["commands"]["audit"],
        **_made_of(stated),
    )


def _worst(stated: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Which labels the cards show, in words and in order: those that can be judged, where there are any."""
    rows = {row["class"]: row for row in stated["class_table"]}
    order, of = list(stated["order"]), stated["of"]
    judged = [name for name in order if not rows[name]["too_few"]]
    if not judged:
        return "the labels with most positives, too few to tell", order
    few = "" if len(judged) == len(rows) else f" of {len(judged)} with {enough_positives(stated['class_table'][0])}"
    return f"the labels ranked worst{few}", [name for name in order if name == of or name in judged]


def _made_of(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, versions and hashes of files, from which the audit can be repeated."""
    known = stated["reproduction"]
    return {
        "facts": [("task", stated["task"]), ("instances", _eyebrow(stated)), *known["settings"].items()],
        "versions": list(known["versions"].items()),
        "files": list(known["sha256"].items()),
    }


def _contents(
    audit: AuditFields, sections: Sequence[Mapping[str, Any]], in_full: bool, made: bool, assumed: bool
) -> list[dict[str, str]]:
    entries = [{"id": "classes", "text": "All classes"}]
    entries += [{"id": section["id"], "text": section["title"]} for section in sections]
    entries += [{"id": "in-full", "text": f"All results for {audit.of}"}] if in_full else []
    entries += [{"id": "synthetic", "text": "Synthetic images"}] if made else []
    entries += [{"id": "deploy", "text": "Before you deploy"}] if audit.deployment else []
    entries += [{"id": "skipped", "text": "Skipped analyses"}] if audit.skipped else []
    entries += [{"id": "assumed", "text": "What was assumed"}] if assumed else []
    return [*entries, {"id": "reproduction", "text": "Reproduction"}]


def _sentences(stated: Mapping[str, Any]) -> dict[str, list[str]]:
    """Sentence and reason of each class, for the class that a reader chooses; of very many classes, of those with a reason."""
    rows = stated["class_table"]
    return {
        row["class"]: [row["sentence"], row["reason"]] for row in rows if len(rows) <= MANY_CLASSES or row["reason"]
    }


def _packed(rows: Sequence[Mapping[str, Any]], mean: float | None, by_class: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of the table of classes that the page does not hold as HTML, with their places, and the sentences of classes."""
    places = [place for place, row in enumerate(rows) if row["packed"]]
    written = _page.class_rows([rows[place] for place in places], [row["name"] for row in rows], _at(mean))
    return {"more": _packing.deflated({"rows": written, "places": places, **by_class})}


def _at(mean: float | None) -> str | None:
    """A share as a position on a ruler."""
    return None if mean is None else f"{100 * mean:.2f}"


def _with_all_classes(audit: AuditFields) -> str:
    """The file with a row for each class, where there is one."""
    file = table_files(audit.findings).get((_lens_parts.ACCURACY, _lens_parts.ACCURACY))
    return f"tables/{file}.csv" if file else ""


def _image_note(sheet: Sheet) -> str:
    if not sheet.left_out:
        return ""
    return (
        f"This page holds {len(sheet.places):,} images, those of misclassified and outlying instances first; "
        f"{sheet.left_out:,} more did not fit."
    )


def _eyebrow(stated: Mapping[str, Any]) -> str:
    splits = stated["splits"]
    of = {name: f" of {counted(n, stated['group'])}" for name, n in stated["groups"].items()}
    held = f"{splits['train']:,} training"
    if "test" not in splits:
        held += f" instances{of.get('train', '')}, no test split"
    elif of:
        held += f" instances{of.get('train', '')} and {splits['test']:,} test instances{of.get('test', '')}"
    else:
        held += f" and {splits['test']:,} test instances"
    return f"{held}, {stated['n_classes']} classes, {stated['n_features']:,} features"


def _section(audit: AuditFields, name: str, lens: Mapping[str, Any], drawn: _render.Drawn) -> dict[str, Any]:
    finding = audit.findings[name]
    files = table_files(audit.findings)
    tables = {
        table: _html.shown(frame, table, files[name, table], audit.run.n_classes)
        for table, frame in finding.tables.items()
        if (name, table) != (_lens_parts.ERRORS, "errors")  # its rows are shown with their images
    }
    lines = lens["lines"]
    sentence = " ".join(list(lines.values())[:3])
    figures: list[_page.Plot] = []
    for (of, chart), figure in drawn.items():
        if of == name:
            own = tables.pop(chart, None)
            if own is None and tables and not figures:
                own = tables.pop(next(iter(tables)))
            figures.append(_page.plot(figure, chart, sentence, own))
    listed = [{"name": key, "text": text} for key, text in lines.items()]
    most = LINES_SHOWN + (LINES_MORE if audit.run.n_classes <= MANY_CLASSES else LINES_OF_MANY)
    text = lens_page(name)
    return {
        "id": _html.anchor(name),
        "name": name,
        "title": _html.heading(name),
        "question": lens["question"],
        "stated": lines,
        "lines": listed[:LINES_SHOWN],
        "more": listed[LINES_SHOWN:most],
        "rest": {line["name"]: line["text"] for line in listed[most:]},  # shown once their class is chosen
        "figures": figures,
        "overlays": _overlays.overlays(audit.run, list(lines)) if name == _lens_parts.MAPS else [],
        "notes": lens["notes"],
        "page": [(heading, prose(text[heading])) for heading in HEADINGS if text.get(heading)],
        "tables": list(tables.values()),
        **{"gallery": [], "suspects": [], "errors": [], "at_native_size": False, "image_note": "", "key_chart": False},
    }


def _on_paper(
    cards: Sequence[Mapping[str, Any]], stated: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What is printed of each class that needs help: its card, its reason, the sentences of the lenses, its images."""
    images = {group["name"]: group["images"] for group in groups}
    apart = (_lens_parts.ACCURACY, _lens_parts.DIAGNOSIS)  # the card and the reason state these
    return [
        {
            **card,
            "stated": [
                (_html.heading(name), lens["lines"][card["name"]])
                for name, lens in stated["lenses"].items()
                if name not in apart and card["name"] in lens["lines"]
            ],
            "images": images.get(card["name"], []),
        }
        for card in cards
    ]


def _archetype_key(audit: AuditFields, stated: Mapping[str, Any]) -> dict[str, str]:
    if not any(row["archetypes"] for row in stated["class_table"]):
        return {}
    return _class_table.archetype_key(_lens_parts.archetype_neighbours(audit.findings))


def _measures(stated: Mapping[str, Any]) -> _html.Shown | None:
    table = _class_table.measure_table(stated)
    return None if table is None else _html.shown(table, "class_measures", "", len(table))
