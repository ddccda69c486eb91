"""Sentences on which classes a run changes."""

from __future__ import annotations

import pandas as pd

from imblens.base.wording import percent, points

TRADED = 0.2  # change of recall and of specificity, in opposite directions, from which a sentence names it


def gains(table: pd.DataFrame, name: str) -> str:
    """Which classes gain and lose beyond chance, and which labels trade recall for specificity; "" where nothing is known.

    Args:
        table: columns class, change, change_low, change_high; in multi-label runs also recall_before, recall_after,
            specificity_before and specificity_after.
        name: of the run that changed.
    """
    rows = table[table["change"].notna()]
    if rows.empty:
        return ""
    traded = _traded(rows) if "recall_after" in rows else ""
    return f"{_clear_changes(rows, name)}{traded}"


def _traded(rows: pd.DataFrame) -> str:
    """A sentence on labels whose balanced accuracy stays while recall and specificity move apart; "" where none does."""
    recall, specificity = (rows[f"{kind}_after"] - rows[f"{kind}_before"] for kind in ("recall", "specificity"))
    apart = (recall * specificity < 0) & (recall.abs() >= TRADED) & (specificity.abs() >= TRADED)
    found = rows[apart & (rows["change_low"] <= 0) & (rows["change_high"] >= 0)]
    if found.empty:
        return ""
    listed = "; ".join(
        f"{row['class']} recall {percent(row['recall_before'])} to {percent(row['recall_after'])}, specificity "
        f"{percent(row['specificity_before'])} to {percent(row['specificity_after'])}"
        for row in found.head(3).to_dict("records")
    )
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    return f" A threshold moves, and nothing is separated better: {listed}{more}."


def _clear_changes(rows: pd.DataFrame, name: str) -> str:
    up = rows[rows["change_low"] > 0].sort_values("change", ascending=False, kind="stable")
    down = rows[rows["change_high"] < 0].sort_values("change", kind="stable")
    if up.empty and down.empty:
        return f"{name}: no statistically clear change in any class."
    parts = []
    for part, verb in ((up, "gain"), (down, "lose")):
        if len(part):
            listed = ", ".join(f"{row['class']} {points(row['change'])}" for row in part.head(4).to_dict("records"))
            more = f" and {len(part) - 4} more" if len(part) > 4 else ""
            parts.append(f"{len(part)} of {len(rows)} classes {verb if len(part) != 1 else verb + 's'}: {listed}{more}")
    return f"{name}: {'; '.join(parts)}."
