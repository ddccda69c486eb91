"""Processor seconds of the parts of a command: python -m benchmarks.speed._stages RESULT.json WORDS of imblens.

Functions that stand for a part are wrapped, and a part that runs inside another one is taken out of it; so are imports, by
package. Threads of the process count, processes that it starts are a part of their own. One thread of the BLAS is asked for by
`OMP_NUM_THREADS=1` in the environment, so that other work on the machine changes little.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

PACKAGES = {
    "numpy": "import NumPy, pandas, PyArrow",
    "pandas": "import NumPy, pandas, PyArrow",
    "pyarrow": "import NumPy, pandas, PyArrow",
    "scipy": "import SciPy and scikit-learn",
    "sklearn": "import SciPy and scikit-learn",
    "imblens": "import imblens",
}
OTHERS = "import other packages, and Python's own"
PARTS = {
    "imblens.cli._tables:load": "read the arrays",
    "imblens.run:Run.neighbours": "search neighbours",
    "imblens.lenses.label_suspects.evidence:_Heads._fit_folds": "fit heads of label_suspects, 2 x 5 folds",
    "imblens.lenses.headroom.measure:both_heads": "fit heads of headroom, 1 + 5 folds",
    "imblens.report._summary:summary": "summary",
    "imblens.report._save:write_tables": "write tables as CSV",
    "imblens.report._save:instances": "write instances.parquet",
    "imblens.report._save:write_instances": "write instances.parquet",
    "imblens.report._save:write_figures": "write figures",
    "imblens.report._audit_page:report_html": "write the page",
}
OWN, DRAWING = "all else", "draw charts, in a process of their own"


class Stopwatch:
    """Processor seconds by part, of the thread that made it; a part inside another one is taken out of it."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.inside: list[float] = []
        self.thread = threading.get_ident()

    def of(self, part: str | Callable[..., str], function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time is counted; a part may depend on the arguments."""

        @wraps(function)
        def timed(*args: Any, **options: Any) -> Any:
            if threading.get_ident() != self.thread:
                return function(*args, **options)
            start = time.process_time()
            self.inside.append(0.0)
            try:
                return function(*args, **options)
            finally:
                taken = time.process_time() - start
                name = part if isinstance(part, str) else part(*args)
                self.seconds[name] += taken - self.inside.pop()
                if self.inside:
                    self.inside[-1] += taken

        return timed

    def wrap(self, place: str, part: str) -> None:
        """Count the function at "module:name" or "module:Class.name"."""
        module, _, path = place.partition(":")
        *owners, name = path.split(".")
        holder = importlib.import_module(module)
        for owner in owners:
            holder = getattr(holder, owner)
        setattr(holder, name, self.of(part, getattr(holder, name)))


def package_of(name: str, *_: Any) -> str:
    """The part to which the import of a module belongs.

    >>> package_of("scipy.stats"), package_of("json")
    ('import SciPy and scikit-learn', "import other packages, and Python's own")
    """
    return PACKAGES.get(name.partition(".")[0], OTHERS)


def command(words: list[str]) -> Mapping[str, float]:
    """Run a command of imblens in this process; processor seconds by part."""
    watch = Stopwatch()
    imports: Any = importlib._bootstrap
    imports._find_and_load = watch.of(package_of, imports._find_and_load)

    def call() -> None:
        from imblens.cli import main

        for place, part in PARTS.items():
            watch.wrap(place, part)
        running: Any = importlib.import_module("imblens.lenses._running")
        known = {name: watch.of(f"lens {name}", one) for name, one in running.all_lenses().items()}
        running.all_lenses = lambda: known
        sys.argv = ["imblens", *words]
        with suppress(SystemExit):
            main()

    before = time.process_time()
    watch.of(OWN, call)()
    watch.seconds[OWN] += before
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {**watch.seconds, DRAWING: children.ru_utime + children.ru_stime}


def table(seconds: Mapping[str, float], least: float = 0.01) -> str:
    """Rows of Markdown, most first; parts below the `least` share are one row.

    >>> print(table({"search": 3.0, "write": 0.98, "read": 0.02}))
    | part | processor seconds | share |
    |---|---|---|
    | search | 3.00 | 75% |
    | write | 0.98 | 24% |
    | parts below 1% | 0.02 | 0% |
    | all | 4.00 | 100% |
    """
    total = sum(seconds.values())
    large = {part: value for part, value in seconds.items() if value >= least * total}
    shown = dict(sorted(large.items(), key=lambda item: -item[1]))
    small = total - sum(large.values())
    rows = {**shown, **({f"parts below {least:.0%}": small} if len(large) < len(seconds) else {}), "all": total}
    lines = [f"| {part} | {value:.2f} | {value / total:.0%} |" for part, value in rows.items()]
    return "\n".join(["| part | processor seconds | share |", "|---|---|---|", *lines])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(command(sys.argv[2:])), encoding="utf-8")
