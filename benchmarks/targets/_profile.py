"""Where the time of a call goes: its threads are looked at every few milliseconds, and functions of imblens are counted."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import imblens

EVERY = 0.004  # seconds
MOST = 6  # functions that are named
HOME = str(Path(imblens.__file__).parent)
WAITING = (
    "threading.py",
    "queue.py",
    "subprocess.py",
    "selectors.py",
    "connection.py",
    "_base.py",
)  # in which a thread waits


def hottest(call: Callable[[], object]) -> str:
    """The functions in which a call spends most of its time, those that it calls outside imblens included."""
    counts: Counter[str] = Counter()
    done = threading.Event()
    own = threading.Thread(target=_looked_at, args=(done, counts), daemon=True)
    own.start()
    try:
        call()
    finally:
        done.set()
        own.join()
    total = sum(counts.values())
    if not total:
        return "nothing was seen in this process"
    return ", ".join(f"{name} {count / total:.0%}" for name, count in counts.most_common(MOST))


def _looked_at(done: threading.Event, counts: Counter[str]) -> None:
    while not done.wait(EVERY):
        for number, frame in sys._current_frames().items():
            if number != threading.get_ident() and (name := innermost(frame)) is not None:
                counts[name] += 1


def innermost(frame: FrameType | None) -> str | None:
    """The innermost function of imblens in a stack; None without one, or where the thread only waits."""
    if frame is None or frame.f_code.co_filename.endswith(WAITING):
        return None
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(HOME):
            file = Path(code.co_filename).relative_to(HOME).with_suffix("").as_posix().replace("/", ".")
            return f"{file}.{code.co_name}"
        frame = frame.f_back
    return None
