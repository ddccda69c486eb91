"""Commands, scripts and pages run in this process: another one would spend seconds on imports before it does anything.

Tests whose point is the process (start-up, Ctrl-C, two hash seeds) start one instead.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from unittest import mock

import pytest

from imblens.cli import main


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def imblens(*words: object, cwd: Path) -> Done:
    """Run the command line as a person would type it in the folder `cwd`."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with as_a_process(cwd, ["imblens", *map(str, words)]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


@contextmanager
def as_a_process(cwd: Path, argv: list[str]) -> Iterator[None]:
    """Words, folder, environment and warnings as a new process has them; all is put back afterwards."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch, mock.patch.dict(os.environ), warnings.catch_warnings():
        patch.chdir(cwd)
        patch.setattr(sys, "argv", argv)
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(warnings, "showwarning", _shown)
        warnings.simplefilter("default")
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
        try:
            yield
        finally:
            for name in set(sys.modules) - before:  # files of the folder, which another folder may hold as well
                if str(getattr(sys.modules[name], "__file__", None)).startswith(f"{cwd}{os.sep}"):
                    del sys.modules[name]


def _shown(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(warnings.formatwarning(message, category, filename, lineno, line), end="", file=file or sys.stderr)
