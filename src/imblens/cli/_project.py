"""imblens.toml: default options of a project, a section per command. Options on the command line take precedence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from imblens.base.toml import TOMLDecodeError, read_toml
from imblens.errors import InputError, did_you_mean

FILE = "imblens.toml"
TYPED = ("force", "dry-run", "explain", "help")  # options that are typed each time
NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "text: a path"}


def find(folder: Path) -> Path | None:
    """Return the nearest imblens.toml, from `folder` up to the root of its repository; outside of one, only in `folder`."""
    folders = [folder, *folder.parents]
    root = next((i for i, one in enumerate(folders) if (one / ".git").exists()), 0)
    return next((one / FILE for one in folders[: root + 1] if (one / FILE).is_file()), None)


def usual(commands: Mapping[str, Any], context: Any) -> dict[str, dict[str, Any]]:
    """Return the options of imblens.toml by command and parameter, empty without such a file; arguments as for `read`."""
    path = find(Path.cwd())
    return {} if path is None else read(path, commands, context)


def described(commands: Mapping[str, Any], context: Any) -> dict[str, str]:
    """Return which file holds and what it holds, a line per command, for `imblens doctor`; also where it cannot be used."""
    path = find(Path.cwd())
    if path is None:
        return {FILE: "none here; it sets default options of a project"}
    try:
        options = read(path, commands, context)
    except InputError as error:
        return {FILE: f"cannot be used: {error}"}
    typed = {
        name: [
            word
            for param in commands[name].params
            if param.name in values
            for word in as_typed(param, values[param.name])
        ]
        for name, values in options.items()
    }
    return {FILE: str(path), **{f"{FILE} [{name}]": " ".join(words) for name, words in typed.items()}}


def read(path: Path, commands: Mapping[str, Any], context: Any) -> dict[str, dict[str, Any]]:
    """Return the options of a file by command and parameter.

    Args:
        path: imblens.toml.
        commands: the commands by name.
        context: Click's, of the group of commands.

    Raises:
        InputError: the file is not TOML, or has a section or key that is none, or a value of another type; names it.
    """
    try:
        sections = read_toml(path)
    except (OSError, UnicodeDecodeError, TOMLDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: {error}.", hint='For example: [audit], then lens = ["errors"].'
        ) from error
    found: dict[str, dict[str, Any]] = {}
    for name, section in sections.items():
        if not isinstance(section, dict):
            raise InputError(
                f"{path}: {name} is outside any section.", hint=f"Write [audit] above it. {_of(name, commands)}"
            )
        if name not in commands:
            raise InputError(f"{path}: there is no command [{name}].", hint=did_you_mean(name, list(commands)))
        found[name] = _section(path, name, section, commands[name], context)
    return found


def given(context: Any) -> list[str]:
    """Return the options of a running command that come from imblens.toml, as they would be typed."""
    words = []
    for param in context.command.params:
        source = context.get_parameter_source(param.name)
        if source is not None and source.name == "DEFAULT_MAP":
            words += as_typed(param, context.params[param.name])
    return words


def as_typed(param: Any, value: Any) -> list[str]:
    """Return an option and its value as they would be typed."""
    option = _long(param.opts)
    if isinstance(value, bool):
        return [f"--{option}"] if value else [f"--{_long(param.secondary_opts) or f'{option} false'}"]
    return [f"--{option} {one}" for one in (value if isinstance(value, (list, tuple)) else [value])]


def _section(path: Path, name: str, section: dict[str, Any], command: Any, context: Any) -> dict[str, Any]:
    own = type(context)(command, info_name=name, resilient_parsing=True)
    types = get_type_hints(command.callback)
    params = {_long(p.opts): p for p in command.params if p.param_type_name == "option" and p.name in types}
    params = {key: param for key, param in params.items() if key not in TYPED}
    found = {}
    for key, value in section.items():
        where = f"{path}: [{name}] {key}"
        param = params.get(key.replace("_", "-"))
        if key.replace("_", "-") in TYPED:
            raise InputError(
                f"{where} cannot be set in the file.", hint=f"Type --{key} with the command that needs it."
            )
        if param is None:
            raise InputError(f"{where} is not an option of imblens {name}.", hint=did_you_mean(key, list(params)))
        value = _checked(where, value, types[param.name], param, path.parent)
        try:
            param.process_value(own, value)
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            raise InputError(f"{where} cannot be used: {error.format_message()}", hint=str(param.help)) from error
        found[param.name] = value
    return found


def _checked(where: str, value: Any, hint: Any, param: Any, folder: Path) -> Any:
    """A value of the type that the option has: text for text and paths, a list where it may be repeated."""
    several = str(hint).startswith("list[")
    kind = next(one for one in (*get_args(hint), hint) if isinstance(one, type) and one is not type(None))
    values = value if several and isinstance(value, list) else [value]
    allowed = {bool: (bool,), int: (int,), float: (int, float)}.get(kind, (str, int, float))
    if not all(isinstance(one, allowed) and (kind is bool or not isinstance(one, bool)) for one in values):
        listed = ", or a list of such" if several else ""
        raise InputError(f"{where} = {value!r} is not {NAMES[kind]}{listed}.", hint=f"{param.help}")
    if kind in (str, Path):
        values = [_beside(str(one), kind, param, folder) for one in values]
    return values if several else values[0]


def _beside(text: str, kind: type, param: Any, folder: Path) -> str:
    """Read a path as relative to the file's folder: of options that are paths, or name a file or folder that is there."""
    name = text if kind is Path else text.partition(":")[0]
    is_path = kind is Path or any(word in (param.metavar or "") for word in ("FILE", "DIR", "DATA"))
    if (
        not is_path
        or folder == Path.cwd()
        or Path(name).is_absolute()
        or not (kind is Path or (folder / name).exists())
    ):
        return text
    return os.path.relpath(folder / name) + text[len(name) :]


def _long(options: list[str]) -> str:
    return next((option[2:] for option in options if option.startswith("--")), "")


def _of(key: str, commands: Mapping[str, Any]) -> str:
    """The commands that have an option of that name."""
    having = [name for name, one in commands.items() if any(f"--{key}" in param.opts for param in one.params)]
    return f"Commands with --{key}: {', '.join(having)}." if having else ""
