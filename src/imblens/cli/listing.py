"""imblens list: every name of a family with one line; with a name, its full explanation."""

from __future__ import annotations

import typer

from imblens.cli._explain import explained
from imblens.cli._lists import LISTS
from imblens.cli._shared import Json, emit, examples
from imblens.errors import MissingError, did_you_mean

EXAMPLES = examples("imblens list lenses", "imblens list lenses archetypes", "imblens list data cifar10")


def _lists(incomplete: str) -> list[str]:
    return [what for what in LISTS if what.startswith(incomplete)]


def command(
    what: str = typer.Argument(
        ...,
        metavar="data|models|losses|schedules|samplers|lenses|treatments|oversamplers|batches|studies|exports",
        help="Which list.",
        autocompletion=_lists,
    ),
    name: str | None = typer.Argument(None, metavar="NAME", help="Name of an entry to explain in full."),
    as_json: bool = Json,
) -> None:
    """List the names that can be used, and explain them."""
    if what not in LISTS:
        raise MissingError(f"there is no list {what!r}.", hint=did_you_mean(what, list(LISTS)))
    entries = LISTS[what]()
    if name is not None:
        explained(name, entries, as_json, (what,))
        return
    width = max(map(len, entries))
    first = {
        key: (text.strip() or "(its package describes it nowhere)").splitlines()[0] for key, text in entries.items()
    }
    lines = [f"{key:<{width}}  {text}" for key, text in first.items()]
    emit(first, [*lines, f"next: imblens list {what} {next(iter(first))}"], as_json=as_json)
