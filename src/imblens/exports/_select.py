"""Which instances are exported: label suspects, test errors, or all, as rows of one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from imblens.base.id_list import read_ids, unguarded
from imblens.base.wording import listed
from imblens.errors import InputError, MissingError, NotApplicable, did_you_mean
from imblens.lenses.label_suspects import suggested_labels
from imblens.report import audit
from imblens.run import Run

WHAT = {
    "suspects": "training instances whose label the out-of-sample evidence contradicts, highest score first",
    "errors": "misclassified test instances, most confident first",
    "predictions": "all instances with what is known of each",
}
LENSES = {"suspects": ["archetypes", "label_suspects"], "errors": [], "predictions": ["archetypes", "label_suspects"]}


def select(
    run: Run, what: str, *, of: str | None, ids: Sequence[str] | str | Path | None, limit: int | None
) -> pd.DataFrame:
    """Return the instances to export.

    Args:
        run: the run.
        what: name in `WHAT`.
        of: only instances of this class.
        ids: only these, or those that a CSV names in its column `id`.
        limit: at most so many.

    Returns:
        Columns of `Audit.instances`, and row (position in the split) and suggested (another class than that of the label, of
        label suspects; else None).

    Raises:
        MissingError: no such class, kind or id.
        InputError: nothing is left to export, or `limit` is less than 1.
        NotApplicable: the run has no such instances; states the reason.
    """
    if what not in WHAT:
        raise MissingError(f"instances of kind {what!r} cannot be exported.", hint=did_you_mean(what, list(WHAT)))
    if of is not None and of not in run.classes:
        raise MissingError(f"no class {of!r} in this run.", hint=did_you_mean(of, run.classes))
    if limit is not None and limit < 1:
        raise InputError(f"limit={limit} must be at least 1.", hint="Leave it out to export all.")
    found = audit(run, lenses=LENSES[what])
    if what == "suspects" and "label_suspects" in found.skipped:
        raise NotApplicable(found.skipped["label_suspects"], hint="Choose --what errors or --what predictions.")
    if what == "suspects" and run.train.multilabel:
        raise NotApplicable(
            "suspects of a multi-label run are pairs of an instance and a label, which these tools do not read; "
            "tables/label_suspects.csv of an audit lists them.",
            hint="Choose --what errors or --what predictions.",
        )
    if what == "errors" and (run.test is None or not run.test.has_logits):
        raise NotApplicable(
            "errors: the run has no test split, or the predictions on it are unknown.",
            hint="Choose --what predictions.",
        )
    table = found.instances()
    table["row"] = table.groupby("split", sort=False).cumcount()
    table["suggested"] = _suggested(run, table) if "label_suspects" in found.findings else None
    if what == "suspects":
        chosen = table[table["suggested"].notna()].sort_values("suspect_score", ascending=False, kind="stable")
    elif what == "errors":
        chosen = table[(table["split"] == "test") & ~table["correct"].astype(bool)]
        chosen = chosen.sort_values("confidence", ascending=False, kind="stable")
    else:
        chosen = table
    if of is not None:
        chosen = chosen[[of in names(value) for value in chosen["class"]]]
    if ids is not None:
        chosen = _named(chosen, table, ids, what)
    if chosen.empty:
        of_class = "" if of is None else f" of class {of!r}"
        raise InputError(f"there are no {what}{of_class} in this run.", hint=f"Other kinds: {', '.join(WHAT)}.")
    return chosen.iloc[:limit].reset_index(drop=True)


def names(value: Any) -> list[str]:
    """Class names of one cell: a name, a list of names, or nothing."""
    if isinstance(value, (list, np.ndarray)):
        return [str(name) for name in value]
    return [value] if isinstance(value, str) else []


def _suggested(run: Run, table: pd.DataFrame) -> Any:
    found = np.full(len(table), None, dtype=object)
    if run.train.multilabel:
        return found
    train = np.flatnonzero((table["split"] == "train").to_numpy())
    suggested = suggested_labels(run)
    differs = suggested != run.train.labels
    found[train[differs]] = np.array(run.classes, dtype=object)[suggested[differs]]
    return found


def _named(chosen: pd.DataFrame, table: pd.DataFrame, ids: Sequence[str] | str | Path, what: str) -> pd.DataFrame:
    """The rows that a list names, in the order of `chosen`; ids that are unknown, or no such instances, are refused."""
    where = "ids"
    if isinstance(ids, (str, Path)):
        ids, where = read_ids(Path(ids), "--ids")[0], f"--ids {ids}"
    known, there = set(table["id"]), set(chosen["id"])
    wanted = [unguarded(str(name), known) for name in ids]
    for of, kind in ((known, "instance of the run"), (there, what.removesuffix("s"))):
        lacking = [name for name in wanted if name not in of]
        if lacking:
            raise MissingError(
                f"{where}: {len(lacking)} of {len(wanted)} ids name no {kind}: {listed(list(map(repr, lacking)), 3)}.",
                hint=f"Ids of this run look like {str(table['id'].iloc[0])!r}."
                if of is known
                else "With predictions instead, any instance can be named (--what predictions).",
            )
    return chosen[chosen["id"].isin(set(wanted))]
