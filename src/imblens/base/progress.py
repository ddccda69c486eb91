"""Progress of long loops, for listeners: the command line shows a line with the time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Loop:
    """A running loop: what it goes over, how many items there are (None: unknown) and how many are done."""

    what: str
    total: int | None
    done: int = 0
    started: float = field(default_factory=time.monotonic)


_LISTENED: list[list[Loop]] = []  # the running loops, outermost first, of the one who listens


@contextmanager
def listening() -> Iterator[list[Loop]]:
    """Yield the list of running loops, outermost first; it changes as they advance.

    Example:
        >>> with listening() as loops:
        ...     for name in tracked(["a", "b"], "letters"):
        ...         print(loops[0].what, loops[0].done, loops[0].total)
        letters 0 2
        letters 1 2
    """
    loops: list[Loop] = []
    _LISTENED.append(loops)
    try:
        yield loops
    finally:
        _LISTENED.remove(loops)


def tracked(items: Iterable[T], what: str | Callable[[T], str], total: int | None = None) -> Iterator[T]:
    """Pass items on, and count them for the listener.

    Args:
        items: what the loop goes over.
        what: what is being done, or a function of the item that returns it.
        total: number of items; by default `len(items)`, where it has one.
    """
    if not _LISTENED or threading.current_thread() is not threading.main_thread():
        yield from items
        return
    loops = _LISTENED[-1]
    n = len(items) if total is None and isinstance(items, Sized) else total
    loop = Loop(what if isinstance(what, str) else "", n)
    loops.append(loop)
    try:
        for item in items:
            if not isinstance(what, str):
                loop.what = what(item)
            yield item
            loop.done += 1
    finally:
        if loop in loops:
            loops.remove(loop)


def share_done(loops: Iterable[Loop]) -> float:
    """Return the share of the outermost loop that is done, 0 to 1; inner loops count as parts of its current item.

    Example:
        >>> share_done([Loop("runs", 2, 1), Loop("lenses", 4, 2)])
        0.75
    """
    share, item = 0.0, 1.0
    for loop in loops:
        if not loop.total:
            break
        item /= loop.total
        share += item * loop.done
    return min(share, 1.0)


def line(loops: Iterable[Loop], now: float) -> str:
    """Return what is being done, with the time left once it can be estimated from the share that is done.

    Args:
        loops: running loops, outermost first.
        now: time by the clock of `Loop.started`, in seconds.

    Example:
        >>> line([Loop("runs", 2, 1, 0.0), Loop("lens adversaries", 4, 2, 9.0)], 30.0)
        'runs: lens adversaries, 75%, about 10 s left'
        >>> line([Loop("treating with eos", None, 0, 0.0)], 12.0)
        'treating with eos, 12 s so far'
    """
    running = list(loops)
    if not running:
        return ""
    names = ": ".join(dict.fromkeys(loop.what for loop in running if loop.what))
    elapsed = now - running[0].started
    known = [loop for loop in running if loop.total]
    share = share_done(known)
    if share <= 0:
        return f"{names}, {duration(elapsed)} so far"
    left = (now - known[0].started) * (1 - share) / share
    return f"{names}, {share:.0%}, about {duration(left)} left"


def duration(seconds: float) -> str:
    """Return seconds for people.

    >>> duration(7.4), duration(200), duration(7300)
    ('7 s', '3 min 20 s', '2 h 1 min')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
