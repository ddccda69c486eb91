"""Groups of options that several commands take: a dataclass, each field of which is an option."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, fields, is_dataclass
from functools import wraps
from inspect import Signature, signature
from typing import Any, get_type_hints

import typer


def grouped(default: Any, flag: str, **shown: Any) -> Any:
    """A field of a group: an option of Typer, with its value where it is not given."""
    return field(default=default, metadata={"option": typer.Option(default, flag, **shown)})


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of each group in place of the parameter that is the group."""
    hints = get_type_hints(command)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters = []
    for parameter in signature(command).parameters.values():
        if parameter.name not in groups:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        types = get_type_hints(groups[parameter.name])
        for one in fields(groups[parameter.name]):
            option = parameter.replace(name=one.name, default=one.metadata["option"], annotation=types[one.name])
            parameters.append(option)

    @wraps(command)
    def run(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{one.name: given.pop(one.name) for one in fields(kind)})
        command(**given)

    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
