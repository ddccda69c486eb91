"""A result as the section of a report: plain JSON with sentences and a short table, which the report only renders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from imblens.base.csv_text import csv_text
from imblens.base.files import write_atomic, write_text
from imblens.base.wording import interval, percent

ROWS = 12  # of a table on the page
EXPLANATIONS = {
    "estimate": (
        "How accurate is it on the new data?",
        "Each unlabelled instance counts for every class by its calibrated probability. Intervals combine the uncertainty "
        "from the labels with a bootstrap of the instances; they are valid if only class shares differ.",
    ),
    "collect": (
        "What should be labelled next?",
        "Gains, where computed, are those of a head refitted on these features with two and four times as many instances "
        "of a class, extrapolated from subsamples. The list prefers instances that are likely of a rare class although "
        "another is predicted; it is not a random sample.",
    ),
    "gate": (
        "Did a class get worse?",
        "A class fails where its recall dropped beyond chance (corrected for the number of classes), where a constraint is "
        "broken, or where calibration got worse.",
    ),
    "predict": (
        "Which decision rules apply, and which cases go to a person?",
        "Measured on the test split: recall and precision under the rules, how often the prediction set contains the true "
        "class, its mean size, and the share of instances that goes to a person.",
    ),
}


def section(kind: str, lines: Sequence[str], table: pd.DataFrame, notes: Sequence[str]) -> dict[str, Any]:
    """One result as plain JSON; the table's first rows, as text.

    Example:
        >>> import pandas as pd
        >>> found = section("gate", ["passed."], pd.DataFrame({"class": ["cat"], "recall": ["90%"]}), [])
        >>> found["question"], found["columns"], found["rows"]
        ('Did a class get worse?', ['class', 'recall'], [['cat', '90%']])
    """
    question, explanation = EXPLANATIONS[kind]
    more = [f"The table has {len(table):,} rows, of which {ROWS} are shown."] if len(table) > ROWS else []
    return {
        "question": question,
        "explanation": explanation,
        "lines": list(lines),
        "columns": [str(name) for name in table],
        "rows": [[str(value) for value in row] for row in table.head(ROWS).itertuples(index=False)],
        "notes": [*more, *notes],
    }


def save_section(
    folder: Path,
    name: str,
    tables: Mapping[str, pd.DataFrame],
    values: Mapping[str, Any],
    *,
    whole: Mapping[str, pd.DataFrame] | None = None,
) -> None:
    """Write tables as CSV by their place in a folder that is claimed, those in `whole` as Parquet, and NAME.json."""
    for place, table in tables.items():
        write_text(folder / f"{place}.csv", csv_text(table))
        (folder / f"{place}.parquet").unlink(missing_ok=True)  # of an earlier result
    for place, table in (whole or {}).items():
        write_atomic(folder / f"{place}.parquet", partial(table.to_parquet, index=False))
    write_text(folder / f"{name}.json", json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def with_interval(value: float, low: float, high: float) -> str:
    """A share in percent with its interval; empty where unknown."""
    return "" if value != value else f"{percent(value)} {interval(low, high)}" if low == low else percent(value)


def share(value: float) -> str:
    """A share in percent; empty where unknown."""
    return "" if value != value else percent(value)


def class_share(value: float) -> str:
    """The share of a class, which may be rare, in percent; empty where unknown.

    Example:
        >>> class_share(0.4), class_share(0.004), class_share(0.0001), class_share(0.0)
        ('40%', '0.4%', 'under 0.1%', '0%')
    """
    if not 0 < value < 0.00995:
        return share(value)
    return f"{100 * value:.1f}%" if value >= 0.0005 else "under 0.1%"


def points(value: float, low: float, high: float) -> str:
    """A gain in points with its interval; empty where unknown.

    Example:
        >>> points(0.012, -0.001, 0.03)
        '+1.2 [−0.1, +3.0]'
    """
    if value != value:
        return ""
    return f"{100 * value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]".replace("-", "\N{MINUS SIGN}")
