"""Options typed as key=value behind one `--set`: which belong to the mixing, the over-sampler or the loss."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from imblens.base.options import parse_pairs
from imblens.errors import InputError
from imblens.synthesis import find_oversampler, parse_options
from imblens.training import MIXINGS


class Settings(NamedTuple):
    """Options by what they belong to.

    Attributes:
        mixing: option and text as typed, of `remix` or `rebalanced_mixup`.
        oversampler: option and value.
        loss: option and value (a number, a list or text).

    Example:
        >>> Settings(mixing={}, oversampler={"k_neighbors": 5}, loss={}).oversampler["k_neighbors"]
        5
    """

    mixing: dict[str, Any]
    oversampler: dict[str, Any]
    loss: dict[str, Any]


def assign_settings(
    pairs: Iterable[str], *, mixing: str | None = None, oversample: str | None = None, loss: str | None = None
) -> Settings:
    """Assign each `key=value` to the mixing, else to the over-sampler, else to the loss, whichever has that option.

    Args:
        pairs: as typed.
        mixing: `remix`, `rebalanced_mixup` or None.
        oversample: name of an over-sampler, or None.
        loss: name of a loss, or None; its options are checked when it is built.

    Raises:
        InputError: an option belongs to nothing that was requested, or its value does not fit.
        MissingError: there is no such option.

    Example:
        >>> assign_settings(["kappa=2", "gamma=1.5"], mixing="rebalanced_mixup", loss="focal")
        Settings(mixing={'kappa': '2'}, oversampler={}, loss={'gamma': 1.5})
    """
    given = parse_pairs(pairs)
    of_mixing = set() if mixing is None else {one.name for one in MIXINGS.find(mixing).options}
    of_oversampler = set() if oversample is None else {one.name for one in find_oversampler(oversample).options}
    settings = Settings({}, {}, {})
    rest = []
    for key, text in given.items():
        if key in of_mixing:
            settings.mixing[key] = text
        elif key not in of_oversampler and loss is not None:
            settings.loss[key] = _value(text)
        elif oversample is not None:
            rest.append(f"{key}={text}")
        else:
            known = "; ".join(
                f"--{name.replace('_', '-')}: {', '.join(option.name for option in one.options)}"
                for name, one in MIXINGS.items()
            )
            raise InputError(
                f"--set {key}={text} does not belong to any requested option.",
                hint=f"Options of {known}; all others need --oversample NAME or --loss NAME.",
            )
    if oversample is not None:
        settings.oversampler.update(parse_options(oversample, rest))
    return settings


def _value(text: str) -> Any:
    """Read a number or a list; anything else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
