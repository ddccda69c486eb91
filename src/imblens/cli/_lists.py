"""What `imblens list` lists: name -> explanation, per family."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imblens.exports import Export


def _described(module: str, name: str) -> Callable[[], dict[str, str]]:
    """A list that a function of another room returns, which is imported when it is asked for."""
    return lambda: dict(getattr(import_module(module), name)())


def _models() -> dict[str, str]:
    from imblens.models import model_descriptions

    return {**model_descriptions(), "FILE.py:FACTORY": "a function of yours that returns a torch.nn.Module"}


def _losses() -> dict[str, str]:
    from imblens.losses import loss_descriptions, loss_page

    return {name: f"{purpose}\n\n{loss_page(name)}" for name, purpose in loss_descriptions().items()}


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
    parts.append(f"Command\n  {typed}" + (f"\n\nOptions and their defaults\n{options}" if options else ""))
    return "\n\n".join(parts)


def _studies() -> dict[str, str]:
    from imblens.studies import study_descriptions, study_file

    found = {}
    for name, purpose in study_descriptions().items():
        command = f"Command\n  imblens study {name} --quick --out DIR"
        text = study_file(name)
        found[name] = "\n\n".join(
            [purpose, command, *([f"Its file, a template for your own\n\n{text}"] if text else [])]
        )
    return found


def _batches() -> dict[str, str]:
    from imblens.training import batch_options

    value = {"class-colours": " RUN0"}
    return {
        name: f"{text}\n\nCommand\n  imblens train DATA --{name}{value.get(name, '')} --out RUN"
        for name, text in batch_options().items()
    }


def _exports() -> dict[str, str]:
    from imblens.exports import exports

    return {
        name: f"{one.purpose}\n\nCommand\n  imblens export RUN --to {name} --out {name}\n\nUse\n  {use(one, name)}"
        for name, one in exports().items()
    }


def use(one: Export, out: str | Path, *, images: bool = True) -> str:
    """Return how the files of an export are opened.

    Args:
        one: the format.
        out: the folder of the files.
        images: whether they hold images.
    """
    return one.use.format(out=out, image="'image': 'Image', " if images else "")


LISTS: dict[str, Callable[[], dict[str, str]]] = {
    "data": _described("imblens.data", "image_sets"),
    "models": _models,
    "losses": _losses,
    "schedules": _described("imblens.training", "schedule_descriptions"),
    "samplers": _described("imblens.training", "sampler_descriptions"),
    "lenses": _lenses,
    "treatments": _treatments,
    "oversamplers": _oversamplers,
    "batches": _batches,
    "studies": _studies,
    "exports": _exports,
}
