"""Names of a room that are imported when they are first used, so that importing the room stays cheap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(room: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a room.

    Args:
        room: its `__name__`.
        homes: name -> module that defines it, from the root ("imblens.run") or within the room ("._module").

    Example:
        >>> lazy("imblens.base", {"divide": ".arrays"})("divide")(1, 4)
        array(0.25)
    """

    def __getattr__(name: str) -> Any:  # noqa: N807  (the room's)
        if name not in homes:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(homes[name], room), name)

    return __getattr__
