"""Runs, archives and tables as the source of a command: the options that name a table's columns, and reading it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from imblens.base.split_names import split_of
from imblens.base.wording import listed
from imblens.cli._groups import grouped
from imblens.cli.capture import class_list
from imblens.errors import InputError, MissingError

if TYPE_CHECKING:
    from imblens.run import Run

SOURCE = "RUN|ARRAYS.npz|TABLE.parquet"
Task = typer.Option(
    None,
    "--task",
    metavar="multiclass|multilabel",
    help="For arrays and tables: single-label or multi-label; by default inferred from the labels, and stated.",
)


@dataclass(frozen=True)
class TableOptions:
    """Options of a command about a table: an attribute per option, None where it was not given."""

    features: str | None = grouped(
        None,
        "--features",
        metavar="COL",
        help="For a table: a column of feature lists, or several columns of numbers: a,b,c or a pattern such as f*.",
    )
    label: str | None = grouped(None, "--label", metavar="COL", help="For a table: the column of labels.")
    split: str | None = grouped(
        None, "--split", metavar="COL", help="For a table: the column with train, val and test."
    )
    logits: str | None = grouped(
        None, "--logits", metavar="COL", help="For a table: the column of logits; text labels then need --classes."
    )
    id: str | None = grouped(None, "--id", metavar="COL", help="For a table: the column that identifies instances.")
    group: str | None = grouped(
        None,
        "--group",
        metavar="COL",
        help="For a table: the column of the patient, source image or site; intervals are by group.",
    )
    preview: str | None = grouped(
        None, "--preview", metavar="COL", help="For a table: a column of text that reports show."
    )
    classes: str | None = grouped(
        None, "--classes", metavar="A,B,C|FILE", help="For a table: class names in the order of the logits."
    )

    @property
    def given(self) -> dict[str, str]:
        """The options that were given, by name."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}

    def words(self, *sources: Path) -> list[str]:
        """The options as they were typed, for the next command; none where no source is a table."""
        from imblens.run import is_table

        if not any(is_table(source) for source in sources):
            return []
        return [word for name, value in self.given.items() for word in (f"--{name}", value)]


def load(source: Path, options: TableOptions, *, mixed: bool = False, task: Any = None) -> Run:
    """Read a run, an archive or a table.

    Args:
        source: its path.
        options: the columns of a table.
        mixed: whether another source may be the table that the options are for.
        task: as in `Run.from_arrays`.

    Raises:
        InputError: options for a table where there is none.
        MissingError: options that a table needs; the message lists its columns.
    """
    from imblens.run import Run, is_table

    if not is_table(source) or not source.exists():
        if options.given and not mixed and source.exists():
            names = ", ".join(f"--{name}" for name in options.given)
            raise InputError(f"{source} is not a table, so {names} cannot be used.", hint="Leave the option out.")
        return Run.load(source, task=task)
    columns = Run.table_columns(source)
    names_splits = source.is_dir() and any(split_of(file.name.replace("-", " ")) for file in source.rglob("*"))
    needed = ["features", "label", *([] if names_splits else ["split"])]
    missing = [f"--{name}" for name in needed if name not in options.given]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise MissingError(
            f"{source} is a table: {' and '.join(missing)} {verb} not given.",
            hint=f"Its columns: {listed(columns, 30)}. For example: --features embedding --label y --split split.",
        )
    return Run.from_table(source, **arguments(options, columns), task=task)


def arguments(options: TableOptions, columns: Sequence[str]) -> dict[str, Any]:
    """The arguments of `Run.from_table` that the options mean.

    >>> arguments(TableOptions("f*", "y", classes="a,b"), ["f1", "f2", "y"])
    {'features': ['f1', 'f2'], 'label': 'y', 'classes': ['a', 'b']}
    """
    found: dict[str, Any] = dict(options.given)
    for name in ("features", "label", "logits"):
        if name in found:
            found[name] = _several(found[name], columns)
    if "classes" in found:
        found["classes"] = class_list(found["classes"])
    return found


def _several(text: str, columns: Sequence[str]) -> str | list[str]:
    """One column, or those between commas; * and ? stand for any characters."""
    if text in columns:
        return text
    names: list[str] = []
    for piece in text.split(","):
        piece = piece.strip()
        matching = [name for name in columns if fnmatchcase(name, piece)] if set("*?") & set(piece) else []
        names += matching or [piece]
    return names[0] if len(names) == 1 else names
