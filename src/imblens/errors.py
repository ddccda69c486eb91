"""The exceptions of imblens, one tree.

A message has three parts: what was asked, what was found, what to do. The last part is `hint`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar


class ImblensError(Exception):
    """Root of the tree. `str(error)` is the message followed by the hint.

    Example:
        >>> error = MissingError("no class 'hrose' in run.", hint=did_you_mean("hrose", ["horse", "deer"]))
        >>> print(error)
        no class 'hrose' in run. Did you mean 'horse'? Known: horse, deer.
        >>> isinstance(error, ImblensError), error.hint[:12]
        (True, 'Did you mean')
    """

    names: ClassVar[list[Callable[[str], str]]] = []  # how messages call paths: local copies by their addresses

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep `message` (what was asked and found) and `hint` (what to do) apart, for the terminal."""
        for named in self.names:
            message, hint = named(message), named(hint)
        self.message = message
        self.hint = hint
        super().__init__(f"{message} {hint}".rstrip())


class InputError(ImblensError, ValueError):
    """The user's input cannot be used. The command line ends with exit code 2.

    Example:
        >>> import imblens
        >>> imblens.audit("nowhere.npz")
        Traceback (most recent call last):
        imblens.errors.InputError: ...
    """


class ShapeError(InputError):
    """Lengths or dimensions disagree.

    Example:
        >>> from imblens import Run
        >>> Run.from_arrays(train=([[1.0], [2.0]], [0, 1, 1]))
        Traceback (most recent call last):
        imblens.errors.ShapeError: ...
    """


class EntryError(InputError, TypeError):
    """An entry of an array is of a type that cannot be used (None, text, a list among numbers).

    Example:
        >>> issubclass(EntryError, TypeError), issubclass(EntryError, InputError)
        (True, True)
    """


class MissingError(InputError, LookupError):
    """A file, a key, a class or a name that was asked for does not exist.

    Example:
        >>> import imblens
        >>> imblens.Run.load("nowhere")
        Traceback (most recent call last):
        imblens.errors.MissingError: ...
    """


class ExistsError(InputError):
    """The output exists and `force` was not given.

    Example:
        >>> error = ExistsError("RUN2 already exists.", hint="Use --force to overwrite it.")
        >>> error.message, error.hint
        ('RUN2 already exists.', 'Use --force to overwrite it.')
    """


class DependencyError(InputError, ImportError):
    """An optional package is not installed. The hint names the extra.

    Example:
        >>> issubclass(DependencyError, ImportError)
        True
    """


class StorageError(ImblensError, OSError):
    """Writing failed (disk full, read-only). Nothing under the final name was changed.

    Example:
        >>> issubclass(StorageError, OSError), issubclass(StorageError, InputError)
        (True, False)
    """

    def __str__(self) -> str:
        """Return message and hint (OSError would print only its first argument)."""
        return f"{self.message} {self.hint}".rstrip()


class NotApplicable(ImblensError):  # noqa: N818  (a state of the run, not a fault)
    """A lens or a treatment does not apply to this run; the message is the reason shown to the user.

    Example:
        >>> from imblens import Run
        >>> from imblens.lenses import class_accuracy
        >>> class_accuracy(Run.from_arrays(train=([[1.0], [2.0]], [0, 1])))
        Traceback (most recent call last):
        imblens.errors.NotApplicable: ...
    """


class ImblensWarning(UserWarning):
    """The result is valid, with a limitation to know about (a class without enemies, a count not reached).

    Example:
        >>> import warnings
        >>> warnings.simplefilter("ignore", ImblensWarning)
    """


def did_you_mean(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Return a hint that names the nearest of `known`, and all of them when they are few.

    >>> did_you_mean("hrose", ["horse", "deer"])
    "Did you mean 'horse'? Known: horse, deer."
    >>> did_you_mean("z", [f"n{i}" for i in range(23)])[-15:]
    'n19 and 3 more.'
    """
    import difflib

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    start = f"Did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
    return f"{start}Known: {listed}."


def nearby(path: Path) -> str:
    """Return "Did you mean 'RUN2'? " when a file or folder beside the missing `path` has nearly its name, else "".

    >>> nearby(Path("nowhere") / "run")
    ''
    """
    import difflib

    try:
        names = [other.name for other in path.parent.iterdir()]
    except (OSError, ValueError):
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"Did you mean {str(path.with_name(near[0]))!r}? " if near else ""
