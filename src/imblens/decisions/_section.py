"""Sections of a report from files that commands wrote, and from rules measured on a test split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from imblens.base.wording import percent
from imblens.decisions._decision import Decision
from imblens.decisions._section_text import section, share, with_interval
from imblens.errors import InputError, MissingError, nearby
from imblens.run import Run

KEYS = {"question", "explanation", "lines", "columns", "rows", "notes"}
FILES = ("estimate.json", "collect.json", "gate.json")


def read_section(run: Run, path: Path) -> dict[str, Any]:
    """The section of what a command wrote: a folder of `estimate` or `collect`, `gate --json`, or rules of `predict`.

    Args:
        run: of the report; rules are measured on its test split.
        path: folder, .json or .safetensors.

    Raises:
        MissingError: nothing there, or a folder of something else.
        InputError: a file that cannot be read, or results of other classes.
    """
    if not path.exists():
        raise MissingError(
            f"there is no {path}.", hint=f"{nearby(path)}Give what estimate, collect, gate or predict wrote."
        )
    if path.suffix == ".safetensors":
        rules = Decision.load(path)
        if rules.classes != run.classes:
            raise InputError(f"{path} has rules for other classes.", hint="Give rules that were chosen on this run.")
        return decision_section(rules, run)
    file = path
    if path.is_dir():
        file = next((path / name for name in FILES if (path / name).is_file()), path)
    if file.is_dir():
        raise MissingError(f"{path} holds no result.", hint=f"It needs one of: {', '.join(FILES)}.")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["section"]
        if set(found) != KEYS or not all(len(row) == len(found["columns"]) for row in found["rows"]):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} holds no section for a report.", hint="Write it with imblens estimate, collect, or gate --json."
        ) from error
    if not {row[0] for row in found["rows"]} <= set(run.classes):
        raise InputError(f"{file} does not fit the classes of this run.", hint="Give results of the same network.")
    return dict(found)


def decision_section(rules: Decision, run: Run) -> dict[str, Any]:
    """What the rules do on the test split of a run, class by class.

    Raises:
        InputError: no test split with predictions.
    """
    if run.test is None or not len(run.test) or not run.test.has_logits:
        raise InputError(
            "rules are measured on a test split with predictions, which the run lacks.", hint="Capture a test split."
        )
    table = rules.measured(run.test)
    shown = pd.DataFrame(
        {
            "class": table["class"],
            "test instances": table["count"],
            "recall": [with_interval(*row) for row in table[["recall", "recall_low", "recall_high"]].to_numpy()],
            "precision": [share(value) for value in table["precision"]],
            "true class in set": [
                with_interval(*row) for row in table[["covered", "covered_low", "covered_high"]].to_numpy()
            ],
            "set size": [f"{value:.1f}" if value == value else "" for value in table["set_size"]],
            "to a person": [share(value) for value in table["abstain"]],
        }
    )
    if rules.multilabel:
        ends = table[["specificity", "specificity_low", "specificity_high"]].to_numpy()
        shown.insert(3, "specificity", [with_interval(*row) for row in ends])
        shown = shown.rename(columns={"recall": "sensitivity"})
    least = table.sort_values("covered", kind="stable").iloc[0]
    lines = [
        f"Prediction sets of kind `{rules.sets.method}` have a nominal coverage of {percent(rules.sets.coverage)}; measured "
        f"coverage is lowest for {least['class']}: "
        f"{with_interval(least['covered'], least['covered_low'], least['covered_high'])}.",
    ]
    most = table.sort_values("abstain", ascending=False, kind="stable").iloc[0]
    lines.append(f"Most often sent to a person: {most['class']}, {share(most['abstain'])} of its instances.")
    if rules.multilabel and rules.thresholds is not None:
        known = table[["recall", "specificity"]].dropna()
        lines.insert(
            0,
            f"With these thresholds, mean sensitivity is {percent(known['recall'].mean())} and mean specificity "
            f"{percent(known['specificity'].mean())} on the test split.",
        )
    order = table["recall"].sort_values(kind="stable").index
    return section("predict", lines, shown.loc[order], rules.notes)
