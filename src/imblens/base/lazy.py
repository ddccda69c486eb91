"""Names of a room that are imported when they are first used, so that importing the room stays cheap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from imblens.base.extras import extra_of, require


def lazy(room: str, homes: Mapping[str, tuple[str, ...]], *, extra: str = "torch") -> Callable[[str], Any]:
    """Return the `__getattr__` of a room.

    Args:
        room: its `__name__`.
        homes: module, from the root ("imblens.run") or within the room ("._module") -> the names that it defines.
        extra: what brings the packages that these modules need.

    Raises:
        DependencyError: when a name is used, and a package of the extra is not installed.

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
            if extra_of(error.name or "") is not None:
                require(extra, f"{room}.{name}")
            raise

    return __getattr__
