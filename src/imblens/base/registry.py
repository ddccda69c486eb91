"""A family of things that are chosen by name: lenses, treatments, losses, networks, data sets, studies, ..."""

from __future__ import annotations

import importlib.metadata
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Generic, TypeVar

from imblens.errors import ImblensWarning, InputError, MissingError, did_you_mean

Item = TypeVar("Item")


@lru_cache(maxsize=16)
def _points(read: Callable[..., Iterable[Any]], group: str, path: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the entry points of a group; reading the metadata of all installed packages takes a tenth of a second."""
    return tuple(read(group=group))


class Registry(Mapping[str, Item], Generic[Item]):
    """Items by name, in a stated order; those of installed packages follow the built-in ones and replace none.

    Other packages are looked for once for each value of `sys.path`.

    Args:
        kind: what an item is called in messages: "treatment".
        items: the built-in ones by name, or a function that returns them (called on first use).
        group: entry-point group through which other packages add items, or None.
        check: describes what is invalid in an item of another package ("is of type int, no Treatment"), or None.
        broken: from (name, what is invalid) to an item that takes the place of one that cannot be used; without it, such
            items are left out with a warning.

    Example:
        >>> fruit = Registry("fruit", {"apple": 1, "pear": 2})
        >>> fruit.find("pear"), list(fruit)
        (2, ['apple', 'pear'])
        >>> fruit.find("paer")
        Traceback (most recent call last):
        imblens.errors.MissingError: there is no fruit 'paer'. Did you mean 'pear'? Known: apple, pear.
    """

    def __init__(
        self,
        kind: str,
        items: Mapping[str, Item] | Callable[[], Mapping[str, Item]],
        *,
        group: str | None = None,
        check: Callable[[object], str | None] | None = None,
        broken: Callable[[str, str], Item] | None = None,
    ) -> None:
        self.kind = kind
        self._items, self._group, self._check, self._broken = items, group, check, broken

    @property
    def built_in(self) -> Mapping[str, Item]:
        """Items that come with imblens, by name."""
        if callable(self._items):
            self._items = self._items()
        return self._items

    def __getitem__(self, name: str) -> Item:
        """Return an item; KeyError where there is none (`find` raises with a hint)."""
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def copy(self) -> dict[str, Item]:
        """Return all items by name, each package loaded once."""
        return self._all()

    def find(self, name: object) -> Item:
        """Return an item by name; hyphens count as underscores.

        Raises:
            InputError: `name` is not text.
            MissingError: there is none; the hint names the nearest.
        """
        known = self._all()
        if not isinstance(name, str):
            raise InputError(f"a {self.kind} is chosen by name, found {name!r}.", hint=f"Known: {', '.join(known)}.")
        for candidate in (name, name.replace("-", "_")):
            if candidate in known:
                return known[candidate]
        raise MissingError(f"there is no {self.kind} {name!r}.", hint=did_you_mean(name, list(known)))

    def check_names(self, names: Iterable[object]) -> None:
        """Raise as `find` does for the first name that is unknown."""
        for name in names:
            self.find(name)

    def _all(self) -> dict[str, Item]:
        found = dict(self.built_in)
        if self._group is None:
            return found
        for point in _points(importlib.metadata.entry_points, self._group, tuple(sys.path)):
            try:
                loaded = point.load()
            except Exception as error:  # whatever the other package's import raises
                problem: str | None = f"cannot be loaded: {type(error).__name__}: {error}"
            else:
                problem = None if self._check is None else self._check(loaded)
            if problem is None:
                found.setdefault(str(getattr(loaded, "name", point.name)), loaded)
            elif self._broken is not None:
                found.setdefault(point.name, self._broken(point.name, f"{point.value} {problem}"))
            else:
                warnings.warn(
                    f"The {self.kind} {point.name!r} of another package is left out: {point.value} {problem}.",
                    ImblensWarning,
                    stacklevel=4,
                )
        return found
