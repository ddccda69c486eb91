"""Single instances as a page shows them: prototypes, label suspects beside their neighbours, the map's points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imblens.base.wording import percent

if TYPE_CHECKING:
    import pandas as pd

    from imblens.report._audit import Audit
    from imblens.report._image_sheet import Key, Sheet

MANY_CLASSES, ENDS = 120, 30  # of more classes than that, so many are shown at either end; the rest is searched
SUSPECTS_SHOWN = 100
GALLERY_CLASSES = 60
NEIGHBOURS = 5
ROWS_IN_FULL = 12  # of a table, for the class of interest
STRONGEST_FIRST = {"class_features": "magnitude", "feature_density": "rate_ratio", "colours": "share"}  # by that column


def wanted_images(audit: Audit) -> list[Key]:
    """Images that the page can show, those it cannot do without first."""
    return [
        *(("train", str(row["prototype"])) for _, rows in _prototypes(audit) for row in rows),
        *(("train", name) for row in _suspects(audit) for name in (row["id"], *(near for near, _ in row["near"]))),
        *_points(audit),
    ]


def gallery(audit: Audit, sheet: Sheet) -> list[dict[str, Any]]:
    """The prototypes of each class that have an image: the largest and the smallest classes of very many."""
    groups = []
    for name, rows in _prototypes(audit):
        shown = []
        for row in rows:
            at = sheet.at("train", str(row["prototype"]))
            if at is not None:
                kind, several = row["archetype"], "prototypes" in audit["archetypes"].tables
                caption = f"{kind}, for {percent(row['share'])}" if several else f"{kind} {percent(row['share'])}"
                alt = (
                    f"A typical {kind} training image of {name}"
                    if several
                    else f"The most typical {kind} training image of {name}"
                )
                shown.append({"at": at, "alt": alt, "caption": caption})
        if shown:
            groups.append({"name": name, "images": shown})
    return groups


def suspects(audit: Audit, sheet: Sheet) -> list[dict[str, Any]]:
    """The most suspect instances with their nearest neighbours, each with its image where there is one."""
    found = []
    for row in _suspects(audit):
        near = [{"id": name, "label": label, "at": sheet.at("train", name)} for name, label in row["near"]]
        found.append({**row, "at": sheet.at("train", row["id"]), "near": near, "score": f"{row['score']:.2f}"})
    return found


def _prototypes(audit: Audit) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    from imblens.report._verdict import ARCHETYPES

    columns = {"class", "archetype", "prototype", "share"}
    table = _table(audit, "archetypes", "prototypes", columns)  # several of each kind, where they were asked for
    if table is None:
        table = _table(audit, "archetypes", "archetypes", columns)
    if table is None:
        return
    known = table[table["prototype"].notna()]
    kept = set(ends(audit, GALLERY_CLASSES))
    for name, rows in known.groupby("class", sort=False):
        if str(name) in kept:
            records = rows.to_dict("records")
            yield str(name), [row for kind in ARCHETYPES for row in records if row["archetype"] == kind]


def ends(audit: Audit, most: int) -> list[str]:
    """Every class, largest first; of more than `most` the largest and smallest halves, and the class of interest."""
    counts = audit.run.train.class_counts
    order = [audit.run.classes[i] for i in sorted(range(len(counts)), key=lambda i: -counts[i])]
    if len(order) <= most:
        return order
    kept = order[: most // 2] + order[-(most // 2) :]
    return kept + ([audit.of] if audit.of is not None and audit.of not in kept else [])


def _suspects(audit: Audit) -> list[dict[str, Any]]:
    columns = {"id", "class", "suggested", "score", "predicted"}
    table = _table(audit, "label_suspects", "label_suspects", columns)
    if table is None or table.empty:
        return []
    if "suspects" not in audit._cache:
        audit._cache["suspects"] = list(_with_neighbours(audit, table.head(SUSPECTS_SHOWN)))
    found: list[dict[str, Any]] = audit._cache["suspects"]
    return found


def _with_neighbours(audit: Audit, table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    train = audit.run.train
    rows = {str(name): place for place, name in enumerate(train.ids)}
    graph = audit.run.neighbours(NEIGHBOURS).indices
    for row in table[["id", "class", "suggested", "score", "predicted"]].to_dict("records"):
        near = graph[rows[str(row["id"])]].tolist()
        predicted = row["predicted"]
        yield {
            "id": str(row["id"]),
            "label": str(row["class"]),
            "suggested": str(row["suggested"]),
            "predicted": str(predicted) if isinstance(predicted, str) else "",
            "score": float(row["score"]),
            "near": [(str(train.ids[i]), train.classes[train.labels[i]]) for i in near],
        }


def _points(audit: Audit) -> list[Key]:
    """Instances on the map, the telling ones first: wrong answers, then outliers, rare and border cases."""
    table = _table(audit, "embedding_map", "embedding_map", {"id", "split", "archetype", "correct"})
    if table is None:
        return []
    rank = {"outlier": 1, "rare": 2, "border": 3}
    first = table["archetype"].map(rank).fillna(4).where(table["correct"].map(lambda right: right is not False), 0)
    drawn = table.iloc[first.to_numpy().argsort(kind="stable")]
    return list(zip(drawn["split"].astype(str), drawn["id"].astype(str), strict=True))


def _table(audit: Audit, lens: str, name: str, columns: set[str]) -> pd.DataFrame | None:
    finding = audit.findings.get(lens)
    table = None if finding is None else finding.tables.get(name)
    return table if table is not None and columns <= set(table.columns) else None


def in_full(audit: Audit, sections: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything an audit says of its class of interest: a line and a small table of each lens, and its images."""
    from imblens.report._page import heading, table_html

    name = audit.of or ""
    parts = []
    for section in sections:
        finding = audit.findings[section["name"]]
        lines = [section["said"][name]] if name in section["said"] else []
        tables = []
        for title, table in finding.tables.items():
            of = next((column for column in ("class", "reference") if column in table.columns), None)
            if of is None or title == "embedding_map":
                continue
            rows = table[table[of] == name].drop(columns=of).dropna(axis="columns", how="all")
            if STRONGEST_FIRST.get(title) in rows.columns:
                rows = rows.sort_values(STRONGEST_FIRST[title], ascending=False, kind="stable")
            if len(rows) and len(rows.columns):
                tables.append({"title": heading(title), "html": table_html(rows.head(ROWS_IN_FULL)), "all": len(rows)})
        if lines or tables:
            parts.append({**section, "lines": lines, "tables": tables})
    return {
        "name": name,
        "parts": parts,
        "images": [image for group in groups if group["name"] == name for image in group["images"]],
        "rows": ROWS_IN_FULL,
    }
