"""Names of a room that are imported when they are first used, so that importing the room stays cheap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from imblens.base.extras import extra_of, lacking, missing_packages
from imblens.errors import DependencyError


def lazy(room: str, homes: Mapping[str, tuple[str, ...]], *, extra: str = "torch") -> Callable[[str], Any]:
    """Return the `__getattr__` of a room.

    Where a package of the extra is missing, the name of a function is one that raises a DependencyError when it is called.

    Args:
        room: its `__name__`.
        homes: module, from the root ("imblens.run") or within the room ("._module") -> the names that it defines.
        extra: what brings the packages that these modules need.

    Raises:
        DependencyError: the name of a class is used, and a package of the extra is missing.

    Example:
        >>> lazy("imblens.base", {".arrays": ("divide",)})("divide")(1, 4)
        array(0.25)
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def __getattr__(name: str) -> Any:  # noqa: N807  (the room's)
        if name not in home_of:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        try:
            return getattr(import_module(home_of[name], room), name)
        except ModuleNotFoundError as error:
            if extra_of(error.name or "") is None or not (missing := missing_packages(extra)):
                raise
            refusal = lacking(extra, f"{room}.{name}", missing)
            if name[0].isupper():
                raise refusal from error
            return _refusing(refusal)

    return __getattr__


def _refusing(error: DependencyError) -> Callable[..., Any]:
    """A function that raises the error, so that `help` and others that look at every name of a room still work."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    return refuse
