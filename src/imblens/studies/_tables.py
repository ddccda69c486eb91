"""From finished cells to the table that is printed: mean and spread over seeds, the paper's value beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from imblens.base.markdown import markdown_table

PAPERS = Path(__file__).parent / "papers"
OPTIONS = (
    "oversample",
    "remix",
    "rebalanced_mixup",
    "drw",
    "treatment",
)  # columns of a paper's table that may be left at none
DRAWN = ("seed", "cut")  # what networks that are averaged differ in
SECONDS = ("train_seconds", "treat_seconds")


def summarise(
    results: pd.DataFrame, group: Sequence[str], published: str = "", missing: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Return mean, standard deviation and number of networks of every measure, and the paper's value where there is one.

    Args:
        results: one row per cell, as `results.csv`.
        group: the columns that identify a row of the table.
        published: name of a table in `papers`, or "".
        missing: data sets without results: what to download for each.

    Returns:
        A row for each group in order of appearance: `group`, `seeds`, and for each measure m the columns m, m_sd (sample
        standard deviation; NaN with one seed) and, where known, m_paper. Then a row for each missing set, of no seeds, with
        the paper's value where it has one alone for that set, and the column `needs`.
    """
    measures = measures_of(results, group)
    grouped = results.groupby(list(group), sort=False, dropna=False)
    table = grouped.size().rename("seeds").reset_index()
    paper = read_paper(published, group) if published else pd.DataFrame()
    shared = [name for name in group if name in paper.columns]
    for name in measures:
        values = grouped[name]
        table[name] = values.mean().to_numpy()
        table[f"{name}_sd"] = values.std(ddof=1).to_numpy()
        if name in paper.columns and shared:
            known = paper.groupby(shared)[name].mean()
            keys = table[shared].itertuples(index=False, name=None)
            table[f"{name}_paper"] = [known.get(key if len(shared) > 1 else key[0], float("nan")) for key in keys]
    return with_missing(table, missing or {}, paper)


def with_missing(table: pd.DataFrame, missing: Mapping[str, str], paper: pd.DataFrame) -> pd.DataFrame:
    """Add a row for each missing data set: what it needs, and the paper's values where the paper has one row for it."""
    if not missing:
        return table
    rows = []
    for name, needs in missing.items():
        row: dict[str, Any] = {"data": name, "seeds": 0, "needs": needs}
        known = paper[paper["data"] == name] if "data" in paper.columns else paper
        for column in table.columns:
            if column.endswith("_paper") and len(known) == 1:
                row[column] = known[column.removesuffix("_paper")].iloc[0]
        rows.append(row)
    return pd.concat([table.assign(needs=""), pd.DataFrame(rows).reindex(columns=[*table.columns, "needs"])])


def read_paper(published: str, group: Sequence[str]) -> pd.DataFrame:
    """Read a paper's table. Of options that this study does not vary, only rows without them are comparable."""
    paper = pd.read_csv(PAPERS / f"{published}.csv")
    for name in OPTIONS:
        if name in paper.columns and name not in group:
            paper = paper[paper[name].astype(str).isin(("none", "False"))]
    return paper


def measures_of(results: pd.DataFrame, group: Sequence[str]) -> list[str]:
    """Return the numeric columns that are measured, not set."""
    return [
        str(name)
        for name in results.columns
        if name not in (*group, *DRAWN, "failed") and pd.api.types.is_numeric_dtype(results[name])
    ]


def compare(results: pd.DataFrame, claims: Sequence[str], group: Sequence[str], measure: str) -> pd.DataFrame:
    """Compare claims such as `eos > smote` with the results, pair by pair: same network, same seed.

    A side is a treatment, or options such as `oversample=smote` (then untreated, other options at "none" or false).

    Returns:
        A row for each claim and each data set (and whatever else varies): difference (mean of left - right), its
        standard deviation over pairs, pairs, and in how many the left side was larger.
    """
    rows: list[dict[str, Any]] = []
    for claim in claims:
        left, right = (_side(results, side.strip(), group) for side in claim.split(">"))
        keys = [name for name in (*group, *DRAWN) if name in left[1] and name in right[1]]
        both = left[0].merge(right[0], on=keys, suffixes=("_left", "_right"))
        by = [name for name in keys if name not in DRAWN]
        for values, pairs in both.groupby(by, sort=False, dropna=False) if by else [((), both)]:
            difference = (pairs[f"{measure}_left"] - pairs[f"{measure}_right"]).dropna()
            if len(difference):
                rows.append(
                    {
                        "claim": claim,
                        **dict(zip(by, values, strict=True)),
                        "difference": difference.mean(),
                        "sd": difference.std(ddof=1) if len(difference) > 1 else float("nan"),
                        "pairs": len(difference),
                        "held": int((difference > 0).sum()),
                    }
                )
    return pd.DataFrame(rows)


def _side(results: pd.DataFrame, side: str, group: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that a side of a claim selects, and the columns that it leaves open."""
    wanted, place = {"treatment": ""}, "treatment"
    for word in side.split():
        name, equals, value = word.partition("=")
        if equals and name in group:
            wanted[name], place = value, name
        elif equals:  # an option of the treatment or over-sampler before it
            wanted[place] += f" {word}"
        else:
            wanted["treatment"], place = word, "treatment"
    wanted["treatment"] = wanted["treatment"] or "none"
    rows = results
    for name, value in wanted.items():
        rows = rows[rows[name].astype(str) == value]
    return rows, [name for name in (*group, *DRAWN) if name in results and name not in wanted]


def as_markdown(table: pd.DataFrame, group: Sequence[str]) -> str:
    """Format a table: mean ± standard deviation (paper's value)."""
    measures = [n for n in table.columns if f"{n}_sd" in table.columns and n not in SECONDS]
    head = [*group, "seeds", *measures, *(["needs"] if "needs" in table else [])]
    rows = [
        [
            *(_plain(row[name]) for name in (*group, "seeds")),
            *(_shown(row[n], row[f"{n}_sd"], row.get(f"{n}_paper")) for n in measures),
            *([row["needs"]] if "needs" in row else []),
        ]
        for row in table.to_dict("records")
    ]
    return markdown_table(head, rows)


def plain_markdown(table: pd.DataFrame) -> str:
    """Format any small table as Markdown."""
    rows = table.itertuples(index=False, name=None)
    cells = [[f"{v:.3f}" if isinstance(v, float) and v == v else _plain(v) for v in row] for row in rows]
    return markdown_table(list(map(str, table.columns)), cells)


def _plain(value: Any) -> str:
    """Format a name or a count; nothing where there is none."""
    return "" if value is None or value != value else str(value)


def _shown(mean: float, spread: float, paper: float | None) -> str:
    text = "-" if mean != mean else f"{mean:.3f}" + (f" ± {spread:.3f}" if spread == spread else "")
    return text + (f" (paper {paper:.3f})" if paper is not None and paper == paper else "")
