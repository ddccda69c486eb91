"""Every over-sampler by name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from imblens.errors import MissingError, did_you_mean
from imblens.synthesis._base import Oversampler
from imblens.treatments import parse_pairs


@cache
def oversamplers() -> dict[str, Oversampler]:
    """Return every over-sampler by name."""
    from imblens.synthesis._generators import GENERATORS
    from imblens.synthesis._samplers import SAMPLERS

    return {oversampler.name: oversampler for oversampler in (*SAMPLERS, *GENERATORS)}


def oversampler_descriptions() -> dict[str, str]:
    """Return one line on every over-sampler."""
    return {name: oversampler.purpose for name, oversampler in oversamplers().items()}


def find_oversampler(name: str) -> Oversampler:
    """Return an over-sampler by name; hyphens count as underscores.

    Raises:
        MissingError: no such over-sampler; the hint names the nearest.
    """
    known = oversamplers()
    found = known.get(name) or known.get(name.replace("-", "_"))
    if found is None:
        raise MissingError(f"there is no over-sampler {name!r}.", hint=did_you_mean(name, list(known)))
    return found


def parse_options(name: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Read `key=value` texts as options of an over-sampler, each in its own type.

    Raises:
        InputError: no "=", a key given twice, or a value that does not fit; names the option and what is allowed.
        MissingError: no such over-sampler or option; the hint names the nearest.

    Example:
        >>> parse_options("smote", ["k_neighbors=3"])
        {'k_neighbors': 3}
    """
    oversampler = find_oversampler(name)
    return {key: oversampler.option(key).check(text, name) for key, text in parse_pairs(pairs).items()}
