"""Arguments of public functions, checked on entry by rules that are given beside the signature."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import signature
from numbers import Integral, Real
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from imblens.errors import InputError

Given = ParamSpec("Given")
Returned = TypeVar("Returned")


class Rule(NamedTuple):
    """What an argument may be.

    Attributes:
        read: from the value given to the value used; raises TypeError or ValueError where it does not fit.
        allowed: what to give, in words.
        optional: whether None is allowed too.
    """

    read: Callable[[Any], Any]
    allowed: str
    optional: bool = False


def checked(**rules: Rule) -> Callable[[Callable[Given, Returned]], Callable[Given, Returned]]:
    """Check arguments of the function below before it runs.

    Raises:
        InputError: names the function, the argument, the value and what is allowed.

    Example:
        >>> @checked(k=whole(1), share=number(0, 1, optional=True))
        ... def some(k=5, share=None):
        ...     return k, share
        >>> some(np.int64(3), share=1)
        (3, 1.0)
        >>> some(k=0)
        Traceback (most recent call last):
        imblens.errors.InputError: some: k=0 is not allowed. Give a whole number of 1 or more.
    """

    def declare(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
        parameters = signature(function)
        where = function.__qualname__.removeprefix("Run.").removesuffix(".__init__")
        for name in rules:
            assert name in parameters.parameters, name

        @wraps(function)
        def call(*args: Given.args, **options: Given.kwargs) -> Returned:
            bound = parameters.bind(*args, **options)
            for name, rule in rules.items():
                if name in bound.arguments:
                    bound.arguments[name] = check_argument(where, name, bound.arguments[name], rule)
            return function(*bound.args, **bound.kwargs)

        return call

    return declare


def whole(least: int = 0, *, most: int | None = None, optional: bool = False) -> Rule:
    """A whole number from `least` on."""

    def read(value: Any) -> int:
        value = _scalar(value)
        if isinstance(value, bool) or not isinstance(value, (Integral, float)) or value != int(value):
            raise TypeError
        found = int(value)
        if found < least or (most is not None and found > most):
            raise ValueError
        return found

    bounds = f"of {least:,} or more" if most is None else f"from {least:,} to {most:,}"
    return Rule(read, f"a whole number {bounds}", optional)


def number(
    low: float = -math.inf, high: float = math.inf, *, inside: bool = False, finite: bool = True, optional: bool = False
) -> Rule:
    """A number from `low` to `high`, both included, or between them with `inside`; with `finite=False` any number."""

    def read(value: Any) -> float:
        value = _scalar(value)
        if isinstance(value, bool) or not isinstance(value, Real) or (finite and not math.isfinite(value)):
            raise TypeError
        found = float(value)
        if finite and (not low <= found <= high or (inside and found in (low, high))):
            raise ValueError
        return found

    between = f" between {low:g} and {high:g}" if inside else f" from {low:g} to {high:g}"
    bounds = between if math.isfinite(high) else f" of {low:g} or more"
    return Rule(read, f"a number{bounds if math.isfinite(low) else ''}", optional)


def a_seed() -> Rule:
    """A seed that every library takes."""
    return whole(0, most=2**32 - 1)


def flag(*, optional: bool = False) -> Rule:
    """True or False; 1 and 0 count as these."""

    def read(value: Any) -> bool:
        value = _scalar(value)
        if not isinstance(value, (bool, Integral)) or value not in (0, 1):
            raise TypeError
        return bool(value)

    return Rule(read, "True or False", optional)


def a_text(*, optional: bool = False) -> Rule:
    """A text."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError
        return str(value)

    return Rule(read, "a text", optional)


def one_of(*words: str, optional: bool = False) -> Rule:
    """One of some texts.

    Example:
        >>> check_argument("fit", "kind", "linaer", one_of("linear", "cosine"))
        Traceback (most recent call last):
        imblens.errors.InputError: fit: kind='linaer' is not allowed. Give linear or cosine.
    """

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise TypeError
        return value

    return Rule(read, f"{', '.join(words[:-1])} or {words[-1]}", optional)


def some_texts(what: str = "names", *, count: int | None = None, optional: bool = False) -> Rule:
    """One text, or a list of them; with `count`, a list of that many."""

    def read(value: Any) -> Any:
        if isinstance(value, str) and count is None:
            return value
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise TypeError
        found = list(value)
        if not all(isinstance(one, str) for one in found) or count not in (None, len(found)):
            raise TypeError
        return [str(one) for one in found]

    return Rule(read, f"a list of {what}", optional)


def column(*, optional: bool = False) -> Rule:
    """A column of a table: its name, or its number where a frame has numbers for names."""

    def read(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (str, Integral)):
            raise TypeError
        return str(value)

    return Rule(read, "the name of a column", optional)


def columns(*, least: int = 0, optional: bool = False) -> Rule:
    """One column of a table, or `least` or more; see `column`."""
    one = column()

    def read(value: Any) -> Any:
        if isinstance(value, str):
            return value
        if isinstance(value, (bytes, Mapping)) or not isinstance(value, Iterable):
            raise TypeError
        found = [one.read(name) for name in value]
        if len(found) < least:
            raise ValueError
        return found

    return Rule(read, "a column or a list of columns", optional)


def listed(what: str, *, optional: bool = False) -> Rule:
    """A list, an array, or a mapping."""

    def read(value: Any) -> Any:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise TypeError
        return value

    return Rule(read, what, optional)


def mappings(what: str) -> Rule:
    """A list of mappings."""

    def read(value: Any) -> list[Any]:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise TypeError
        found = list(value)
        if not all(isinstance(one, Mapping) for one in found):
            raise TypeError
        return found

    return Rule(read, what)


def either(*rules: Rule) -> Rule:
    """What one of the rules allows."""

    def read(value: Any) -> Any:
        for rule in rules:
            try:
                return rule.read(value)
            except (TypeError, ValueError, OverflowError):
                continue
        raise TypeError

    return Rule(read, ", or ".join(rule.allowed for rule in rules), any(rule.optional for rule in rules))


def mapping(what: str, *, of: Rule | None = None, optional: bool = False) -> Rule:
    """A mapping, each value of which is as `of` allows."""

    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise TypeError
        return value if of is None else {key: of.read(one) for key, one in value.items()}

    return Rule(read, f"a mapping of {what}", optional)


def a_function(*, optional: bool = False) -> Rule:
    """Something that can be called."""

    def read(value: Any) -> Any:
        if not callable(value):
            raise TypeError
        return value

    return Rule(read, "a function", optional)


def a_path() -> Rule:
    """The name of a file or folder."""

    def read(value: Any) -> Any:
        if not isinstance(value, (str, os.PathLike)) or not os.fspath(value) or "\0" in str(value):
            raise TypeError
        return value

    return Rule(read, "the path of a file or folder, a text or a Path")


def _scalar(value: Any) -> Any:
    """The Python number in an array or tensor without dimensions."""
    if isinstance(value, (np.generic, np.ndarray)) or hasattr(value, "detach"):
        return value.item() if not value.ndim else value
    return value


def check_argument(where: str, name: str, value: Any, rule: Rule) -> Any:
    """Return the value used; see `checked`, which calls this for every argument of a function.

    Raises:
        InputError: names the function or class `where`, the argument, the value and what is allowed.
    """
    if value is None and rule.optional:
        return None
    try:
        return rule.read(value)
    except (TypeError, ValueError, OverflowError):
        shown = repr(value) if isinstance(value, (str, bytes, bool, int, float, type(None))) else type(value).__name__
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        raise InputError(
            f"{where}: {name}={shown} is not allowed.",
            hint=f"Give {rule.allowed}{', or None' if rule.optional else ''}.",
        ) from None
