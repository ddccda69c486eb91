"""One process at a time writes a folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from imblens.errors import StorageError

Given = ParamSpec("Given")
Returned = TypeVar("Returned")
_SCOPE: ContextVar[ExitStack | None] = ContextVar("folders", default=None)
_HELD: dict[tuple[int, int], list[int]] = {}  # device and number of a folder -> descriptor, uses by this process


def exclusive(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """Keep the folders that `function` takes until it ends."""

    @wraps(function)
    def call(*args: Given.args, **options: Given.kwargs) -> Returned:
        with folders_kept():
            return function(*args, **options)

    return call


@contextmanager
def folders_kept() -> Iterator[None]:
    """Keep the folders that are taken inside the `with` block until its end."""
    with ExitStack() as stack:
        token = _SCOPE.set(stack)
        try:
            yield
        finally:
            _SCOPE.reset(token)


def take(folder: Path) -> None:
    """Keep other processes from writing the existing `folder` until the function or block around ends.

    The lock is that of the operating system on the folder itself, so that it ends with this process, however that ends,
    and leaves no file. Without such locks (Windows, some network drives) nothing is locked.

    Raises:
        StorageError: another process writes the folder.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as name, folders_kept():
        ...     take(Path(name))
    """
    scope = _SCOPE.get()
    try:
        import fcntl
    except ImportError:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    found = os.fstat(descriptor)
    key = (found.st_dev, found.st_ino)
    if key in _HELD:
        os.close(descriptor)
        _HELD[key][1] += 1
    else:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                return  # a drive without locks
            raise StorageError(
                f"another process is writing {folder}; nothing was changed.",
                hint="Wait until it has ended, or choose another --out.",
            ) from None
        _HELD[key] = [descriptor, 1]
    if scope is None:
        _give_back(key)
    else:
        scope.callback(_give_back, key)


def _give_back(key: tuple[int, int]) -> None:
    held = _HELD.get(key)
    if held is None:
        return  # in a forked child, to which the lock does not belong
    held[1] -= 1
    if not held[1]:
        import fcntl

        fcntl.flock(held[0], fcntl.LOCK_UN)  # also for a child that was forked a moment ago
        os.close(_HELD.pop(key)[0])


def _forked() -> None:
    for descriptor, _ in _HELD.values():
        os.close(descriptor)
    _HELD.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
