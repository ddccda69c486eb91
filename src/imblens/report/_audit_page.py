"""The page of an audit: what each part of `report.html` holds. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imblens.base.wording import FEW, counted, number, percent
from imblens.report._evidence import ENDS, MANY_CLASSES
from imblens.report._tables import table_files

if TYPE_CHECKING:
    from imblens.lenses import Finding
    from imblens.report._audit import Audit
    from imblens.report._figures import Figure
    from imblens.report._image_sheet import Sheet
    from imblens.report._page import Plot, Shown
    from imblens.report._verdict import ClassView

LINES_SHOWN, LINES_MORE, LINES_OF_MANY = 4, 60, 4  # of a lens: at once, and behind a click (of very many classes)
CARDS = 3
SHEETS = 8  # classes that are told one by one on paper
PLAIN_CELL = {"ruler": False, "parts": None, "sub": "", "link": "", "treatment": "", "command": "", "sort": None}
EVIDENCE = {  # cause -> the lens that shows it
    "few examples": "class_accuracy",
    "overlap": "adversaries",
    "sub concepts": "archetypes",
    "label noise": "label_suspects",
    "uncovered range": "generalization_gap",
    "few features": "class_features",
    "shortcut colours": "colours",
    "threshold": "ranking",
    "ranking": "ranking",
}


def report_html(audit: Audit) -> str:
    """The page."""
    from imblens.report import _evidence, _image_sheet, _overlays, _page, _render, _verdict
    from imblens.report._synthetic import synthetic

    run, findings = audit.run, audit.findings
    drawn = _render.figures(audit)
    views = _verdict.class_views(run, findings)
    mean = _verdict.mean_accuracy(views)
    notable = [view for view in _verdict.need_help(views) if view.name != audit.of]  # that one is told in full
    sheet = _image_sheet.sheet(run, _evidence.wanted_images(audit))
    groups = _evidence.gallery(audit, sheet)
    sections = [_section(audit, name, finding, drawn) for name, finding in findings.items()]
    for section in sections:
        section["gallery"] = groups if section["name"] == "archetypes" else []
        section["suspects"] = _evidence.suspects(audit, sheet) if section["name"] == "label_suspects" else []
    lines = {section["id"]: section.pop("rest") for section in sections}
    in_full = _evidence.in_full(audit, sections, groups) if audit.of is not None else None
    first = None
    for section in sections:
        if section["name"] == "class_accuracy" and section["figures"]:
            first = section["figures"].pop(0)
    told = _page.describe(run.meta)
    headline = _verdict.headline(findings, views, audit.of)
    leading = (
        _verdict.summary(run, views),
        _verdict.ranked(findings),
        _verdict.shared_patients(run),
        _verdict.copied(run),
    )
    columns, rows, mixed = _class_rows(audit, views, mean)
    contents = [{"id": "classes", "text": "Every class in one row"}]
    contents += [{"id": section["id"], "text": section["title"]} for section in sections]
    contents += [{"id": "in-full", "text": f"{audit.of} in full"}] if in_full else []
    made = synthetic(run)
    contents += [{"id": "synthetic", "text": "Synthetic images"}] if made else []
    contents += [{"id": "skipped", "text": "What could not be said"}] if audit.skipped else []
    contents += [{"id": "reproduction", "text": "Reproduction"}]
    return _page.render(
        "report.html",
        figures=drawn.values(),
        data={
            "classes": list(run.classes),
            "of": audit.of or "",
            "images": sheet.data(),
            "key": _key(audit),
            "lines": lines,
        },
        names=run.classes,
        sheet=sheet,
        image_note=_image_note(sheet),
        in_full=in_full,
        synthetic=made,
        why=_why(findings, views, audit.of),
        title=f"imblens: {told}" if told else "imblens audit",
        subtitle=told,
        eyebrow=_eyebrow(audit),
        headline=headline,
        lead=" ".join(text for text in leading if text),
        cards=_cards(views, _verdict.worst(views, audit.of)[:CARDS], mean),
        on_paper=_on_paper(audit, views, _cards(views, notable[:SHEETS], mean), sections, groups),
        notable=len(notable),
        several=run.task == "multilabel",
        cards_title="The classes that need help most",
        mean=None if mean is None else f"{100 * mean:.2f}",
        first=first,
        classes=run.classes,
        maps_key=_overlays.KEY,
        columns=columns,
        rows=rows,
        mixed=_kinds(findings) if mixed else {},
        ends=ENDS,
        many=len(rows) > MANY_CLASSES,
        lenses=sections,
        lines=lines,
        contents=contents,
        skipped=_skipped(audit),
        facts=_facts(audit),
        versions=_page.used_versions(run.meta),
        files=_page.digests(run),
        command=_command(audit),
    )


def _key(audit: Audit) -> str:
    """What the ticks of this page are kept under in a browser: the same for the same suspects."""
    import hashlib

    suspects = audit.findings.get("label_suspects")
    ids = [] if suspects is None else suspects.tables["label_suspects"]["id"].astype(str).tolist()
    return hashlib.sha256("\0".join(ids).encode()).hexdigest()[:16]


def _image_note(sheet: Sheet) -> str:
    if not sheet.left_out:
        return ""
    return (
        f"{len(sheet.places):,} images are in this page, those of wrong answers and of outlying instances first; "
        f"{sheet.left_out:,} more did not fit."
    )


def _eyebrow(audit: Audit) -> str:
    run = audit.run
    held = f"{len(run.train):,} training"
    held += f" and {len(run.test):,} test instances" if run.test is not None else " instances, no test split"
    return f"{held}, {run.n_classes} classes, {run.dim:,} features"


def _section(audit: Audit, name: str, finding: Finding, drawn: Mapping[tuple[str, str], Figure]) -> dict[str, Any]:
    from imblens.base.markdown import prose
    from imblens.lenses import HEADINGS, all_lenses, lens_info, lens_page
    from imblens.report import _page, _render
    from imblens.report._overlays import overlays

    files = table_files(audit.findings)
    tables = {
        table: _page.shown(frame, table, files[name, table], audit.run.n_classes)
        for table, frame in finding.tables.items()
    }
    said = _render.lines(finding, name)
    sentence = " ".join(list(said.values())[:3])
    figures: list[Plot] = []
    for (lens, chart), figure in drawn.items():
        if lens == name:
            own: Shown | None = tables.pop(chart, None)
            if own is None and tables and not figures:
                own = tables.pop(next(iter(tables)))
            figures.append(_page.plot(figure, chart, sentence, own))
    known = all_lenses().get(name)
    question = lens_info(known).question if known is not None else ""
    listed = [{"name": key, "text": text} for key, text in said.items()]
    most = LINES_SHOWN + (LINES_MORE if audit.run.n_classes <= MANY_CLASSES else LINES_OF_MANY)
    text = lens_page(name)
    return {
        "id": _page.anchor(name),
        "name": name,
        "title": _page.heading(name),
        "question": question or _page.heading(name),
        "said": said,
        "lines": listed[:LINES_SHOWN],
        "more": listed[LINES_SHOWN:most],
        "rest": {line["name"]: line["text"] for line in listed[most:]},  # each comes up with its class
        "figures": figures,
        "overlays": overlays(audit.run, list(finding.lines())) if name == "alignment" else [],
        "notes": finding.notes,
        "page": [(heading, prose(text[heading])) for heading in HEADINGS if text.get(heading)],
        "tables": list(tables.values()),
    }


def _cards(views: Mapping[str, ClassView], shown: Sequence[ClassView], mean: float | None) -> list[dict[str, Any]]:
    largest = max(views.values(), key=lambda view: view.train_count).name
    return [
        {
            **_measured(view, mean),
            "sub": _counted(view, largest),
            "facts": _card_facts(view),
            "command": view.command,
        }
        for view in shown
    ]


def _on_paper(
    audit: Audit,
    views: Mapping[str, ClassView],
    cards: Sequence[Mapping[str, Any]],
    sections: Sequence[Mapping[str, Any]],
    groups: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """What is printed of each class that needs help: its card, its reason, what every lens says of it, its images."""
    from imblens.report._verdict import reason

    images = {group["name"]: group["images"] for group in groups}
    return [
        {
            **card,
            "why": reason(audit.findings, views[card["name"]]),
            "said": [
                (section["title"], section["said"][card["name"]])
                for section in sections
                if section["name"] not in ("class_accuracy", "diagnosis") and card["name"] in section["said"]
            ],
            "images": images.get(card["name"], []),
        }
        for card in cards
    ]


def _kinds(findings: Mapping[str, Finding]) -> dict[str, str]:
    """What makes an instance safe, border, rare or an outlier, in words."""
    k = findings["archetypes"].summary.get("k", 5)
    if k != 5:
        return {"safe": f"at least 4/5 of its {k} nearest neighbours are of the class", "border": "at least 2/5",
                "rare": "at least 1/5", "outlier": "fewer"}  # fmt: skip
    return {
        "safe": "4 or 5 of its 5 nearest neighbours are of the class",
        "border": "2 or 3",
        "rare": "1",
        "outlier": "none",
    }


def _why(findings: Mapping[str, Finding], views: Mapping[str, ClassView], of: str | None) -> str:
    """The reason and the remedy for the class that leads, where a lens names them."""
    from imblens.report._verdict import reason, worst

    order = worst(views, of)
    return reason(findings, order[0]) if order else ""


def _counted(view: ClassView, largest: str) -> str:
    text = counted(view.train_count, "training instance")
    if view.rarity:
        text += f", {view.rarity}" + (f" than {largest}" if view.rarity.endswith("rarer") else "")
    return f"{text}; {counted(view.test_count or 0, 'test instance')}, too few to tell" if view.few else text


def _card_facts(view: ClassView) -> list[dict[str, str]]:
    from imblens.report._page import share_text

    facts = []
    if view.errors_to is not None:
        facts.append(("Errors go to", _errors_text(view)))
    if view.forecast is not None and (view.errors_to is None or view.errors_to[0] != view.forecast[0]):
        facts.append(("Foreseen", f"{share_text(view.forecast)}, from training alone"))
    if view.wrongly is not None:
        facts.append(("False yes", f"to {percent(view.wrongly)} of the others"))
    if view.threshold:
        facts.append(("AUROC", _area(view.auroc)))
    if view.archetypes:
        facts.append(("Neighbours", f"{percent(_hard(view))} lie among other classes"))
    if view.cause:
        facts.append(("Cause", view.cause))
    if view.treatment and not view.command:
        facts.append(("Try", view.treatment))
    return [{"term": term, "text": text} for term, text in facts]


def _errors_text(view: ClassView) -> str:
    """Where a class's test errors go: a share, or of few errors how many."""
    from imblens.report._page import share_text

    if view.errors_to is not None and view.errors < FEW:
        name, share = view.errors_to
        return f"{name} ({round(share * view.errors)} of {view.errors})"
    return share_text(view.errors_to)


def _hard(view: ClassView) -> float:
    return sum(view.archetypes.get(kind, 0.0) for kind in ("rare", "outlier"))


def _measured(view: ClassView, mean: float | None) -> dict[str, Any]:
    """What a card and a row show of an accuracy; positions are percent of the ruler, two digits, never text."""
    from imblens.report._verdict import TOO_MANY

    known = view.accuracy is not None and view.low is not None and view.high is not None
    too_many = view.wrongly is not None and view.wrongly > TOO_MANY
    at: dict[str, Any] = {"at": None, "low_at": None, "high_at": None, "low": None}
    if view.accuracy is not None and view.low is not None and view.high is not None:
        at = {
            "at": f"{100 * view.accuracy:.2f}",
            "low_at": f"{100 * view.low:.2f}",
            "high_at": f"{100 * (1 - view.high):.2f}",
            "low": view.low,
        }
    interval = ""
    if view.low is not None and view.high is not None:
        interval = f"[{100 * view.low:.0f}, {100 * view.high:.0f}]" + (" too few to tell" if view.few else "")
    return {
        "name": view.name,
        "score": percent(view.accuracy) if view.accuracy is not None else "unknown",
        "interval": interval or "no test instance",
        "fine": not known or view.few or mean is None or view.high is None or (view.high >= mean and not too_many),
        "few": view.few,
        **at,
    }


def _class_rows(
    audit: Audit, views: Mapping[str, ClassView], mean: float | None
) -> tuple[list[str], list[dict[str, Any]], bool]:
    """Columns and rows of the table of classes, rarest last; columns that no lens filled are left out."""
    from imblens.report._page import anchor, share_text

    some = list(views.values())
    several = audit.run.task == "multilabel"
    right = "Found" if several else "Accuracy"
    mixed = any(view.archetypes for view in some)
    wanted = {
        "Training": True,
        right: any(view.accuracy is not None for view in some),
        "AUROC": (several or all(view.accuracy is None for view in some))
        and any(view.auroc is not None for view in some),
        "Errors go to": any(view.errors_to or view.forecast for view in some),
        "Neighbours": mixed,
        "Threshold": any(_known_number(view.threshold.get("threshold")) is not None for view in some),
        "Why, and what to try": any(view.cause for view in some),
    }
    titles = [title for title, there in wanted.items() if there]
    rows = []
    for view in sorted(some, key=lambda view: -view.train_count):
        measured = _measured(view, mean)
        told = ", ".join(f"{kind} {percent(share)}" for kind, share in view.archetypes.items())
        foreseen = "" if view.forecast is None else f"foreseen: {share_text(view.forecast)}"
        evidence = EVIDENCE.get(view.cause, "")
        filled: dict[str, dict[str, Any]] = {
            "Training": {"text": f"{view.train_count:,}", "sub": view.rarity, "sort": view.train_count},
            right: {
                "text": f"{measured['score']} {measured['interval']}",
                "ruler": measured["low"] is not None,
                "sub": "" if view.wrongly is None else f"false yes to {percent(view.wrongly)} of the others",
                "sort": view.accuracy,
            },
            "Threshold": _threshold(view.threshold),
            "AUROC": {"text": _area(view.auroc), "sort": view.auroc},
            "Errors go to": {"text": _errors_text(view), "sub": foreseen},
            "Neighbours": {
                "text": told or "unknown",
                "parts": [(k, f"{share:.4f}") for k, share in _known(view)],
                "sort": view.archetypes.get("safe"),
            },
            "Why, and what to try": {
                "text": view.cause or "–",
                "sub": view.evidence,
                "link": anchor(evidence) if evidence in audit.findings else "",
                "treatment": view.treatment,
                "command": view.command,
            },
        }
        cells = [{"title": title, **PLAIN_CELL, **filled[title]} for title in titles]
        rows.append({"name": view.name, "cells": cells, "view": measured, "rest": False})
    if len(rows) > MANY_CLASSES:
        for row in rows[ENDS:-ENDS]:
            row["rest"] = True
    return titles, rows, mixed


def _area(auroc: float | None) -> str:
    return "–" if auroc is None else f"{auroc:.3f}"


def _known_number(value: Any) -> float | None:
    return None if value is None else number(float(value))


def _threshold(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a cell shows of a label's own threshold."""
    at, found, right = (_known_number(row.get(key)) for key in ("threshold", "recall", "precision"))
    if at is None:
        return {"text": "–"}
    does = "" if found is None else f"; finds {percent(found)}"
    does += "" if right is None else f", {percent(right)} of its yes are right"
    return {"text": f"{at:.2f}", "sub": f"chosen on {row['chosen_on']}{does}", "sort": at}


def _known(view: ClassView) -> list[tuple[str, float]]:
    from imblens.report._verdict import ARCHETYPES

    return [(kind, view.archetypes[kind]) for kind in ARCHETYPES if view.archetypes.get(kind)]


def _skipped(audit: Audit) -> list[tuple[str, str, str]]:
    from imblens.lenses import all_lenses, lens_info
    from imblens.report._page import heading

    known = all_lenses()
    found = []
    for name, reason in audit.skipped.items():
        question = lens_info(known[name]).question if name in known else ""
        text = reason.removeprefix(f"{name}: ")
        found.append((name, question or heading(name), text[:1].upper() + text[1:]))
    return found


def _facts(audit: Audit) -> list[tuple[str, str]]:
    from imblens.report._page import facts

    run = audit.run
    found = [("task", run.task), ("instances", _eyebrow(audit))]
    found += facts({key: value for key, value in run.meta.items() if key != "versions"})
    found += [
        (f"option of {lens}", f"{key}={value}")
        for lens, values in audit.options.items()
        for key, value in values.items()
    ]
    return found


def _command(audit: Audit) -> str:
    import shlex

    from imblens.lenses import BUILT_IN, lens_info
    from imblens.report._audit import QUICK_MAP
    from imblens.run import APPROXIMATE_ABOVE

    words = ["imblens", "audit", "RUN"]
    asked = [name for name in (*audit.findings, *audit.skipped) if name not in audit.left_out]
    no_map = "embedding_map" in audit.left_out
    quick = sum(map(len, audit.run.splits.values())) <= QUICK_MAP
    if not {lens_info(function).name for function in BUILT_IN} <= {*asked, *(["embedding_map"] if no_map else [])}:
        for name in asked:
            words += ["--lens", name]
    elif no_map and quick:
        words += ["--no-map"]
    elif "embedding_map" in audit.findings and not quick:
        words += ["--map"]
    usual = len(audit.run.train) > APPROXIMATE_ABOVE
    if audit.approximate is not None and audit.approximate is not usual:
        words += ["--approximate" if audit.approximate else "--exact"]
    if audit.of is not None:
        words += ["--class", audit.of]
    prototypes = audit.options.get("archetypes", {}).get("prototypes", 1)
    if prototypes != 1:
        words += ["--prototypes", str(prototypes)]
    return " ".join(shlex.quote(word) for word in words)
