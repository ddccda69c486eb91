"""Every treatment by name: the built-in ones, then those of installed packages."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from imblens.errors import ImblensWarning, InputError, MissingError, did_you_mean
from imblens.treatments._base import Treatment
from imblens.treatments._best import BEST
from imblens.treatments._heads import HEADS
from imblens.treatments._posthoc import POSTHOC
from imblens.treatments._samplers import SAMPLERS

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BUILT_IN: tuple[Treatment, ...] = (BEST, *POSTHOC, *HEADS, *SAMPLERS)
GROUP = "imblens.treatments"


def all_treatments() -> dict[str, Treatment]:
    """Every treatment by name; a package cannot replace a built-in one."""
    from importlib.metadata import entry_points

    found = {treatment.name: treatment for treatment in BUILT_IN}
    for point in entry_points(group=GROUP):
        try:
            loaded = point.load()
        except Exception as error:  # whatever the other package's import raises
            _pass_over(point, f"cannot be loaded: {type(error).__name__}: {error}")
            continue
        if isinstance(loaded, Treatment):
            found.setdefault(loaded.name, loaded)
        else:
            _pass_over(point, f"is of type {type(loaded).__name__}, no imblens.treatments.Treatment")
    return found


def _pass_over(point: EntryPoint, why: str) -> None:
    warnings.warn(
        f"The treatment {point.name!r} of another package is left out: {point.value} {why}.",
        ImblensWarning,
        stacklevel=3,
    )


def treatment_names() -> list[str]:
    """Names of all treatments, in the order in which to try them."""
    return list(all_treatments())


def treatment_descriptions() -> dict[str, str]:
    """One line on every treatment: when to try it."""
    return {name: treatment.purpose for name, treatment in all_treatments().items()}


def find_treatment(name: str) -> Treatment:
    """Return a treatment by name; hyphens count as underscores.

    Raises:
        MissingError: no such treatment; the hint names the nearest.
    """
    known = all_treatments()
    if not isinstance(name, str):
        raise InputError(f"a treatment is called by its name, found {name!r}.", hint=f"Known: {', '.join(known)}.")
    if name in known:
        return known[name]
    if name.replace("-", "_") in known:
        return known[name.replace("-", "_")]
    raise MissingError(f"there is no treatment {name!r}.", hint=did_you_mean(name, list(known)))


def parse_options(name: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Read `key=value` texts as options of a treatment, each in its own type.

    Raises:
        InputError: no "=", a key given twice, or a value that does not fit; names the option and what is allowed.
        MissingError: no such treatment or option; the hint names the nearest.

    Example:
        >>> parse_options("eos", ["k_neighbors=200", "direction=away"])
        {'k_neighbors': 200, 'direction': 'away'}
    """
    treatment = find_treatment(name)
    return {key: treatment.option(key).check(text, treatment.name) for key, text in parse_pairs(pairs).items()}


def parse_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """Read `key=value` texts; hyphens in a key count as underscores.

    Raises:
        InputError: no "=", or a key given twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise InputError(f"--set {pair!r} has no value.", hint="Write --set key=value.")
        if key in found:
            raise InputError(f"--set gives {key} twice.", hint="Give it once.")
        found[key] = text.strip()
    return found
