"""Runs that a caller passed, or an error that explains how to get one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from imblens.errors import InputError
from imblens.run._foreign import described
from imblens.run._run import Run


def as_runs(values: Any, asked: str) -> list[Run]:
    """Return the runs of a list; see `as_run`."""
    if isinstance(values, (str, Path, Run, Mapping)) or not isinstance(values, Iterable):
        raise InputError(f"{asked}: runs must be a list of runs, found {described(values)}.", hint="Give two or more.")
    return [as_run(run, asked) for run in values]


def as_run(value: Any, asked: str) -> Run:
    """Return `value` if it is a run; otherwise the error explains how to get one from what was passed.

    Raises:
        InputError: not a run.
    """
    if isinstance(value, Run):
        return value
    if isinstance(value, (str, Path)):
        hint = f"Read it first: imblens.{asked}(imblens.Run.load({str(value)!r}), ...)."
    else:
        hint = "Pass imblens.Run.load(PATH), Run.from_arrays(train=(features, labels), ...), or what capture returned."
    raise InputError(f"{asked} needs a Run, found {described(value)}.", hint=hint)
