"""imblens list: what there is, one line each; with a name, the whole explanation."""

from __future__ import annotations

from collections.abc import Callable

import typer

from imblens.cli._shared import Json, emit
from imblens.errors import MissingError, did_you_mean

EXAMPLES = "Examples:  imblens list lenses  |  imblens list lenses archetypes  |  imblens list treatments"


def command(
    what: str = typer.Argument(
        ..., metavar="data|models|losses|lenses|treatments|oversamplers|studies", help="Which list."
    ),
    name: str | None = typer.Argument(None, metavar="[NAME]", help="Explain this one in full."),
    as_json: bool = Json,
) -> None:
    """List what can be used, and explain it."""
    if what not in LISTS:
        raise MissingError(f"there is no list {what!r}.", hint=did_you_mean(what, list(LISTS)))
    entries = LISTS[what]()
    if name is None:
        width = max(map(len, entries))
        lines = [f"{key:<{width}}  {text.strip().splitlines()[0]}" for key, text in entries.items()]
        emit({key: text.strip().splitlines()[0] for key, text in entries.items()}, lines, as_json=as_json)
        return
    if name not in entries:
        raise MissingError(f"{what} has no {name!r}.", hint=did_you_mean(name, list(entries)))
    emit({name: entries[name]}, [entries[name]], as_json=as_json)


def _data() -> dict[str, str]:
    from imblens.data import picture_sets

    return picture_sets()


def _models() -> dict[str, str]:
    from imblens.models import model_descriptions

    return dict(model_descriptions())


def _losses() -> dict[str, str]:
    from imblens.losses import loss_descriptions

    return dict(loss_descriptions())


def _lenses() -> dict[str, str]:
    from imblens.lenses import all_lenses, lens_info, lens_page

    found = {}
    for key, function in all_lenses().items():
        sections = [f"{heading}\n{text}" for heading, text in lens_page(key).items() if heading != "Example"]
        found[key] = "\n\n".join([lens_info(function).question, *sections])
    return found


def _treatments() -> dict[str, str]:
    from imblens.treatments import treatment_descriptions

    return dict(treatment_descriptions())


def _oversamplers() -> dict[str, str]:
    from imblens.synthesis import oversampler_descriptions

    return dict(oversampler_descriptions())


def _studies() -> dict[str, str]:
    from imblens.studies import study_descriptions

    return dict(study_descriptions())


LISTS: dict[str, Callable[[], dict[str, str]]] = {
    "data": _data,
    "models": _models,
    "losses": _losses,
    "lenses": _lenses,
    "treatments": _treatments,
    "oversamplers": _oversamplers,
    "studies": _studies,
}
