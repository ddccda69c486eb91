"""Every over-sampler by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from imblens.base.registry import Registry
from imblens.synthesis._base import Oversampler


def _built_in() -> Mapping[str, Oversampler]:
    from imblens.synthesis._generators import GENERATORS
    from imblens.synthesis._samplers import SAMPLERS

    return {oversampler.name: oversampler for oversampler in (*SAMPLERS, *GENERATORS)}


OVERSAMPLERS = Registry("over-sampler", _built_in)


def oversamplers() -> dict[str, Oversampler]:
    """Return every over-sampler by name.

    Example:
        >>> "smote" in oversamplers()
        True
    """
    return dict(OVERSAMPLERS)


def oversampler_descriptions() -> dict[str, str]:
    """Return one line on every over-sampler.

    Example:
        >>> list(oversampler_descriptions()) == list(oversamplers())
        True
    """
    return {name: oversampler.purpose for name, oversampler in OVERSAMPLERS.items()}


def find_oversampler(name: str) -> Oversampler:
    """Return an over-sampler by name; hyphens count as underscores.

    Raises:
        MissingError: no such over-sampler; the hint names the nearest.

    Example:
        >>> find_oversampler("smote").name
        'smote'
    """
    return OVERSAMPLERS.find(name)


def parse_options(name: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Read `key=value` texts as options of an over-sampler, each in its own type.

    Raises:
        InputError: no "=", a key given twice, or a value that does not fit; names the option and what is allowed.
        MissingError: no such over-sampler or option; the hint names the nearest.

    Example:
        >>> parse_options("smote", ["k_neighbors=3"])
        {'k_neighbors': 3}
    """
    return find_oversampler(name).parse(pairs)
