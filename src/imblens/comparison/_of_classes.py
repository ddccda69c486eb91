"""Named classes in every run, side by side: where errors go, what was forecast, and which features other classes share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from imblens.errors import InputError, MissingError, NotApplicable, did_you_mean
from imblens.lenses import adversaries, feature_density, feature_overlap
from imblens.run import Run, same_features

ERRORS, STRONGEST, DENSITY = "class_errors", "class_strongest", "class_density"


def check_classes(of: str | Sequence[str], runs: Sequence[Run], names: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes to show in full.

    Raises:
        MissingError: a run does not have one of them.
        InputError: one is given twice.
    """
    wanted = (of,) if isinstance(of, str) else tuple(of)
    for name in wanted:
        for run, title in zip(runs, names, strict=True):
            if name not in run.classes:
                raise MissingError(
                    f"compare: no class {name!r} in {title}.", hint=did_you_mean(name, list(run.classes))
                )
        if wanted.count(name) > 1:
            raise InputError(f"compare: class {name!r} is given twice.", hint="Give each class once.")
    return wanted


def class_tables(
    runs: Sequence[Run], names: Sequence[str], of: Sequence[str]
) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """Tables of the named classes, by name, and what could not be shown.

    Returns:
        `class_errors` (run, class, other, missed, false_positives, observed, forecast, shared): test instances of the class
        that are classified as the other and the reverse, the share of the class's errors, its forecast from training data
        (the leading one of `adversaries`) and how many of the strongest features are shared. NaN where unknown.
        `class_strongest` (run, class, other, rank, feature, share, shared): the strongest features of every class, and
        whether the named class has them too (IML, Fig. 6). `class_density` (run, class, adversary, rank, feature, ratio,
        rate_ratio): how often they are among the strongest of instances of another class (IML, Fig. 10). The last two hold
        runs with the same features once.
    """
    found: dict[str, list[pd.DataFrame]] = {ERRORS: [], STRONGEST: [], DENSITY: []}
    notes = []
    for place, (run, name) in enumerate(zip(runs, names, strict=True)):
        forecast, reason = _forecast(run)
        notes += [f"{name}: {reason}"] if reason else []
        overlap = feature_overlap(run).tables["feature_overlap"]
        twin = next((other for other in range(place) if same_features(runs[other].train, run.train)), None)
        density = None if twin is not None else feature_density(run).tables["feature_density"]
        if twin is not None:
            notes.append(f"{name} has the features of {names[twin]}, so these are shown once.")
        for label in of:
            strongest = _strongest(overlap, label)
            shared = strongest.groupby("other")["shared"].sum()
            found[ERRORS].append(
                _errors(run, label, forecast).assign(shared=lambda t, s=shared: t["other"].map(s), run=name)
            )
            if density is not None:
                found[STRONGEST].append(strongest.assign(run=name))
                found[DENSITY].append(_density(density, label).assign(run=name))
    tables = {key: pd.concat(frames, ignore_index=True) for key, frames in found.items()}
    return {key: table[["run", *table.columns.drop("run")]] for key, table in tables.items()}, tuple(notes)


def _forecast(run: Run) -> tuple[pd.DataFrame | None, str]:
    """The leading forecast and observed shares of pairs of classes, and what cannot be shown."""
    try:
        finding = adversaries(run)
    except NotApplicable:
        return None, "labels of multi-label runs have no confusion of classes."
    pairs = finding.tables["adversaries"].set_index(["class", "adversary"])
    found = pairs[[finding.summary["leading"], "observed"]].set_axis(["forecast", "observed"], axis=1)
    known = run.test is not None and run.test.has_logits
    return found, "" if known else "without predictions on a test split there are no observed errors."


def _errors(run: Run, label: str, forecast: pd.DataFrame | None) -> pd.DataFrame:
    """Rows of `class_errors` for one class, in the order of the run's classes; NaN where unknown."""
    place = run.classes.index(label)
    others = np.flatnonzero(np.arange(run.n_classes) != place)
    names = np.asarray(run.classes, dtype=object)[others]
    table = pd.DataFrame({"class": label, "other": names, "missed": np.nan, "false_positives": np.nan})
    table = table.assign(observed=np.nan, forecast=np.nan)
    if forecast is None:
        return table
    keys = pd.MultiIndex.from_arrays([[label] * len(names), names])
    table = table.assign(**{column: forecast[column].reindex(keys).to_numpy() for column in ("observed", "forecast")})
    if run.test is None or not run.test.has_logits:
        return table
    confusion: Any = run.test.confusion
    missed, false = (confusion[[place]].toarray()[0], confusion[:, [place]].toarray()[:, 0])
    return table.assign(missed=missed[others], false_positives=false[others])


def _strongest(table: pd.DataFrame, label: str) -> pd.DataFrame:
    own = set(table.loc[table["class"] == label, "feature"])
    rows = table.rename(columns={"class": "other"})[["other", "rank", "feature", "share"]]
    return rows.assign(**{"class": label, "shared": rows["feature"].isin(own)})[
        ["class", "other", "rank", "feature", "share", "shared"]
    ]


def _density(table: pd.DataFrame, label: str) -> pd.DataFrame:
    rows = table[(table["reference"] == label) & (table["adversary"] != label)]
    rank = rows.groupby("adversary", sort=False).cumcount() + 1
    return rows.assign(**{"class": label, "rank": rank})[
        ["class", "adversary", "rank", "feature", "ratio", "rate_ratio"]
    ]
