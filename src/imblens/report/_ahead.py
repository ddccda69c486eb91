"""Charts drawn in a process of their own while further lenses compute: neither Altair nor Vega lets go of the interpreter."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import IO, TYPE_CHECKING
from weakref import WeakKeyDictionary

from imblens.base.memory import cores
from imblens.report._class_table import MANY_CLASSES

if TYPE_CHECKING:
    from imblens.lenses import Finding
    from imblens.report._figures import Figure
    from imblens.run import Run

    Pages = dict[str, Figure | Exception]  # by chart, in the order of the finding
    Reply = Future[tuple[int, Pages] | None]  # number of charts drawn before; None: draw them here

ENOUGH = 5_000  # instances from which lenses take longer than the process takes to start
CODE = "import sys; sys.path[:] = {path!r}; from imblens.report._ahead import main; main()"
_AHEAD: WeakKeyDictionary[Finding, Reply] = WeakKeyDictionary()


def drawn_ahead(finding: Finding, n_before: int) -> Pages | None:
    """The figures of a finding, if they were drawn ahead as those that follow `n_before` others; waits for them."""
    reply = _AHEAD.get(finding)
    known = None if reply is None else reply.result()
    return known[1] if known is not None and known[0] == n_before else None


@contextmanager
def drawing_ahead(run: Run) -> Iterator[Callable[[str, Finding], None] | None]:
    """Give a function for `audit(on_finding=)` under which charts are drawn ahead; None where that would not be faster.

    It would not on one core, with few instances, or where only some of the classes are drawn, which all lenses decide.
    """
    few = sum(len(split) for split in run.splits.values()) < ENOUGH
    if few or cores() < 2 or run.n_classes > MANY_CLASSES or getattr(sys, "frozen", False) or not sys.executable:
        yield None
        return
    process = subprocess.Popen(
        [sys.executable, "-c", CODE.format(path=sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    waiting: SimpleQueue[tuple[Finding, Reply] | None] = SimpleQueue()
    thread = Thread(target=_pass_on, args=(process, waiting, run.classes), daemon=True)
    thread.start()

    def found(name: str, finding: Finding) -> None:
        reply: Reply = Future()
        _AHEAD[finding] = reply
        waiting.put((finding, reply))

    try:
        yield found
    finally:
        waiting.put(None)
        process.kill()  # what was asked of it has been read, or is no longer wanted
        thread.join()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()


def _pass_on(
    process: subprocess.Popen[bytes], waiting: SimpleQueue[tuple[Finding, Reply] | None], classes: tuple[str, ...]
) -> None:
    """Let the process draw one finding after the other; after the first that it cannot draw, all others are drawn here."""
    assert process.stdin is not None and process.stdout is not None
    n_before, works = 0, True
    while (given := waiting.get()) is not None:
        finding, reply = given
        pages: Pages | None = None
        if works:
            try:
                if not finding.info.built_in and finding.info.charts is not None:
                    raise pickle.PicklingError("functions of another package may be unknown to the process")
                pickle.dump((finding, n_before, classes), process.stdin)
                process.stdin.flush()
                pages = pickle.load(process.stdout)
            except Exception:  # it ended, or cannot be given the finding: nothing is lost but time
                works = False
        reply.set_result(None if pages is None else (n_before, pages))
        n_before += len(pages or ())


def serve(requests: IO[bytes], results: IO[bytes]) -> None:
    """Draw the charts of findings, their bitmaps too, until no more are asked for."""
    from imblens.report._figures import draw_all

    while True:
        try:
            finding, n_before, classes = pickle.load(requests)
        except EOFError:
            return
        charts = finding.charts()
        drawn = draw_all(((f"figure-{n_before + i}", made) for i, made in enumerate(charts.values(), start=1)), classes)
        for figure in drawn:
            if not isinstance(figure, Exception):
                figure.webp if figure.heavy else figure.png  # noqa: B018  (kept with the figure)
        pickle.dump(dict(zip(charts, drawn, strict=True)), results)
        results.flush()


def main() -> None:
    """Serve the process that started this one; what a library prints goes nowhere."""
    import gc
    import signal

    gc.disable()  # a tenth of the time; the process ends with the audit
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _get_ready()
    serve(sys.stdin.buffer, results)


def _get_ready() -> None:
    import altair  # noqa: F401
    import pandas as pd  # noqa: F401

    from imblens.report._figures import warm_up

    warm_up()
