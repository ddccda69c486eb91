"""Cards and table of classes: each shows a row of `class_table` of the summary as text, positions and links."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from imblens.base.archetypes import ARCHETYPES
from imblens.base.wording import FEW, counted, evidence, interval, percent, share_with_interval
from imblens.report._errors import anchor as error_anchor
from imblens.report._html import anchor

MANY_CLASSES, ENDS = 120, 30  # of more classes, as many are shown at either end; the others are found by search
LEAST_ACCURATE = 10  # of more classes, that charts show too
ALL_ROWS, WORST = 1_000, 240  # of more classes, only the ends and the worst are HTML; the script unpacks the others
PLAIN_CELL = {"ruler": False, "parts": None, "sub": "", "link": "", "treatment": "", "command": "", "sort": None}
HARD = ("rare", "outlier")
Row = Mapping[str, Any]


def cards(stated: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the cards of some classes."""
    rows = {row["class"]: row for row in stated["class_table"]}
    largest = max(stated["class_table"], key=lambda row: row["train_count"])["class"]
    return [
        {
            **_measured(rows[name]),
            "sub": _counts(rows[name], largest),
            "facts": _facts(rows[name]),
            "command": rows[name]["command"],
            "why": rows[name]["reason"],
        }
        for name in names
    ]


def table(stated: Mapping[str, Any], cells: Collection[str] = ()) -> tuple[list[str], list[dict[str, Any]]]:
    """Return columns and rows of the table of classes, rarest last; columns without values are left out.

    `cells` are the addresses of errors that the page has; see `_errors.anchor`.
    """
    rows = sorted(stated["class_table"], key=lambda row: -row["train_count"])
    worst = set(stated["order"][:WORST])
    multilabel = stated["task"] == "multilabel"
    accuracy = "Sensitivity" if multilabel else "Accuracy"
    areas = any(row["auroc"] is not None for row in rows)
    area = {"AUROC": areas and (multilabel or all(row["accuracy"] is None for row in rows))}
    wanted = {
        "Training": True,
        **(area if multilabel else {}),  # labels are judged by discrimination first
        accuracy: any(row["accuracy"] is not None for row in rows),
        **area,
        "Errors go to": any(row["errors_to"] or row["expected_errors_to"] for row in rows),
        "Archetypes": any(row["archetypes"] for row in rows),
        "Threshold": any(row["threshold"] for row in rows),
        "Cause and treatment": any(row["cause"] for row in rows),
    }
    titles = [title for title, known in wanted.items() if known]
    shown = []
    for place, row in enumerate(rows):
        measured = _measured(row)
        shown_cells = _cells(row, accuracy, measured)
        to = row["errors_to"]
        if to and (address := error_anchor(row["class"], to["class"])) in cells:
            shown_cells["Errors go to"]["link"] = address
        shown.append(
            {
                "name": row["class"],
                "cells": [{"title": title, **PLAIN_CELL, **shown_cells[title]} for title in titles],
                "view": measured,
                "rest": (rest := len(rows) > MANY_CLASSES and ENDS <= place < len(rows) - ENDS),
                "packed": rest and len(rows) > ALL_ROWS and row["class"] not in worst,
            }
        )
    return titles, shown


def measure_table(stated: Mapping[str, Any]) -> Any:
    """Return every declared class measure that has a value, a row per class; None where there is none."""
    import pandas as pd

    rows = sorted(stated["class_table"], key=lambda row: -row["train_count"])
    values = {
        measure["title"]: [row["measures"].get(name) for row in rows] for name, measure in stated["measures"].items()
    }
    known = {title: column for title, column in values.items() if any(value is not None for value in column)}
    if not known:
        return None
    return pd.DataFrame({"class": [row["class"] for row in rows], **known}).astype(dict.fromkeys(known, float))


def archetype_key(k: int) -> dict[str, str]:
    """Return what makes an instance safe, border, rare or an outlier, in words."""
    if k == 5:
        texts = ("4 or 5 of its 5 nearest neighbours are of the class", "2 or 3", "1", "none")
    else:
        texts = (
            f"at least 4/5 of its {k} nearest neighbours are of the class",
            "at least 2/5",
            "at least 1/5",
            "fewer",
        )
    return dict(zip(ARCHETYPES, texts, strict=True))


def _cells(row: Row, accuracy: str, measured: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    rate, expected = row["false_positive_rate"], row["expected_errors_to"]
    kinds = [(kind, row["archetypes"][kind]) for kind in ARCHETYPES if row["archetypes"].get(kind)]
    return {
        "Training": {"text": f"{row['train_count']:,}", "sub": row["rarity"], "sort": row["train_count"]},
        accuracy: {
            "text": _share_text(row) if _by_area(row) else f"{measured['score']} {measured['interval']}",
            "ruler": measured["at"] is not None and not _by_area(row),
            "sub": "" if rate is None else f"specificity {percent(1 - rate)}",
            "sort": row["accuracy"],
        },
        "AUROC": {
            "text": f"{measured['score']} {measured['interval']}" if _by_area(row) else _area(row["auroc"]),
            "ruler": _by_area(row),
            "sub": _discrimination(row) if _by_area(row) else "",
            "sort": row["auroc"],
        },
        "Errors go to": {
            "text": _errors(row),
            "sub": f"expected from training: {_share(expected)}" if expected else "",
        },
        "Archetypes": {
            "text": ", ".join(f"{kind} {percent(share)}" for kind, share in row["archetypes"].items()) or "unknown",
            "parts": [(kind, f"{share:.4f}") for kind, share in kinds],
            "sort": row["archetypes"].get("safe"),
        },
        "Threshold": _threshold(row["threshold"], row["group"]),
        "Cause and treatment": {
            "text": row["cause"] or "–",
            "sub": row["evidence"],
            "link": anchor(row["evidence_lens"]) if row["evidence_lens"] else "",
            "treatment": row["treatment"],
            "command": row["command"],
        },
    }


def _measured(row: Row) -> dict[str, Any]:
    """The accuracy of a class (of a label, its AUROC) as text and as positions on a ruler, in percent of its length."""
    key = "auroc" if _by_area(row) else "accuracy"
    accuracy, low, high = row[key], row[f"{key}_low"], row[f"{key}_high"]
    shown: dict[str, Any] = {
        "name": row["class"],
        "score": "unknown" if accuracy is None else f"{accuracy:.2f}" if _by_area(row) else percent(accuracy),
        "interval": "no test instance",
        "fine": not (row["needs_help"] or row["too_many_positives"]),
        "few": row["too_few"],
        "at": None,
        "low_at": None,
        "high_at": None,
    }
    if accuracy is None or low is None or high is None:
        return shown
    ends = (f"[{low:.2f}, {high:.2f}]" if _by_area(row) else interval(low, high)) + (
        " too few to tell" if row["too_few"] else ""
    )
    at = {"at": f"{100 * accuracy:.2f}", "low_at": f"{100 * low:.2f}", "high_at": f"{100 * (1 - high):.2f}"}
    return {**shown, "interval": ends, **at}


def _by_area(row: Row) -> bool:
    """Whether a row is a label that is judged by its AUROC."""
    return bool(row["multilabel"] and row["auroc"] is not None)


def _share_text(row: Row) -> str:
    if row["accuracy"] is None or row["accuracy_low"] is None or row["accuracy_high"] is None:
        return "unknown"
    return share_with_interval(row["accuracy"], row["accuracy_low"], row["accuracy_high"])


def _discrimination(row: Row) -> str:
    """Outcome, average precision and prevalence of a label."""
    parts = [] if row["too_few"] else [row["ranking"]]
    if row["average_precision"] is not None:
        parts.append(f"average precision {row['average_precision']:.2f}, prevalence {row['prevalence']:.2f}")
    return "; ".join(parts)


def _counts(row: Row, largest: str) -> str:
    text = counted(row["train_count"], "training instance")
    if row["rarity"]:
        text += f", {row['rarity']}" + (f" than {largest}" if row["rarity"].endswith("rarer") else "")
    return f"{text}; {counted(row['test_count'] or 0, 'test instance')}, too few to tell" if row["too_few"] else text


def _facts(row: Row) -> list[dict[str, str]]:
    confused, expected, rate = row["errors_to"], row["expected_errors_to"], row["false_positive_rate"]
    facts = []
    if confused:
        facts.append(("Errors go to", _errors(row)))
    if expected and (not confused or confused["class"] != expected["class"]):
        facts.append(("Expected from training", _share(expected)))
    if _by_area(row):
        facts.append(("Average precision", f"{row['average_precision']:.2f} (prevalence {row['prevalence']:.2f})"))
        facts.append(("Sensitivity at 0.5", _share_text(row)))
    if rate is not None:
        facts.append(("Specificity at 0.5", percent(1 - rate)))
    if row["archetypes"]:
        hard = sum(row["archetypes"].get(kind, 0.0) for kind in HARD)
        facts.append(("Archetypes", f"{percent(hard)} rare or outlier"))
    if row["cause"]:
        facts.append(("Cause", row["cause"]))
    if row["treatment"] and not row["command"]:
        facts.append(("Try", row["treatment"]))
    return [{"term": term, "text": text} for term, text in facts]


def _errors(row: Row) -> str:
    """The class that most errors go to: a share, or a count where errors are few."""
    confused = row["errors_to"]
    if confused and row["errors"] < FEW:
        return f"{confused['class']} ({round(confused['share'] * row['errors'])} of {row['errors']})"
    return _share(confused)


def _share(pair: Mapping[str, Any] | None) -> str:
    return "–" if pair is None else f"{pair['class']} ({percent(pair['share'])})"


def _area(auroc: float | None) -> str:
    return "–" if auroc is None else f"{auroc:.3f}"


def _threshold(row: Mapping[str, Any] | None, group: str) -> dict[str, Any]:
    if row is None:
        return {"text": "–"}
    names = {"recall": "sensitivity", "specificity": "specificity", "precision": "precision"}
    parts = [f"{name} {percent(row[key])}" for key, name in names.items() if row[key] is not None]
    effect = "; " + ", ".join(parts) if parts else ""
    if row["few"]:
        effect += f"; chosen by only {evidence(row['positives'], row['groups'], 'positive', group)}"
    return {"text": f"{row['threshold']:.2f}", "sub": f"chosen on {row['chosen_on']}{effect}", "sort": row["threshold"]}
