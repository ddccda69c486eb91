"""imblens list: what there is, one line each; with a name, the whole explanation."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer

from imblens.cli._shared import Json, emit, examples
from imblens.errors import MissingError, did_you_mean

EXAMPLES = examples("imblens list lenses", "imblens list lenses archetypes", "imblens list data cifar10")


_ONE_OF = {  # of a list, for messages
    "data": "data set",
    "models": "network",
    "losses": "loss",
    "schedules": "schedule",
    "samplers": "sampler",
    "lenses": "lens",
    "treatments": "treatment",
    "oversamplers": "over-sampler",
    "studies": "study",
}


def _lists(incomplete: str) -> list[str]:
    return [what for what in LISTS if what.startswith(incomplete)]


def command(
    what: str = typer.Argument(
        ...,
        metavar="data|models|losses|schedules|samplers|lenses|treatments|oversamplers|studies",
        help="Which list.",
        autocompletion=_lists,
    ),
    name: str | None = typer.Argument(None, metavar="NAME", help="Explain this one in full."),
    as_json: bool = Json,
) -> None:
    """List what can be used, and explain it."""
    if what not in LISTS:
        raise MissingError(f"there is no list {what!r}.", hint=did_you_mean(what, list(LISTS)))
    entries = LISTS[what]()
    if name is not None:
        explained(name, entries, as_json, (what,))
        return
    width = max(map(len, entries))
    says = {key: (text.strip() or "(its package says nothing of it)").splitlines()[0] for key, text in entries.items()}
    lines = [f"{key:<{width}}  {text}" for key, text in says.items()]
    emit(says, [*lines, f"next: imblens list {what} {next(iter(says))}"], as_json=as_json)


def explained(name: str, entries: Mapping[str, str], as_json: bool, lists: Sequence[str]) -> None:
    """Print the whole text of one entry of those lists.

    Raises:
        MissingError: there is none of that name.
    """
    if name not in entries:
        *kinds, last = (_ONE_OF[what] for what in lists)
        kind = f"{', '.join(kinds)} or {last}" if kinds else last
        raise MissingError(f"there is no {kind} {name!r}.", hint=did_you_mean(name, list(entries)))
    emit({name: entries[name]}, _without_markdown(entries[name].rstrip()), as_json=as_json)


def _without_markdown(text: str) -> list[str]:
    """The lines of an explanation for a terminal: tables in columns, formulas and code indented instead of fenced."""
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
    """Rows under each other; the last column, which may be long, is wrapped beside the others."""
    filled = [row for row in table if not all(set(cell) <= set("-: ") for cell in row)]
    if not filled:
        return []
    width = [max(len(row[i]) if i < len(row) else 0 for row in filled) for i in range(max(map(len, filled)))]
    lines = []
    for row in filled:
        first = "".join(f"{cell:<{width[i]}}  " for i, cell in enumerate(row[:-1]))
        lines += textwrap.wrap(
            row[-1], max(40, 116 - len(first)), initial_indent="  " + first, subsequent_indent="  " + " " * len(first)
        ) or ["  " + first.rstrip()]
    return lines


def _data() -> dict[str, str]:
    from imblens.data import image_sets

    return image_sets()


def _models() -> dict[str, str]:
    from imblens.models import model_descriptions

    return {**model_descriptions(), "FILE.py:FACTORY": "a function of yours that returns a torch.nn.Module"}


def _losses() -> dict[str, str]:
    from imblens.losses import loss_descriptions, loss_page

    return {name: f"{says}\n\n{loss_page(name)}" for name, says in loss_descriptions().items()}


def _schedules() -> dict[str, str]:
    from imblens.training import schedule_descriptions

    return dict(schedule_descriptions())


def _samplers() -> dict[str, str]:
    from imblens.training import sampler_descriptions

    return dict(sampler_descriptions())


def _lenses() -> dict[str, str]:
    from imblens.lenses import all_lenses, lens_info, lens_page

    found = {}
    for key, function in all_lenses().items():
        sections = [f"{heading}\n{text}" for heading, text in lens_page(key).items() if heading != "Example"]
        found[key] = "\n\n".join([lens_info(function).question, *sections]).replace("<!-- example -->", "").rstrip()
    return found


def _treatments() -> dict[str, str]:
    from imblens.treatments import all_treatments

    return {
        name: _with_options(one, f"imblens treat RUN --with {name} --out RUN2")
        for name, one in all_treatments().items()
    }


def _oversamplers() -> dict[str, str]:
    from imblens.synthesis import oversamplers

    return {
        name: _with_options(one, f"imblens train DATA --oversample {name} --out RUN")
        for name, one in oversamplers().items()
    }


def _with_options(one: Any, typed: str) -> str:
    """Purpose, paper, command and options of a treatment or an over-sampler."""
    parts = [one.purpose]
    if one.paper:
        parts.append(f"Paper\n{one.paper}")
    options = "\n".join(
        f"  --set {option.name}={option.default}\n      {option.help.rstrip('.')}: {option.allowed()}"
        for option in one.options
    )
    parts.append(f"Command\n  {typed}" + (f"\n\nOptions, as they are when not given\n{options}" if options else ""))
    return "\n\n".join(parts)


def _studies() -> dict[str, str]:
    from imblens.studies import study_descriptions, study_file

    found = {}
    for name, says in study_descriptions().items():
        command = f"Command\n  imblens study {name} --quick --out DIR"
        text = study_file(name)
        found[name] = "\n\n".join(
            [says, command, *([f"Its file, a start for one of your own\n\n{text}"] if text else [])]
        )
    return found


LISTS: dict[str, Callable[[], dict[str, str]]] = {
    "data": _data,
    "models": _models,
    "losses": _losses,
    "schedules": _schedules,
    "samplers": _samplers,
    "lenses": _lenses,
    "treatments": _treatments,
    "oversamplers": _oversamplers,
    "studies": _studies,
}
