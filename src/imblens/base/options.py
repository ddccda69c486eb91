"""Options of methods that are chosen by name, checked the same way from Python and from the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from imblens.errors import InputError, MissingError, did_you_mean

Kind = Literal["int", "float", "text", "flag", "counts", "names"]


@dataclass(frozen=True)
class Option:
    """One option of a named method, checked the same way from Python and from `--set key=value`.

    Attributes:
        name: as typed.
        default: used where it is not given.
        help: one line.
        kind: "int", "float", "text" (one of `words`), "flag", "counts" (a word, a number or {class: count}), or "names".
        low, high: allowed range of a number, both ends included.
        words: texts allowed; for a number, words allowed in its place, such as "auto".
        grid: what "auto" chooses from, on held-out training features; empty where "auto" is a rule of its own.
        published: the paper's value, which "auto" keeps while nothing in the grid is clearly better.

    Example:
        >>> Option("power", 1.0, "Exponent.", low=0.0, high=4.0).check("2", "x")
        2.0
    """

    name: str
    default: Any
    help: str
    kind: Kind = "float"
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()
    grid: tuple[Any, ...] = ()
    published: Any = None

    def check(self, value: Any, method: str) -> Any:
        """Return `value` in its own type, or raise an error that names the allowed values.

        Raises:
            InputError: names the option, the value seen and what is allowed.
        """
        if isinstance(value, str) and value in self.words:
            return value
        checked = self._typed(value)
        if checked is None:
            raise InputError(
                f"{method}: {self.name}={value!r} is not allowed.", hint=f"Give {self.allowed()}; {self.help}"
            )
        return checked

    def allowed(self) -> str:
        """Allowed values in words."""
        ranges = {"int": "a whole number", "float": "a number", "flag": "true or false"}
        parts = [ranges[self.kind]] if self.kind in ranges else []
        if self.low is not None and self.high is not None:
            parts[0] += f" from {self.low:g} to {self.high:g}"
        elif self.low is not None:
            parts[0] += f" of {self.low:g} or more"
        if self.kind == "counts":
            parts = ["a whole number of 1 or more", "{class name: count}"]
        if self.kind == "names":
            parts = ["names separated by commas"]
        return " or ".join([*parts, *(repr(word) for word in self.words)])

    def _typed(self, value: Any) -> Any:
        """Return the value in its type, None where it does not fit."""
        if self.kind == "flag":
            if isinstance(value, (bool, np.bool_)):
                return bool(value)
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
                str(value).lower()
            )
        if self.kind == "counts":
            count = None if isinstance(value, Mapping) else self._number(value)
            return dict(value) if isinstance(value, Mapping) else int(count) if count and count >= 1 else None
        if self.kind == "names":
            names = value.split(",") if isinstance(value, str) else value
            return tuple(str(name).strip() for name in names) if names and not isinstance(names, Mapping) else None
        number = None if self.kind == "text" else self._number(value)
        if number is None:
            return None
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            return None
        return int(value if isinstance(value, int) else number) if self.kind == "int" else number

    def _number(self, value: Any) -> float | None:
        """The value as a finite number, whole where only such are allowed; None where it is none."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            return None
        whole = self.kind in ("int", "counts")
        if isinstance(value, (bool, np.bool_)) or not np.isfinite(number) or (whole and not number.is_integer()):
            return None
        return number


class Configurable:
    """What has a name and options: a treatment, an over-sampler of images, a way to mix batches."""

    name: str
    options: tuple[Option, ...]

    def option(self, name: str) -> Option:
        """Return an option by name.

        Raises:
            MissingError: no such option; the hint names the nearest.
        """
        known = {option.name: option for option in self.options}
        if name not in known:
            hint = did_you_mean(name, list(known)) if known else "It has none."
            raise MissingError(f"{self.name} has no option {name!r}.", hint=hint)
        return known[name]

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return every option, checked, the given ones over the defaults."""
        found = {option.name: option.default for option in self.options}
        return found | {name: self.option(name).check(value, self.name) for name, value in given.items()}

    def parse(self, pairs: Iterable[str]) -> dict[str, Any]:
        """Read `key=value` texts as options, each in its own type."""
        return {key: self.option(key).check(text, self.name) for key, text in parse_pairs(pairs).items()}


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
