"""A line on stderr that shows what is being done and the time left, on a terminal, from five seconds on."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from imblens.base.progress import line, listening
from imblens.cli._text import one_line

AFTER, EVERY = 5.0, 0.5  # seconds
_CLEAR = "\r\x1b[K"


class _Line:
    """The line that is drawn, if any; text that others print replaces it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.drawn = False

    def draw(self, text: str) -> None:
        with self.lock:
            if text or self.drawn:
                sys.stderr.write(_CLEAR + one_line(text)[: shutil.get_terminal_size().columns - 1])
                sys.stderr.flush()
            self.drawn = bool(text)


LINE = _Line()


@contextmanager
def live() -> Iterator[None]:
    """Draw the line while a command runs; nothing where stderr is not a terminal."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    done = threading.Event()
    with listening() as loops:

        def draw() -> None:
            while not done.wait(EVERY):
                running = list(loops)
                long = bool(running) and time.monotonic() - running[0].started >= AFTER
                LINE.draw(line(running, time.monotonic()) if long else "")

        drawer = threading.Thread(target=draw, daemon=True)
        drawer.start()
        try:
            yield
        finally:
            done.set()
            drawer.join()
            LINE.draw("")
