"""Whether a run separates classes better, or only moves a threshold: changes of AUROC and average precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imblens.base.wording import listed
from imblens.lenses.ranking import RankingChanges, ranking_changes
from imblens.run import Run

MOST = 4_000_000  # instances times classes up to which changes are drawn
NAMED = 3


def rankings(
    runs: Sequence[Run], names: Sequence[str], classes: Sequence[str], pairs: Sequence[Any]
) -> dict[str, RankingChanges]:
    """Changes from the first run to each other one with the same test instances, by name."""
    first = runs[0]
    found = {}
    for name, run, rows in list(zip(names, runs, pairs, strict=True))[1:]:
        if rows is None or first.test is None or run.test is None:
            continue
        if not (first.test.has_logits and run.test.has_logits) or len(first.test) * len(classes) > MOST:
            continue
        places = [(first.classes.index(label), run.classes.index(label)) for label in classes]
        found[name] = ranking_changes(first.test, run.test, rows[0], rows[1], places)
    return found


def left_out_note(runs: Sequence[Run], classes: Sequence[str], pairs: Sequence[Any]) -> tuple[str, ...]:
    """State that there are too many instances and classes for `rankings`; nothing where no runs have the same instances."""
    test = runs[0].test
    if test is None or not test.has_logits or len(test) * len(classes) <= MOST:
        return ()
    if all(rows is None for rows in pairs[1:]):
        return ()
    return (
        f"Changes of AUROC and average precision have no intervals: {len(test):,} test instances of {len(classes):,} classes "
        f"are more than {MOST:,} pairs.",
    )


def with_intervals(measures: pd.DataFrame, found: Mapping[str, RankingChanges], classes: Sequence[str]) -> pd.DataFrame:
    """Add the columns change_low and change_high to the table of measures."""
    place = {label: k for k, label in enumerate(classes)}
    ends: dict[str, list[float]] = {"low": [], "high": []}
    for run, label, measure in zip(measures["run"], measures["class"], measures["measure"], strict=True):
        changes = found.get(run)
        for end, values in ends.items():
            side = {} if changes is None else getattr(changes, end)
            values.append(float(side[measure][place[label]]) if measure in side else np.nan)
    return measures.assign(change_low=ends["low"], change_high=ends["high"])


def ranking_table(found: Mapping[str, RankingChanges]) -> pd.DataFrame:
    """Changes of the means over classes: run, measure, change, change_low, change_high."""
    keys = ("change", "change_low", "change_high")
    rows = [
        {"run": name, "measure": measure, **dict(zip(keys, ends, strict=True))}
        for name, changes in found.items()
        for measure, ends in changes.mean.items()
    ]
    return pd.DataFrame(rows, columns=["run", "measure", *keys])


def ranking_line(tables: Mapping[str, pd.DataFrame], name: str, reference: str) -> str:
    """One sentence on discrimination, which no threshold changes; "" where the runs cannot be paired."""
    if "comparison_ranking" not in tables:
        return ""
    mean = tables["comparison_ranking"].set_index(["run", "measure"])
    if (name, "auroc") not in mean.index:
        return ""
    parts = []
    for measure, title in (("auroc", "mean AUROC"), ("average_precision", "mean average precision")):
        row = mean.loc[(name, measure)]
        if np.isfinite(row["change"]):
            ends = "" if np.isnan(row["change_low"]) else f" [{row['change_low']:+.3f}, {row['change_high']:+.3f}]"
            parts.append(f"{title} {row['change']:+.3f}{ends}")
    if not parts:
        return ""
    measures = tables["comparison_measures"]
    of_run = measures[(measures["run"] == name) & (measures["measure"] == "auroc")]
    better, worse = of_run[of_run["change_low"] > 0], of_run[of_run["change_high"] < 0]
    text = f"Discrimination, which no threshold changes: {name} against {reference}, {', '.join(parts)}"
    if better.empty and worse.empty:
        text += "; no label is separated better or worse beyond chance"
    for rows, what in ((better, "better"), (worse, "worse")):
        if len(rows):
            text += f"; separated {what}: {listed(list(rows['class']), NAMED)}"
    return f"{text}.".replace("-0.", "\N{MINUS SIGN}0.")
