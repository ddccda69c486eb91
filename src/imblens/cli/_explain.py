"""Explanations of names: `imblens list LIST NAME`, `--explain NAME`, and completion in the shell."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import typer

from imblens.cli._lists import LISTS
from imblens.cli._shared import emit
from imblens.errors import MissingError, did_you_mean

WIDTH, NARROWEST = 116, 12  # characters of a table, of a column
_ONE_OF = {  # list -> one entry of it, for messages
    "data": "data set",
    "models": "network",
    "losses": "loss",
    "schedules": "schedule",
    "samplers": "sampler",
    "lenses": "lens",
    "treatments": "treatment",
    "oversamplers": "over-sampler",
    "batches": "way to change batches",
    "studies": "study",
    "exports": "export",
}


def explain(*lists: str) -> Any:
    """Return an option that explains a name of those lists of `imblens list`, and exits."""

    def show(name: str | None) -> None:
        if name is None:
            return
        entries = {key: text for what in lists for key, text in LISTS[what]().items()}
        explained(name, entries, "--json" in sys.argv, lists)
        raise typer.Exit

    return typer.Option(
        None,
        "--explain",
        metavar="NAME",
        is_eager=True,
        expose_value=False,
        callback=show,
        autocompletion=named(*lists),
        help=f"Explain a name of `imblens list {'`, `'.join(lists)}`, and exit.",
    )


def named(*lists: str) -> Callable[[str], list[str]]:
    """Complete an option in the shell with the names of lists of `imblens list`."""

    def complete(incomplete: str) -> list[str]:
        return [name for what in lists for name in LISTS[what]() if name.startswith(incomplete)]

    return complete


def explained(name: str, entries: Mapping[str, str], as_json: bool, lists: Sequence[str]) -> None:
    """Print the full text of one entry of those lists.

    Raises:
        MissingError: no entry has that name.
    """
    if name not in entries:
        *kinds, last = (_ONE_OF[what] for what in lists)
        kind = f"{', '.join(kinds)} or {last}" if kinds else last
        raise MissingError(f"there is no {kind} {name!r}.", hint=did_you_mean(name, list(entries)))
    emit({name: entries[name]}, _without_markdown(entries[name].rstrip()), as_json=as_json)


def _without_markdown(text: str) -> list[str]:
    """Format an explanation for a terminal: tables in columns, formulas and code indented instead of fenced."""
    lines: list[str] = []
    table: list[list[str]] = []
    indent = ""
    for line in [*text.split("\n"), ""]:
        if line.startswith("|") and not indent:
            table.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))])
            continue
        lines += _columns(table)
        table = []
        if line.startswith("```"):
            indent = "" if indent else "  "
            continue
        lines.append(indent + line if line else "")
    return lines[:-1]


def _columns(table: list[list[str]]) -> list[str]:
    """Align rows in columns; where they are wider than a terminal, the widest columns are wrapped."""
    filled = [row for row in table if not all(set(cell) <= set("-: ") for cell in row)]
    if not filled:
        return []
    n = max(map(len, filled))
    rows = [row + [""] * (n - len(row)) for row in filled]
    width = [max(len(row[i]) for row in rows) for i in range(n)]
    while sum(width) + 2 * n > WIDTH and max(width) > NARROWEST:
        width[width.index(max(width))] -= 1
    lines = []
    for row in rows:
        cells = [
            textwrap.wrap(cell, max(1, wide), break_on_hyphens=False) for cell, wide in zip(row, width, strict=True)
        ]
        for parts in zip_longest(*cells, fillvalue=""):
            lines.append("  " + "  ".join(f"{part:<{wide}}" for part, wide in zip(parts, width, strict=True)).rstrip())
    return lines
