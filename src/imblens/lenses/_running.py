"""Lenses on a run: what each finds, or why it was skipped; and what they measure per class."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, signature
from typing import Any, NamedTuple

import pandas as pd

from imblens.base.progress import tracked
from imblens.base.random_state import random_state_kept
from imblens.errors import InputError, MissingError, NotApplicable, did_you_mean
from imblens.lenses._contract import Finding, Measure, lens_info, meets_needs
from imblens.lenses._registry import Lens, all_lenses
from imblens.run import Run
from imblens.run import engine as computing

LEFT_OUT = "it was left out on request."


def run_lenses(
    run: Run,
    lenses: str | Sequence[str] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    skip: str | Sequence[str] | Mapping[str, str] = (),
    progress: Callable[[str], None] | None = None,
    engine: str = "local",
    address: str | None = None,
    on_finding: Callable[[str, Finding], None] | None = None,
) -> tuple[dict[str, Finding], dict[str, str]]:
    """Run lenses on a run, and keep the reason where one does not apply.

    Args:
        run: features, labels and predictions of a network.
        lenses: names, or one name; all that are installed when None.
        options: keyword arguments by lens, for example {"archetypes": {"k": 10}}.
        skip: names to leave out, or names with the reason; they are listed as skipped.
        progress: called with the name of each lens before it runs.
        engine: "local", or "ray" to compute statistics over the parts of a run as tasks of a Ray cluster.
        address: of that cluster; None: that of RAY_ADDRESS, or one that is started here.
        on_finding: called with the name of each lens that ran and its finding.

    Returns:
        Findings by lens, in report order, and the reason by lens for those that were skipped: a lens that does not apply
        to this run, or that was left out. A lens of another package that fails is skipped with its error, also where only
        its lines, charts or measures fail; an error in a built-in lens is raised.

    Raises:
        MissingError: no such lens; the hint names the nearest.
        InputError: an option that a lens does not have.
        DependencyError: the engine is not installed.

    Example:
        >>> import numpy as np
        >>> run = Run.from_arrays(train=(np.eye(4), [0, 0, 0, 1]))
        >>> findings, skipped = run_lenses(run, ["archetypes", "class_accuracy"])
        >>> list(findings), skipped
        (['archetypes'], {'class_accuracy': 'class_accuracy: the run has no test split.'})
    """
    lenses = [lenses] if isinstance(lenses, str) else lenses
    left_out = (
        dict(skip) if isinstance(skip, Mapping) else dict.fromkeys([skip] if isinstance(skip, str) else skip, LEFT_OUT)
    )
    given = dict(options or {})
    known = all_lenses()
    for name in [*(lenses or ()), *left_out, *given]:
        if name not in known:
            raise MissingError(f"there is no lens {name!r}.", hint=did_you_mean(name, list(known)))
    for name, values in given.items():
        _check_options(name, known[name], values)
    findings: dict[str, Finding] = {}
    skipped: dict[str, str] = {}
    with random_state_kept(), computing(engine, address):
        chosen = {name: one for name, one in known.items() if lenses is None or name in lenses or name in left_out}
        _search_neighbours(run, {name: one for name, one in chosen.items() if name not in left_out}, given)
        for name, function in tracked(chosen.items(), lambda item: f"lens {item[0]}"):
            if name in left_out:
                skipped[name] = f"{name}: {left_out[name]}"
                continue
            if progress is not None:
                progress(name)
            try:
                found = function(run, **given.get(name, {}))
                if not lens_info(function).built_in:
                    _check_finding(found, name)
                findings[name] = found
            except NotApplicable as reason:
                skipped[name] = str(reason)
            except Exception as error:
                if lens_info(function).built_in:
                    raise
                skipped[name] = f"{name}: failed: {type(error).__name__}: {error}"
            if on_finding is not None and name in findings:
                on_finding(name, findings[name])
    return findings, skipped


def _search_neighbours(run: Run, chosen: Mapping[str, Lens], given: Mapping[str, Mapping[str, Any]]) -> None:
    """Search once for the most neighbours that any of the lenses uses; each takes a part of that graph."""
    most = 0
    for name, function in chosen.items():
        info = lens_info(function)
        if (usual := info.neighbours) and meets_needs(run, info):
            asked = given.get(name, {}).get("k")
            most = max(most, usual, asked if isinstance(asked, int) else 0)
    if most and len(run.train) > 1:
        run.neighbours(most)


class ClassMeasure(NamedTuple):
    """A class measure of a run.

    Attributes:
        lens: the lens that measured it.
        measure: its declaration.
        values: the numbers by class name; NaN where undefined.
        low, high: the 95% interval by class name, or None where the lens gives none.
    """

    lens: str
    measure: Measure
    values: pd.Series[float]
    low: pd.Series[float] | None
    high: pd.Series[float] | None


def class_measures(findings: Mapping[str, Finding]) -> dict[str, ClassMeasure]:
    """Return the class measures of findings by name, in report order.

    Args:
        findings: by lens, as `run_lenses` returns them.

    Example:
        >>> import numpy as np
        >>> run = Run.from_arrays(train=(np.eye(4), [0, 0, 1, 1]), head=([[3, 0, 0, 0], [0, 4, 0, 0]], [0, 0]))
        >>> norm = class_measures(run_lenses(run, "weight_norms")[0])["weight_norm"]
        >>> norm.lens, norm.values.to_dict()
        ('weight_norms', {'0': 3.0, '1': 4.0})
    """
    found: dict[str, ClassMeasure] = {}
    for lens, finding in findings.items():
        tables = finding.tables
        for measure in finding.info.measures:
            table = tables.get(measure.table)
            if table is None or measure.column not in table.columns:
                continue
            if measure.rows is not None:
                table = table[table[measure.rows[0]] == measure.rows[1]]
            table = table.set_index("class")
            column = measure.after if measure.after in table.columns else measure.column
            ends = [f"{column}_low", f"{column}_high"]
            low, high = (table[end].astype(float) if end in table.columns else None for end in ends)
            found.setdefault(measure.name, ClassMeasure(lens, measure, table[column].astype(float), low, high))
    return found


def _check_finding(found: Finding, name: str) -> None:
    """Ask a finding of another package for everything once, where an error can be recorded."""
    json.dumps(found.summary, allow_nan=False)
    for key, line in found.lines().items():
        if not isinstance(key, str) or not isinstance(line, str):
            raise TypeError(f"its lines hold {key!r}: {line!r}, not text by class name")
    for chart in found.charts().values():
        chart.to_dict()
    class_measures({name: found})


def _check_options(name: str, function: Callable[..., Finding], values: Mapping[str, Any]) -> None:
    parameters = signature(function).parameters
    if any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    allowed = list(parameters)[1:]
    for key in values:
        if key not in allowed:
            hint = did_you_mean(key, allowed) if allowed else "It has no options."
            raise InputError(f"the lens {name!r} has no option {key!r}.", hint=hint)
