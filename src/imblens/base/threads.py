"""Independent pieces of work in threads, each with a BLAS of one thread: sums do not depend on the number of cores."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from threading import Lock, get_ident
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")
COPIES = 2**30  # bytes that pieces of work which run side by side may copy


class _Held:
    """The thread that holds the BLAS at one thread; the setting is of the process, so only that thread restores it."""

    lock = Lock()
    owner: int | None = None
    usual = 1


@contextmanager
def single_threaded_blas() -> Iterator[int]:
    """Hold the BLAS at one thread; give how many it has otherwise. Where another thread holds it already, do nothing.

    A product of narrow matrices is slower on several threads than on one, and several times so beside other processes.

    Example:
        >>> with single_threaded_blas() as usual:
        ...     usual >= 1
        True
    """
    with _Held.lock:
        libraries = _libraries(len(sys.modules))  # also what was loaded since
        first, me = _Held.owner is None, get_ident()
        if first:
            threads = [pool["num_threads"] for pool in libraries.info() if pool["user_api"] == "blas"]
            _Held.owner, _Held.usual = me, max(threads, default=1)
    try:
        with libraries.limit(limits=1, user_api="blas") if _Held.owner == me else nullcontext():
            yield _Held.usual
    finally:
        if first:
            _Held.owner = None


def at_once(work: Callable[[Item], Result], items: Iterable[Item], *, copied: int = 0) -> list[Result]:
    """Results of the work on each item, in their order, computed on as many threads as the BLAS has.

    Args:
        work: a function that other threads do not disturb; arithmetic of NumPy runs outside the interpreter's lock.
        items: what it is given.
        copied: bytes that one piece of work copies: fewer run side by side where together they would copy more than 1 GiB.

    Example:
        >>> at_once(lambda number: number**2, [3, 1, 2])
        [9, 1, 4]
    """
    with single_threaded_blas() as usual:
        threads = max(1, min(usual, COPIES // max(copied, 1)))
        if threads == 1:
            return [work(item) for item in items]
        with ThreadPoolExecutor(threads, initializer=_single_threaded) as pool:
            return list(pool.map(work, items))


def _single_threaded() -> None:
    """Hold libraries at one thread whose setting is that of the calling thread alone, as that of OpenMP is."""
    _libraries(len(sys.modules)).limit(limits=1)


@lru_cache(maxsize=1)
def _libraries(n_modules: int) -> ThreadpoolController:
    """The libraries with threads of their own that are loaded; looked for again (2 ms) when modules were imported since."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
