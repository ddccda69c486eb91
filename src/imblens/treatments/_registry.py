"""Every treatment by name: the built-in ones, then those of installed packages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from imblens.base.registry import Registry
from imblens.treatments._archetypes import ARCHETYPE_RESAMPLING
from imblens.treatments._base import Treatment
from imblens.treatments._best import best_of
from imblens.treatments._chosen_features import CHOSEN_FEATURES
from imblens.treatments._heads import HEADS
from imblens.treatments._posthoc import POSTHOC
from imblens.treatments._refit import REFIT
from imblens.treatments._samplers import SAMPLERS


def _built_in() -> dict[str, Treatment]:
    treatments = (best_of(find_treatment), *POSTHOC, REFIT, *HEADS, *SAMPLERS, ARCHETYPE_RESAMPLING, CHOSEN_FEATURES)
    return {treatment.name: treatment for treatment in treatments}


def _wrong(loaded: object) -> str | None:
    if isinstance(loaded, Treatment):
        return None
    return f"is of type {type(loaded).__name__}, no imblens.treatments.Treatment"


TREATMENTS: Registry[Treatment] = Registry("treatment", _built_in, group="imblens.treatments", check=_wrong)


def all_treatments() -> Mapping[str, Treatment]:
    """Every treatment by name, in the order in which to try them; a package cannot replace a built-in one.

    Example:
        >>> all_treatments()["eos"].name
        'eos'
    """
    return TREATMENTS.copy()


def treatment_names() -> list[str]:
    """Names of all treatments, in the order in which to try them.

    Example:
        >>> "eos" in treatment_names()
        True
    """
    return list(all_treatments())


def find_treatment(name: str) -> Treatment:
    """Return a treatment by name; hyphens count as underscores.

    Raises:
        InputError: `name` is not text.
        MissingError: no such treatment; the hint names the nearest.

    Example:
        >>> find_treatment("logit-adjustment").options[0].name
        'tau'
    """
    return TREATMENTS.find(name)


def parse_options(name: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Read `key=value` texts as options of a treatment, each in its own type.

    Raises:
        InputError: no "=", a key given twice, or a value that does not fit; names the option and what is allowed.
        MissingError: no such treatment or option; the hint names the nearest.

    Example:
        >>> parse_options("eos", ["k_neighbors=200", "direction=away"])
        {'k_neighbors': 200, 'direction': 'away'}
    """
    return find_treatment(name).parse(pairs)
