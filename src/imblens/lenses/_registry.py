"""Which lenses there are: a folder each in this room, and the entry points of installed packages."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from imblens.base.markdown import sections
from imblens.base.registry import Registry
from imblens.lenses._contract import Finding, LensInfo, lens, lens_info
from imblens.run import Run

Lens = Callable[..., Finding]
HEADINGS = (
    "What it measures",
    "How it is computed",
    "How to read it",
    "When it misleads",
    "What to try",
    "Source",
)


@lru_cache(maxsize=1)
def built_in_lenses() -> dict[str, Lens]:
    """The lenses that come with imblens, in report order: the function NAME of each folder NAME of this room."""
    found: dict[str, Lens] = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.ispkg:
            found[module.name] = getattr(import_module(f"imblens.lenses.{module.name}"), module.name)
    return dict(sorted(found.items(), key=_order))


def all_lenses() -> dict[str, Lens]:
    """Every lens by name, in report order: the built-in ones and those of installed packages.

    Example:
        >>> list(all_lenses())[0]
        'class_accuracy'
    """
    return dict(sorted(_LENSES.items(), key=_order))


def find_lens(name: str) -> Lens:
    """Return a lens by name.

    Raises:
        MissingError: no such lens; the hint names the nearest.

    Example:
        >>> find_lens("archetypes").__name__
        'archetypes'
    """
    return _LENSES.find(name)


def lens_page(name: str) -> dict[str, str]:
    """Return the sections of a lens's page, heading -> Markdown text; empty where there is no such lens or page.

    Documentation, terminal and report show the same text.

    Example:
        >>> lens_page("no_such_lens")
        {}
    """
    found = _LENSES.get(name)
    page = None if found is None else lens_info(found).page
    return {} if page is None else sections(page.read_text(encoding="utf-8"))


def _order(item: tuple[str, Lens]) -> int:
    return lens_info(item[1]).order


def _wrong(loaded: object) -> str | None:
    return None if isinstance(getattr(loaded, "info", None), LensInfo) else "is not decorated with imblens.lenses.lens"


def _broken(name: str, wrong: str) -> Lens:
    """A lens that cannot be used: running it raises the reason, which an audit records."""

    def unavailable(run: Run, **options: Any) -> Finding:
        raise ImportError(wrong)

    unavailable.__name__, unavailable.__module__ = name, name
    return lens(wrong)(unavailable)


_LENSES: Registry[Lens] = Registry("lens", built_in_lenses, group="imblens.lenses", check=_wrong, broken=_broken)
