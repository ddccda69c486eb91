"""What the report reads of single lenses by name: the only file of the room that knows their tables.

Everything else comes from declared class measures and from the lines, charts, tables and notes that every lens has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from imblens.base.archetypes import ARCHETYPES as KINDS
from imblens.base.wording import number
from imblens.lenses import Finding

if TYPE_CHECKING:
    import pandas as pd

    from imblens.run import Run, Split

ACCURACY, CONFUSION, FORECAST, RANKING = "class_accuracy", "class_accuracy", "adversaries", "ranking"
ARCHETYPES, SUSPECTS, MAP, MAPS, DIAGNOSIS = "archetypes", "label_suspects", "embedding_map", "alignment", "diagnosis"
ERRORS = "errors"
EVIDENCE = {  # cause -> the lens that shows it
    "few_examples": ACCURACY,
    "overlap": FORECAST,
    "sub_concepts": ARCHETYPES,
    "label_noise": SUSPECTS,
    "uncovered_range": "generalization_gap",
    "few_features": "class_features",
    "shortcut": "shortcuts",
    "shortcut_colours": "colours",
    "threshold": RANKING,
    "ranking": RANKING,
}
STRONGEST_FIRST = {"class_features": "magnitude", "feature_density": "rate_ratio", "colours": "share"}  # table: column
SUSPECTS_SHOWN, NEIGHBOURS = 10, 5
Findings = Mapping[str, Finding]


def table_of(findings: Findings, lens: str, name: str, *columns: str) -> pd.DataFrame | None:
    """Return a table of a finding; None where there is none, or one without these columns."""
    finding = findings.get(lens)
    table = None if finding is None else finding.tables.get(name)
    return table if table is not None and set(columns) <= set(table.columns) else None


def class_rows_of(findings: Findings, lens: str, name: str) -> dict[str, dict[str, Any]]:
    """Return the first row of each class in a table, by class."""
    table = table_of(findings, lens, name, "class")
    rows: dict[str, dict[str, Any]] = {}
    for row in [] if table is None else table.to_dict("records"):
        rows.setdefault(str(row["class"]), {str(key): value for key, value in row.items()})
    return rows


def error_counts(findings: Findings) -> dict[str, int]:
    """Test errors of each class."""
    rows = class_rows_of(findings, CONFUSION, "confusion")
    return {name: int(row.get("error_count", 0)) for name, row in rows.items()}


def confused_with(findings: Findings) -> dict[str, tuple[str, float]]:
    """The class that most test errors of a class go to, and their share."""
    return _strongest(findings, CONFUSION, "confusion", "predicted", ("share",))


def forecasts(findings: Findings) -> dict[str, tuple[str, float]]:
    """The class that most errors of a class are expected to go to, from training alone, and their share."""
    return _strongest(findings, FORECAST, "adversaries", "adversary", ("soft", "forecast"))


def archetype_shares(findings: Findings) -> dict[str, dict[str, float]]:
    """Share of each archetype among the training instances of a class."""
    table = table_of(findings, ARCHETYPES, "archetypes", "class", "archetype", "share")
    shares: dict[str, dict[str, float]] = {}
    if table is not None:
        for name, kind, share in zip(table["class"], table["archetype"], table["share"], strict=True):
            if share == share:
                shares.setdefault(str(name), {})[str(kind)] = float(share)
    return shares


def archetype_neighbours(findings: Findings) -> int:
    """Return K of the archetypes."""
    return int(findings[ARCHETYPES].summary.get("k", 5)) if ARCHETYPES in findings else 5


def prototypes(findings: Findings) -> dict[str, list[dict[str, Any]]]:
    """Rows of class, archetype, prototype and share by class; several of each archetype where they were asked for."""
    columns = ("class", "archetype", "prototype", "share")
    table = table_of(findings, ARCHETYPES, "prototypes", *columns)
    if table is None:
        table = table_of(findings, ARCHETYPES, "archetypes", *columns)
    if table is None:
        return {}
    groups = {}
    for name, rows in table[table["prototype"].notna()].groupby("class", sort=False):
        records = rows.to_dict("records")
        groups[str(name)] = [row for kind in KINDS for row in records if row["archetype"] == kind]
    return groups


def several_prototypes(findings: Findings) -> bool:
    """Whether an archetype may have several prototypes."""
    return ARCHETYPES in findings and "prototypes" in findings[ARCHETYPES].tables


def suspects(run: Run, findings: Findings) -> list[dict[str, Any]]:
    """The most suspect labels with the nearest neighbours of their instances."""
    columns = ["id", "class", "suggested", "score", "predicted"]
    table = table_of(findings, SUSPECTS, "label_suspects", *columns)
    if table is None or table.empty:
        return []
    train = run.train
    places = {str(name): place for place, name in enumerate(train.ids)}
    graph = run.neighbours(NEIGHBOURS).indices
    rows = []
    for row in table.head(SUSPECTS_SHOWN)[columns].to_dict("records"):
        near = graph[places[str(row["id"])]].tolist()
        predicted = row["predicted"]
        rows.append(
            {
                "id": str(row["id"]),
                "label": str(row["class"]),
                "suggested": str(row["suggested"]),
                "predicted": str(predicted) if isinstance(predicted, str) else "",
                "score": float(row["score"]),
                "near": [(str(train.ids[i]), _label_of(train, i)) for i in near],
            }
        )
    return rows


def _label_of(split: Split, row: int) -> str:
    """The class of an instance, or its labels."""
    if not split.multilabel:
        return split.classes[split.labels[row]]
    return ", ".join(name for name, has in zip(split.classes, split.labels[row], strict=True) if has == 1) or "no label"


def ticked_ids(findings: Findings) -> list[str]:
    """Identifiers of all suspect labels and listed errors."""
    tables = (table_of(findings, SUSPECTS, "label_suspects", "id"), table_of(findings, ERRORS, "errors", "id"))
    return [str(name) for table in tables if table is not None for name in table["id"].tolist()]


def map_points(findings: Findings) -> Iterator[tuple[str, str]]:
    """Split and id of the instances on the map: misclassified ones first, then outliers, rare and border cases."""
    table = table_of(findings, MAP, "embedding_map", "id", "split", "archetype", "correct")
    if table is None:
        return
    rank = {"outlier": 1, "rare": 2, "border": 3}
    first = table["archetype"].map(rank).fillna(4).where(table["correct"].map(lambda correct: correct is not False), 0)
    drawn = table.iloc[first.to_numpy().argsort(kind="stable")]
    yield from zip(drawn["split"].astype(str), drawn["id"].astype(str), strict=True)


def known(value: Any) -> float | None:
    """Return a finite number, or None."""
    import numpy as np

    return number(float(value)) if isinstance(value, (int, float, np.number)) else None


def _strongest(
    findings: Findings, lens: str, name: str, other: str, values: tuple[str, ...]
) -> dict[str, tuple[str, float]]:
    """The largest share of each class, in the first of the columns that has values."""
    for value in values:
        table = table_of(findings, lens, name, "class", other, value)
        if table is None or not table[value].notna().any():
            continue
        rows = table[table[value].notna() & (table["class"] != table[other])]
        top = rows.loc[rows.groupby("class", sort=False)[value].idxmax()]
        pairs = zip(top["class"], top[other], top[value], strict=True)
        return {str(a): (str(b), float(share)) for a, b, share in pairs if share > 0}
    return {}
