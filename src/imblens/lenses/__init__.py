"""One question, one file: each lens is a pure function from a run to a frozen finding.

The order here is the order of a report, from broad to narrow. Third parties add lenses through the entry-point group
`imblens.lenses`.
"""

from __future__ import annotations

from collections.abc import Callable

from imblens.errors import MissingError, did_you_mean
from imblens.lenses._base import Finding, LensInfo, lens, lens_info
from imblens.lenses._class_accuracy import class_accuracy

BUILT_IN: tuple[Callable[..., Finding], ...] = (class_accuracy,)


def all_lenses() -> dict[str, Callable[..., Finding]]:
    """Every lens by name: the built-in ones in report order, then those of installed packages."""
    from importlib.metadata import entry_points

    found = {lens_info(function).name: function for function in BUILT_IN}
    for point in entry_points(group="imblens.lenses"):
        found.setdefault(point.name, point.load())
    return found


def find_lens(name: str) -> Callable[..., Finding]:
    """Return a lens by name.

    Raises:
        MissingError: no such lens; the hint names the nearest.
    """
    known = all_lenses()
    if name not in known:
        raise MissingError(f"there is no lens {name!r}.", hint=did_you_mean(name, list(known)))
    return known[name]


__all__ = ["BUILT_IN", "Finding", "LensInfo", "all_lenses", "class_accuracy", "find_lens", "lens", "lens_info"]
