"""Sentences on what another head could gain, and what else would help."""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.wording import percent, points, share_with_interval
from imblens.lenses._contract import Finding

NOTABLE = 0.02  # gains below are not worth a line
GOOD = 0.95  # a class above needs no advice


def lines(finding: Finding) -> dict[str, str]:
    """A line on all classes, then one for each class with errors: what a head could gain, worst class first."""
    summary = finding.summary
    table = finding.tables["headroom"].dropna(subset=["ceiling"])
    single = summary["task"] == "multiclass"
    what = "recall" if single else "balanced accuracy"
    others = "; --with best compares treatments" if single else ""  # which was never measured on labels
    found = {"": _all_classes(summary)}
    for row in table.sort_values("ceiling", kind="stable").to_dict("records"):
        text = _advice(row, what, others)
        if text:
            found[str(row["class"])] = f"{row['class']}: {text}."
    return found


def _all_classes(summary: Any) -> str:
    as_it_is = "" if summary["accuracy"] is None else f" {percent(summary['accuracy'])} with the present head,"
    low, high = (100 * summary[f"remaining_{end}"] for end in ("low", "high"))
    text = (
        f"Mean over classes:{as_it_is} {percent(summary['best_head'])} with one refitted on training features; the best "
        f"linear head, cross-fitted on test instances, adds {points(summary['remaining'])} [{low:.1f}, {high:.1f}]."
    )
    if summary["remaining_high"] < NOTABLE:
        return f"{text} Beyond refitting, another head cannot help; better features can."
    return text


def _advice(row: dict[str, Any], what: str, others: str) -> str:
    now, refitted = row["accuracy"], row["best_head"]
    ceiling = share_with_interval(row["ceiling"], row["ceiling_low"], row["ceiling_high"])
    known = bool(np.isfinite(now))
    best = max(refitted, row["ceiling"])
    if max(best, now if known else 0) >= GOOD:
        return ""
    start = f"{what} {percent(now)} with the present head" if known else f"{what} with the present head unknown"
    heads = f"{start}, {percent(refitted)} with a refitted head"
    if row["ceiling"] > refitted:
        heads += f", about {ceiling} with the best linear head"
    else:
        heads += f"; no other linear head is expected to do better (cross-fitted estimate: {ceiling})"
    if known and best - now < NOTABLE:
        return (
            f"{start}, cross-fitted estimate of the best linear head {ceiling}: another head cannot help this class; more "
            "varied instances, with the network trained on them, can"
        )
    if row["ceiling_low"] > refitted and row["ceiling"] - refitted >= NOTABLE:
        return (
            f"{heads}: its training features do not show how new instances vary; more varied instances of the class help, "
            "even if only the head is fitted on them"
        )
    return (
        f"{heads}. To gain most of this, refit the head (imblens treat RUN --with refit --set l2=0.5){others}"
        if known and refitted - now >= NOTABLE
        else heads
    )
