"""A comparison as files: one offline page, tables and figures."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imblens.base.files import claim, write_text
from imblens.base.locks import exclusive
from imblens.base.wording import percent, points
from imblens.comparison import Comparison, best_first, class_lines
from imblens.lenses import same_features
from imblens.report import _html, _page, _reproduction
from imblens.report._overlays import KEY, side_by_side
from imblens.report._save import write_figures, write_maps, write_tables
from imblens.run import Run

if TYPE_CHECKING:
    from imblens.report._figures import Figure

CARDS = 3
DIFFERENCES = 6  # settings that a sentence lists
LINES_SHOWN = 6
PANEL, PANELS = 138, 2  # pixels of a map in a figure of several, and how many are side by side in a column
TITLES = {
    "comparison": "Accuracy of each class",
    "comparison_change": "Change of accuracy",
}
OF_CLASS = {  # charts of a named class, and the table of each
    "class_missed": ("Misclassified as", "class_errors"),
    "class_false_positives": ("False positives, by true class", "class_errors"),
    "class_forecast": ("Errors, forecast and observed", "class_errors"),
    "class_strongest": ("Strongest features of each class", "class_strongest"),
    "class_density": ("Density of its strongest features in other classes", "class_density"),
}


@exclusive
def save_comparison(comparison: Comparison, out: Path, *, force: bool, figures: bool, papers: bool = False) -> Path:
    """Write everything; see `Comparison.save`."""
    claim(out, force=force)
    report = out / "report.html"
    report.unlink(missing_ok=True)
    drawn = _figures(comparison)
    write_tables(out, comparison.tables)
    files = drawn | _panels(comparison)
    write_figures(out, files if figures else {})
    if papers:
        from imblens.report._papers import write_papers

        write_papers(out, files, comparison.tables)
    write_maps(out, side_by_side(comparison.runs, comparison.names), figures=figures, papers=papers)
    write_text(report, _page_html(comparison, drawn))
    return report


def notebook_html(comparison: Comparison) -> str:
    """Verdict, summary and drawings, without a script."""
    from html import escape

    from imblens.report._page import image

    first, *rest = comparison.verdict()
    parts = [f"<h3>{escape(first)}</h3>", *(f"<p>{escape(line)}</p>" for line in [*rest, *comparison.notes])]
    parts.append(comparison.tables["comparison_summary"].to_html(escape=True, index=False, float_format="%.3f"))
    parts += [f'<div style="background:#fff">{image(figure)}</div>' for figure in _figures(comparison).values()]
    return f'<div style="max-width:820px">{"".join(parts)}</div>'


def _figures(comparison: Comparison) -> dict[str, Figure]:
    from imblens.report._figures import draw_all, warm_up_beside

    warm_up_beside()
    charts = comparison.charts()
    items = ((f"figure-{i + 1}", chart) for i, chart in enumerate(charts.values()))
    drawn: dict[str, Figure] = {}
    for name, figure in zip(charts, draw_all(items, comparison.runs[0].classes), strict=True):
        if isinstance(figure, Exception):
            raise figure
        drawn[name] = figure
    return drawn


def _panels(comparison: Comparison) -> dict[str, Figure]:
    """The maps of named classes in one figure, a panel a run (EOS, Fig. 6); nothing without such maps."""
    from imblens.lenses import map_panels
    from imblens.report._figures import draw

    if comparison.maps is None or not comparison.maps.summary["classes"]:
        return {}
    chart = map_panels(comparison.maps, size=PANEL, columns=PANELS)
    return {"class_map": draw("class-map", chart, comparison.runs[0].classes)}


def _page_html(comparison: Comparison, drawn: dict[str, Figure]) -> str:
    from imblens.report import _image_sheet, _previews

    tables = comparison.tables
    order = best_first(comparison)
    classes = [str(name) for name in dict.fromkeys(tables["comparison"]["class"])]
    verdict = comparison.verdict()
    whole = {name: _html.shown(frame, name, name, len(frame)) for name, frame in tables.items()}
    plots, frames, of_classes = _plots(comparison, drawn, whole)
    sections = _sections(comparison, order)
    titles, rows = _class_rows(comparison)
    overlays = side_by_side(comparison.runs, comparison.names)
    stayed = [whole[name] for name in ("diversity_changes", "feature_changes") if name in whole]
    contents = [
        ("per-class", "Every class in one row"),
        ("summary", "All measures"),
        *((section["id"], section["title"]) for section in sections),
        *((f"of-{place}", group["name"]) for place, group in enumerate(of_classes)),
        *([("maps", "Where the networks look")] if overlays else []),
        *([("features", "Which features stayed")] if stayed else []),
        *([("measures", "What else changed")] if plots[2:] else []),
        *([("frames", "Embedding maps")] if frames else []),
        ("reproduction", "Reproduction"),
    ]
    points = _points(comparison)
    sheet = _image_sheet.sheet(comparison.runs[0], points)
    others = _previews.previews(comparison.runs[0], points)
    title = " and ".join(comparison.names) if len(comparison.names) == 2 else ", ".join(comparison.names)
    return _page.render(
        "compare.html",
        figures=drawn.values(),
        data={"classes": classes, "of": "", "images": sheet.data(), "previews": others.data()},
        names=[*classes, *comparison.names],
        sheet=sheet,
        frames=frames,
        title=f"imblens: {_html.short(title, 120)}",
        subtitle=_html.short(title, 120),
        eyebrow=f"{len(comparison.runs)} runs, {len(classes)} classes, compared with {comparison.names[0]}",
        headline=verdict[0],
        lead=verdict[1] if len(verdict) > 1 else "",
        others=verdict[2:],
        cards=_cards(comparison, order[0]) if order else [],
        cards_title="The classes that changed most",
        reference=comparison.names[0],
        multilabel=comparison.runs[0].task == "multilabel",
        plots=plots,
        titles=titles,
        rows=rows[: _html.ALL_CLASSES],
        n_rows=len(rows),
        summary=_html.shown(tables["comparison_summary"], "comparison_summary", "comparison_summary", len(order) + 1),
        sections=sections,
        of_classes=of_classes,
        overlays=overlays,
        stayed=stayed,
        maps_key=KEY,
        notes=comparison.notes,
        classes=classes,
        contents=[{"id": place, "text": text} for place, text in contents],
        **_how_made(comparison),
    )


def _plots(
    comparison: Comparison, drawn: dict[str, Figure], whole: dict[str, _html.Shown]
) -> tuple[list[_page.Plot], list[_page.Plot], list[dict[str, Any]]]:
    """Charts of the comparison, the maps in a common frame, and the charts of each named class."""
    tables, headline = comparison.tables, comparison.verdict()[0]
    plots: list[_page.Plot] = []
    frames: list[_page.Plot] = []
    of_classes: list[dict[str, Any]] = [{"name": name, "plots": []} for name in comparison.of]
    for name, figure in drawn.items():
        kind, _, number = name.rpartition("_")
        if kind in OF_CLASS:
            title, held = OF_CLASS[kind]
            group = of_classes[int(number)]
            own = tables[held][tables[held]["class"] == group["name"]].drop(columns="class")
            group["plots"].append(
                _page.plot(figure, name, group["name"], _html.shown(own, name, held, len(own)), title=title)
            )
            continue
        table = whole["comparison"] if name == "comparison" else None
        if name.startswith("comparison_") and name != "comparison_change":
            rows = tables["comparison_measures"]
            part = rows[rows["measure"] == name.removeprefix("comparison_")].drop(columns="measure")
            table = _html.shown(part, name, "comparison_measures", len(part))
        titled, sentence = _title(comparison, name), headline
        if name.startswith("common_map_"):
            titled = f"Map of {comparison.names[int(name.rsplit('_', 1)[1])]}"
            sentence = comparison.maps.sentence() if comparison.maps is not None else ""
        plot = _page.plot(figure, name, sentence, table, title=titled)
        (frames if name.startswith("common_map_") else plots).append(plot)
    return plots, frames, of_classes


def _sections(comparison: Comparison, order: list[str]) -> list[dict[str, Any]]:
    """One section a run, best first: how it differs, and a line for each class."""
    sections: list[dict[str, Any]] = []
    for place, name in enumerate(order):
        lines = [{"name": key, "text": text} for key, text in class_lines(comparison, name).items()]
        sections.append(
            {
                "id": f"run-{place}",
                "title": name,
                "what": differences(comparison.runs[0], comparison.runs[comparison.names.index(name)]),
                "lines": lines[:LINES_SHOWN],
                "more": lines[LINES_SHOWN:],
            }
        )
    return sections


def _how_made(comparison: Comparison) -> dict[str, Any]:
    """Settings and files of the runs, versions, and the command."""
    runs = list(zip(comparison.names, comparison.runs, strict=True))
    given = [f"RUN{i + 1}" for i in range(len(runs))] + [f"--class {shlex.quote(name)}" for name in comparison.of]
    return {
        "facts": [(f"{name}: {key}", value) for name, run in runs for key, value in _reproduction.settings(run.meta)],
        "versions": _reproduction.used_versions({}),
        "files": [(f"{name}: {file}", digest) for name, run in runs for file, digest in _reproduction.digests(run)],
        "command": f"imblens compare {' '.join(given)} --out DIR",
    }


def _title(comparison: Comparison, name: str) -> str:
    measure = comparison.measures.get(name.removeprefix("comparison_"))
    return TITLES.get(name, "") if measure is None else measure.title[0].upper() + measure.title[1:]


def differences(first: Run, run: Run) -> str:
    """State in one sentence how a run differs from the first, as far as the runs record what made them."""
    treatment = run.meta.get("treatment")
    if isinstance(treatment, Mapping) and treatment != first.meta.get("treatment"):
        chosen = treatment.get("chosen")
        options = chosen.get("options", {}) if isinstance(chosen, Mapping) else {}
        listed = ", ".join(f"{key}={value}" for key, value in options.items())
        text = f"The head was changed by {treatment.get('name')}" + (
            f" ({listed}, chosen on training data)" if listed else ""
        )
        if run.synthetic is not None:
            text += f", with {len(run.synthetic):,} synthetic training instances"
        same = same_features(first.train, run.train)
        return f"{text}; the features {'are the same' if same else 'come from another network'}."
    ignored = ("versions", "class_counts", "colours", "capture", "threads", "data counts", "study_seconds")
    then, now = (dict(_reproduction.settings(meta)) for meta in (first.meta, run.meta))
    changed = [
        f"{key} {then.get(key, 'not given')} became {now.get(key, 'not given')}"
        for key in sorted({*then, *now})
        if then.get(key) != now.get(key) and not key.startswith(ignored)
    ]
    if not changed:
        return ""
    more = f" and {len(changed) - DIFFERENCES} more settings" if len(changed) > DIFFERENCES else ""
    return f"Settings that differ: {'; '.join(changed[:DIFFERENCES])}{more}."


def _class_rows(comparison: Comparison) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows of the table of classes: before, after and change, with intervals; most training instances first."""
    by_run: dict[str, dict[str, dict[str, Any]]] = {
        name: table.set_index("class").to_dict("index")
        for name, table in comparison.tables["comparison"].groupby("run", sort=False)
    }
    first, *others = comparison.names
    rows: list[dict[str, Any]] = []
    for name in sorted(by_run[first], key=lambda name: -by_run[first][name]["train_count"]):
        cells = [{"title": "Training", "text": f"{by_run[first][name]['train_count']:,}", "sort": None}]
        for run in comparison.names:
            row = by_run[run][name]
            text = f"{percent(row['accuracy'])} [{100 * row['accuracy_low']:.0f}, {100 * row['accuracy_high']:.0f}]"
            cells.append(_cell(run, row["accuracy"], text))
        for run in others:
            row = by_run[run][name]
            low, high = (f"{100 * row[key]:+.1f}".replace("-", "\u2212") for key in ("change_low", "change_high"))
            cells.append(_cell(f"Change in {run}", row["change"], f"{points(row['change'])} [{low}, {high}]"))
        rows.append({"name": str(name), "cells": cells})
    return [str(cell["title"]) for cell in rows[0]["cells"]], rows


def _cell(title: str, value: float, text: str) -> dict[str, Any]:
    known = np.isfinite(value)
    return {"title": title, "text": text if known else "–", "sort": f"{value:.6f}" if known else ""}


def _points(comparison: Comparison) -> list[tuple[str, str]]:
    """Instances on the maps, those whose predictions changed first."""
    if comparison.maps is None:
        return []
    table = comparison.maps.tables["common_map"]
    table = table[table["split"] != "synthetic"]
    right = table["correct"].map({True: 1, False: 0}).groupby([table["split"], table["id"]], sort=False)
    mixed = right.nunique().sort_values(ascending=False, kind="stable")
    return [(str(split), str(name)) for split, name in mixed.index]


def _cards(comparison: Comparison, name: str) -> list[dict[str, Any]]:
    """The classes whose accuracy changed most in the best run, gains and losses alike."""
    table = comparison.tables["comparison"]
    earlier = table[table["run"] == comparison.names[0]].set_index("class")
    rows = table[(table["run"] == name) & table["change"].notna()]
    order = rows["change"].abs().sort_values(ascending=False, kind="stable").index
    cards = []
    for row in rows.loc[order].head(CARDS).to_dict("records"):
        before, after = float(earlier.loc[row["class"], "accuracy"]), float(row["accuracy"])
        clear = row["change_low"] > 0 or row["change_high"] < 0
        low, high = f"{100 * row['change_low']:+.1f}", f"{100 * row['change_high']:+.1f}"
        sub = f"from {percent(before)} to {percent(after)}" + ("" if clear else "; may be due to chance")
        if "recall" in row:
            had = earlier.loc[row["class"]]
            sub += (
                f". Sensitivity from {percent(had['recall'])} to {percent(row['recall'])}, false-positive rate from "
                f"{percent(1 - had['specificity'])} to {percent(1 - row['specificity'])}."
            )
        elif np.isfinite(row["gained"]):
            sub += f". {row['gained']:.0f} test instances become correct, {row['lost']:.0f} become misclassified."
        cards.append(
            {
                "name": str(row["class"]),
                "score": points(row["change"]),
                "interval": f"[{low}, {high}]".replace("-", "\u2212"),
                "fine": row["change"] >= 0 or not clear,
                "few": not clear,
                "sub": sub,
                "at": f"{100 * after:.2f}",
                "low_at": f"{100 * min(before, after):.2f}",
                "high_at": f"{100 * (1 - max(before, after)):.2f}",
                "mean": f"{100 * before:.2f}",
            }
        )
    return cards
