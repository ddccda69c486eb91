"""A user's own network from a Python file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from imblens.errors import InputError, MissingError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

USER_MODULE = "imblens_user_"  # prefix of the names of modules imported from files
_CLASS_ARGUMENTS = ("n_classes", "num_classes", "classes")


def load_factory(reference: str, n_classes: int) -> nn.Module:
    """Import FILE.py and call its FACTORY.

    FACTORY may take no argument, or the number of classes: as `n_classes` or `num_classes`, or as its only required
    argument. It may also be the network itself. The file's folder is on the import path only meanwhile, no bytecode is
    written beside it, and modules imported from that folder are forgotten after.

    Args:
        reference: "FILE.py:FACTORY".
        n_classes: C.

    Raises:
        MissingError: no such file, or no such name in it.
        InputError: the reference is malformed, the file or the factory fails, or what it returns is not an `nn.Module`.
    """
    from torch import nn

    text, colon, name = reference.rpartition(":")
    if not colon or not text.endswith(".py") or not name:
        raise InputError(
            f"--model {reference!r} does not name a factory.", hint="Give FILE.py:FACTORY, such as my_network.py:build."
        )
    file = Path(text)
    if not file.is_file():
        raise MissingError(f"there is no file {file}.", hint="Check the path in FILE.py:FACTORY.")
    with folder_importable(file.resolve().parent):
        module = _imported(file)
        if not hasattr(module, name):
            public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise MissingError(f"{file} has no {name!r}.", hint=did_you_mean(name, public))
        found = getattr(module, name)
        model = found if isinstance(found, nn.Module) else _called(found, n_classes, f"{file}:{name}")
    if not isinstance(model, nn.Module):
        raise InputError(f"{file}:{name} returned a {type(model).__name__}.", hint="It must return a torch.nn.Module.")
    return model


def _imported(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{USER_MODULE}{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise InputError(
            f"{file} fails while it is imported{_line(error, file)}: {type(error).__name__}: {error}.",
            hint="Importing it must not start anything: keep that under if __name__ == '__main__'.",
        ) from error
    return module


def _called(factory: Any, n_classes: int, where: str) -> Any:
    if not callable(factory):
        raise InputError(f"{where} is a {type(factory).__name__}, not a function.", hint="Name a function or a class.")
    arguments = _arguments(factory, n_classes, where)
    try:
        return arguments(factory)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise InputError(
            f"{where} fails{_line(error, Path(where.rpartition(':')[0]))}: {type(error).__name__}: {error}.",
            hint=f"Calling it for {n_classes} classes must return the network.",
        ) from error


def _arguments(factory: Any, n_classes: int, where: str) -> Callable[[Any], Any]:
    """Decide, by its signature, how the factory is called."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return lambda call: call()
    named = next((key for key in _CLASS_ARGUMENTS if key in parameters), None)
    if named is not None and parameters[named].kind is not inspect.Parameter.POSITIONAL_ONLY:
        return lambda call: call(**{named: n_classes})
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [p for p in parameters.values() if p.default is p.empty and p.kind not in open_ended]
    if not required:
        return lambda call: call()
    if len(required) == 1 and required[0].kind is not inspect.Parameter.KEYWORD_ONLY:
        return lambda call: call(n_classes)
    raise InputError(
        f"{where} needs the arguments {', '.join(p.name for p in required)}.",
        hint="Write a function without arguments, or with n_classes, that fills in the rest.",
    )


@contextmanager
def folder_importable(folder: Path) -> Iterator[None]:
    path, modules, bytecode = list(sys.path), set(sys.modules), sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:] = path
        sys.dont_write_bytecode = bytecode
        for name in [name for name in set(sys.modules) - modules if _home(name) == folder]:
            del sys.modules[name]


def _home(name: str) -> Path | None:
    """Return the folder on the import path from which a module's outermost package came."""
    top = sys.modules.get(name.partition(".")[0])
    places = list(getattr(top, "__path__", None) or [getattr(top, "__file__", None)])
    return Path(places[0]).resolve().parent if places and places[0] else None


def _line(error: BaseException, file: Path) -> str:
    """Return ` in line N` for the innermost place in the user's file."""
    if isinstance(error, SyntaxError):
        return f" in line {error.lineno}"
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).resolve() == file.resolve():
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f" in line {lines[-1]}" if lines else ""
